package policy

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

var machine = Input{
	Home: "/home/ada", State: "/home/ada/.local/state/mcpen", Config: "/home/ada/.config/mcpen",
	Workspace: "/home/ada/src/app", Cwd: "/home/ada/src",
}

// rule resolves a profile with one path rule.
func rule(t *testing.T, verb, path string) error {
	t.Helper()
	p, err := Parse("p.toml", fmt.Appendf(nil, "version = 1\n[filesystem]\n%s = [%q]\n", verb, path), nil)
	if err != nil {
		return err
	}
	_, err = Resolve(p, machine)
	return err
}

// What a profile may not give away, next to what lies beside it and may be given.
func TestPlacesThatNoProfileGivesAway(t *testing.T) {
	const no, readOnly, yes = "no", "read", "yes"
	in := machine
	for path, want := range map[string]string{
		"/":                              no,
		"//":                             no,
		"/./":                            no,
		"/srv/../..":                     no,
		"/home":                          no,
		"/home/ada":                      no,
		"~":                              no,
		"~/":                             no,
		"~/.":                            no,
		"~/src/..":                       no,
		"${home}":                        no,
		"?~":                             no,
		"~/src":                          yes,
		"/home/bob/src":                  yes,
		"~/.local":                       no,
		"~/.local/share":                 yes,
		"~/.config":                      no,
		"~/.config/mcpen":                no,
		"~/.config/mcpen/profiles":       no,
		"~/.config/mcpenny":              yes,
		"${state}":                       yes,
		"${state}/..":                    no,
		"~/.local/state/mcpen/servers":   no,
		"~/.local/state/mcpen/servers/p": yes,
		"~/.local/state/mcpen/servers/q": no,
		"/etc":                           readOnly,
		"/etc/ssl/certs":                 readOnly,
		"/etcetera":                      yes,
		"/usr":                           readOnly,
		"/usr/share/zoneinfo":            readOnly,
		"/bin/sh":                        readOnly,
		"/boot":                          readOnly,
		"/proc":                          no,
		"/proc/cpuinfo":                  no,
		"/proc/self/root/etc":            no,
		"/sys":                           no,
		"/sys/class":                     readOnly,
		"/dev":                           no,
		"/dev/dri":                       readOnly,
		"/run":                           no,
		"/var/run":                       no,
		"/run/secrets/token":             readOnly,
		"/run/user":                      no,
		"/run/user/1000":                 no,
		"/run/user/1000/bus":             no,
		"/run/docker.sock":               no,
		"/var/run/docker.sock":           no,
		"/home/ada/.docker/docker.sock":  no,
		"/run/user/1000/doc":             readOnly,
		"/tmp":                           no,
		"/tmp/.":                         no,
		"/tmp/build":                     yes,
		"/tmp/.X11-unix/X0":              no,
		"/var":                           readOnly,
		"/var/tmp":                       no,
		"/var/lib/app":                   yes,
		"/opt/agent.py":                  yes,
		"relative":                       no,
		"":                               no,
		"?":                              no,
		"~bob/x":                         no,
		"/a\nb":                          no,
		strings.Repeat("/abcdefg", 600):  no,
	} {
		for verb, allowed := range map[string]bool{"read": want != no, "write": want == yes} {
			if err := rule(t, verb, path); (err == nil) != allowed {
				t.Errorf("%s %.60q: %v", verb, path, err)
			}
			if strings.HasPrefix(path, "/") && path == filepath.Clean(path) && !strings.Contains(path, "\n") && len(path) < 4096 {
				if err := in.Refuse("p", path, verb == "write"); (err == nil) != allowed {
					t.Errorf("Refuse %s %.60q: %v", verb, path, err)
				}
			}
		}
		if want != yes {
			continue
		}
		if err := rule(t, "deny", path); err != nil {
			t.Errorf("deny %q: %v", path, err)
		}
	}
}

