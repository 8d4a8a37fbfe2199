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

// Paths that no profile may grant, next to paths beside them that it may.
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

// A home directory may hold secrets, wherever it lies.
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

// Many servers resolve one profile at the same time.
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

// A pattern in a path rule would have no effect, and its author would believe the
// matching files hidden. A parameter's value is a name and may contain "*".
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

// Every row of the bans: the place itself, and a path in it, for reading and for
// writing. The columns are: read, write, read below, write below.
func TestEveryBanHolds(t *testing.T) {
	rows := map[string]string{
		"/": "--rw", "/etc": "r-r-", "/usr": "r-r-", "/bin": "r-r-", "/sbin": "r-r-", "/lib": "r-r-", "/lib64": "r-r-", "/boot": "r-r-", "/proc": "----", "/sys": "--r-", "/dev": "--r-",
		"/run": "--r-", "/var": "r-rw", "/var/run": "--r-", "/run/user": "----", "/var/run/user": "----", "/tmp": "--rw", "/var/tmp": "--rw", "/srv": "rwrw", "/opt": "rwrw", "/media": "rwrw", "/libexec": "rwrw",
	}
	for _, b := range bans {
		if _, ok := rows[b.path]; !ok {
			t.Errorf("no row for %s", b.path)
		}
	}
	r := &resolver{in: machine, name: "p"}
	for path, want := range rows {
		got := ""
		for _, p := range []string{path, strings.TrimSuffix(path, "/") + "/zz"} {
			for _, verb := range []string{"r", "w"} {
				err := r.refuse(p, verb == "w")
				if err != nil {
					if !strings.Contains(err.Error(), map[string]string{"r": "cannot read ", "w": "cannot write "}[verb]+quote(p)) {
						t.Errorf("%s: %v", p, err)
					}
					verb = "-"
				}
				got += verb
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// The login's own folders are as closed as those of the environment: moving HOME opens
// nothing of the first home.
func TestTheLoginsFoldersStayClosed(t *testing.T) {
	in := Input{Home: "/moved", State: "/moved/state", Config: "/moved/config", Login: Dirs{Home: "/home/ada", State: "/var/lib/ada/state", Config: "/srv/ada/config"}}
	for path, good := range map[string]bool{
		"/moved": false, "/moved/src": true, "/moved/state": false, "/moved/state/x": false, "/moved/config/x": false, "/home/ada": false, "/home": false, "/home/ada/src": true, "/home/adam": true,
		"/var/lib/ada/state": false, "/var/lib/ada/state/x": false, "/var/lib/ada": false, "/var/lib/ada/states": true, "/srv/ada/config": false, "/srv/ada/config/x": false, "/srv/ada": false, "/srv/ada/conf": true,
		"/moved/state/servers/p": true, "/moved/state/servers/p/x": true, "/moved/state/servers/pq": false, "/moved/state/servers": false, "/var/lib/ada/state/servers/p": false,
	} {
		for _, write := range []bool{false, true} {
			if err := in.Refuse("p", path, write); (err == nil) != good {
				t.Errorf("%s, to write %v: %v", path, write, err)
			}
		}
	}
	for _, in := range []Input{{}, {Home: "rel", State: "rel", Config: "rel", Login: Dirs{Home: "rel", State: "rel", Config: "rel"}}} {
		if err := in.Refuse("p", "/srv/x", true); err != nil {
			t.Errorf("nothing is known of the machine: %v", err)
		}
	}
}

// A workspace that would grant more than a project is refused once, under its option.
func TestAWorkspaceIsAProject(t *testing.T) {
	p, err := Parse("p.toml", []byte("version = 1\n[filesystem]\nread = [\"${workspace}\", \"${workspace}/x\"]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for workspace, want := range map[string]string{
		"": "${workspace} is not known here", "app": "/home/ada/src/app", "/srv/app/": "/srv/app", "~/app": "/home/ada/app", ".": "/home/ada/src", "..": "a whole home directory", "~": "a whole home directory", "/": "the whole machine", "/etc/x": "configuration", "~/.config/mcpen": "mcpen keeps",
		"~eve/x": "another user's home", "/a\nb": "control character",
	} {
		in := machine
		in.Workspace = workspace
		pol, err := Resolve(p, in)
		if strings.HasPrefix(want, "/") {
			if err != nil || pol.Filesystem.Read[0].Path != want {
				t.Errorf("%q: %+v, %v", workspace, pol.Filesystem.Read, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || workspace != "" && len(err.(Mistakes)) != 1 || workspace != "" && err.(Mistakes)[0].Key != "--workspace" {
			t.Errorf("%q: %v, want %s", workspace, err, want)
		}
		if workspace == "" && err.(Mistakes)[0].Hint != "--workspace DIR" {
			t.Errorf("no workspace: the hint is %q", err.(Mistakes)[0].Hint)
		}
	}
}

// [sockets] and protect have messages of their own: for an optional socket, one of
// mcpen's own, and a name that protects everything.
func TestMistakesOfSocketsAndNames(t *testing.T) {
	for rule, want := range map[string]string{
		"[sockets]\nconnect = [\"?/srv/a.sock\"]": "a socket cannot be optional", "[sockets]\nconnect = [\"~/.config/mcpen/x\"]": "cannot connect to", "[sockets]\nconnect = [\"~/.local/state/mcpen/x\"]": "cannot connect to", "[sockets]\nconnect = [\"rel\"]": "is relative",
		"[sockets]\nconnect = [3]": "neither a path nor a table", "[sockets]\nconnect = [{}]": "has no path", "[sockets]\nconnect = [{ path = \"/run/docker.sock\", override = \"yes\" }]": "is none of",
		"[filesystem]\nprotect = [\"\"]": "is not a name", "[filesystem]\nprotect = [\"/a\"]": "is not a name", "[filesystem]\nprotect = [\"a/\"]": "is not a name", "[filesystem]\nprotect = [\"a/../b\"]": "is not a name", "[filesystem]\nprotect = [\".\"]": "is not a name",
		"[filesystem]\nprotect = [\"../a\"]": "is not a name", "[filesystem]\nprotect = [\"*\"]": "would protect everything", "[filesystem]\nprotect = [\"**/*\"]": "would protect everything", "[filesystem]\nprotect = [\"a/b\", \".x\", \"*.sh\"]": "",
		"[server]\ndir = \"~eve/x\"": "another user's home", "[server]\ncommand = [\"~eve/x\"]": "another user's home", "[server]\ncommand = [\"\"]": "names no program", "[server]\ncommand = []": "names no program", "[server]\ncommand = [\"\", \"x\"]": "names no program",
		"[server]\ncommand = [\"a\"]\npackage = \"npm:a\"": "is one or the other", "[server]\npackage = \"npm:a\"": "", "[server]\ncommand = [\"~/x\", \"\"]": "", "[server]\ncommand = [\"${e}\"]\n[params.e]\ntype = \"string\"\ndefault = \"\"": "names no program",
		"[sockets]\nconnect = [\"/srv/a.sock\", \"/srv//a.sock\"]": "",
		"[filesystem]\nunprotect = [\"/srv/x/.git\"]":              "is below nothing that is writable", "[filesystem]\nwrite = [\"/srv/y\"]\nunprotect = [\"/srv/x/.git\"]": "is below nothing that is writable", "[filesystem]\nwrite = [\"/srv/x\"]\nunprotect = [\"/srv/x/.git\"]": "",
	} {
		p, err := Parse("p.toml", []byte("version = 1\n"+rule+"\n"), nil)
		if err == nil {
			var pol Policy
			pol, err = Resolve(p, machine)
			if err == nil && len(pol.Sockets) > 1 {
				t.Errorf("%s: %+v", rule, pol.Sockets)
			}
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", rule, err, want)
		}
		if m, ok := err.(Mistakes); ok && len(m) != 1 {
			t.Errorf("%s: %d mistakes", rule, len(m))
		}
	}
}

// Landlock and mounts match exact paths: a string prefix of a path is not a folder
// above it.
func TestWithinGoesByElements(t *testing.T) {
	for _, c := range []struct {
		p, dir string
		want   bool
	}{{"/a", "/a", true}, {"/a/b", "/a", true}, {"/ab", "/a", false}, {"/a", "/a/b", false}, {"/a", "/", true}, {"/", "/", true}, {"/", "/a", false}} {
		if got := within(c.p, c.dir); got != c.want {
			t.Errorf("%s within %s: %v", c.p, c.dir, got)
		}
	}
	set := ancestors([]Path{{Path: "/a/b"}, {Path: "/a"}, {Path: "rel"}})
	for p, want := range map[string]string{"/a/b/c": "/a/b", "/a/b": "/a/b", "/a/c/d": "/a", "/ab": "", "/": "", "rel": "rel", "rel/x": "rel", ".": "", "x": ""} {
		if got, ok := set.over(p); got.Path != want || ok != (want != "") {
			t.Errorf("over %s is %q, %v", p, got.Path, ok)
		}
	}
	if got, ok := ancestors([]Path{{Path: "/"}}).over("/x/y"); !ok || got.Path != "/" {
		t.Errorf("over all is %q", got.Path)
	}
}