// A home directory is a secret's neighbour wherever it is.
func TestHomeIsWhereTheMachineSays(t *testing.T) {
	p, err := Parse("p.toml", []byte("version = 1\n[filesystem]\nread = [\"/data/people/eve\"]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Resolve(p, machine); err != nil {
		t.Errorf("somebody else's folder: %v", err)
	}
	for _, home := range []string{"/data/people/eve", "/data/people/eve/", "/data/people/eve/home"} {
		in := machine
		in.Home = home
		if _, err := Resolve(p, in); err == nil {
			t.Errorf("the home directory %q is given away", home)
		}
	}
}

func TestSocketsOfTheHostNeedTheirWords(t *testing.T) {
	for path, host := range map[string]bool{
		"/run/docker.sock": true, "/var/run/docker.sock": true, "/home/ada/.docker/run/docker.sock": true,
		"/run/user/1000/bus": true, "/var/run/user/1000/bus": true, "/run/dbus/system_bus_socket": true, "/run/systemd/private": true,
		"/tmp/.X11-unix/X0": true, "/run/user/1000/wayland-0": true, "/tmp/ssh-abc/agent.1": true, "/run/user/1000/gnupg/S.gpg-agent": true,
		"/srv/app.sock": false, "/run/postgresql/.s.PGSQL.5432": false, "/run/mysqld/mysqld.sock": false,
	} {
		plain, err := Parse("s.toml", fmt.Appendf(nil, "version = 1\n[sockets]\nconnect = [%q]\n", path), nil)
		if (err != nil) != host {
			t.Errorf("%s: %v", path, err)
		}
		if err == nil {
			if got, err := Resolve(plain, machine); err != nil || len(got.Sockets) != 1 || got.Sockets[0].Override != "" {
				t.Errorf("%s: %+v, %v", path, got.Sockets, err)
			}
		}
		forced, err := Parse("s.toml", fmt.Appendf(nil, "version = 1\n[sockets]\nconnect = [{ path = %q, override = %q }]\n", path, Override), nil)
		if err != nil {
			t.Errorf("%s, insisted on: %v", path, err)
			continue
		}
		if got, err := Resolve(forced, machine); err != nil || len(got.Sockets) != 1 || got.Sockets[0].Override != Override {
			t.Errorf("%s, insisted on: %+v, %v", path, got.Sockets, err)
		}
	}
}

// A profile is resolved by many servers at once.
func TestResolveLeavesTheProfileAlone(t *testing.T) {
	p, in, _ := full(t)
	base, err := ParseBaseline("b.toml", []byte("version = 1\n[tools]\ndeny = [\"x\"]\n[filesystem]\ndeny = [\"/z\"]\n[tools.rule.read_file]\nper-minute = 1\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Resolve(p, in)
	if err != nil {
		t.Fatal(err)
	}
	narrow := in
	narrow.Baselines = []*Profile{base}
	done := make(chan error)
	for range 4 {
		go func() {
			got, err := Resolve(p, narrow)
			if err == nil && got.Tools.Rules[0].PerMinute != 1 {
				err = fmt.Errorf("the baseline's rule is gone: %+v", got.Tools.Rules)
			}
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	again, err := Resolve(p, in)
	if err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", want) {
		t.Errorf("resolving changed the profile: %v", err)
	}
}

// A pattern in a path rule would mean nothing, and whoever wrote it would take what it
// names for hidden. What a parameter holds is a name.
func TestAPathIsNoPattern(t *testing.T) {
	for rule, good := range map[string]bool{
		`deny = ["${workspace}/*.key"]`:           false,
		`deny = ["${workspace}/**/.env"]`:         false,
		`read = ["/srv/data-[ab]"]`:               false,
		`read = ["?/srv/a?"]`:                     false,
		`write = ["/srv/*"]`:                      false,
		`unprotect = ["${workspace}/.vscod?"]`:    false,
		`deny = ["${workspace}/key"]`:             true,
		`read = ["?/srv/a"]`:                      true,
		`read = ["${dir}", "${dir}/x"]`:           true,
		`read = ["/srv/a b/{c}", "/srv/ü+(x)!#"]`: true,
	} {
		p, err := Parse("p.toml", []byte("version = 1\n[params.dir]\ntype = \"directory\"\ndefault = \"/srv/[id]*?\"\n[filesystem]\n"+rule+"\n"), nil)
		if err == nil {
			_, err = Resolve(p, Input{Workspace: "/home/ada/src", Home: "/home/ada"})
		}
		if (err == nil) != good {
			t.Errorf("%s: %v", rule, err)
		}
	}
}
