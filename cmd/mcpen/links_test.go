package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// linkKinds are a profile's references that a symlink could lead elsewhere. DIR is the
// folder of the symlink; "link" leads to PRIVATE, the others into it.
var linkKinds = []struct{ name, profile, command string }{
	{"read", `[filesystem]
read = ["DIR/link"]
write = ["STATE"EXTRA]`, "cat DIR/link/key"},
	{"write", `[filesystem]
write = ["DIR/link"EXTRA]`, "cat DIR/link/key"},
	{"deny", `[filesystem]
read = ["PRIVATE"]
write = ["STATE"EXTRA]
deny = ["DIR/file"]`, "echo the-key"},
	{"socket", `[sockets]
connect = ["DIR/socket"]
[filesystem]
write = ["STATE"EXTRA]`, "test -S DIR/socket && echo the-key"},
	{"secret", `[filesystem]
write = ["STATE"EXTRA]
[env]
secret = { KEY = "file:DIR/file" }`, "echo $KEY"},
	{"program", `[filesystem]
write = ["STATE"EXTRA]`, ""},
	{"extends", `extends = ["DIR/base.toml"]
[filesystem]
write = ["STATE"EXTRA]`, "cat PRIVATE/key"},
	{"baseline", `[filesystem]
read = ["DIR/link"]
write = ["STATE"EXTRA]`, "cat DIR/link/key"},
}

// linkMakers are those who can have made the symlink. Only the person's own leads
// anywhere.
var linkMakers = []string{"the person", "the server", "another server", "the repository", "the workspace"}

// A symlink by a server or by the author of a repository must not decide the next
// server's rights: it would lead to the user's keys.
func TestLinksOfOthersDecideNothing(t *testing.T) {
	asEverybody(t, func(t *testing.T, root string) {
		for _, kind := range linkKinds {
			for _, maker := range linkMakers {
				t.Run(kind.name+" by "+maker, func(t *testing.T) {
					w := newLinkWorld(t, root, maker)
					out, err := w.run(t, kind.name, kind.profile, kind.command)
					leaked := strings.Contains(out, "the-key\n")
					if want := maker == "the person"; leaked != want || (err == nil) != want {
						t.Errorf("led there: %v, want %v; %v\n%s", leaked, want, err, out)
					}
				})
			}
		}
	})
}

// linkWorld is a home with a private folder and a folder in which somebody makes
// symlinks.
type linkWorld struct{ home, dir, private, state, maker string }

func newLinkWorld(t *testing.T, root, maker string) linkWorld {
	t.Helper()
	home, err := os.MkdirTemp(root, "links-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	w := linkWorld{home: home, dir: filepath.Join(home, "dir"), private: filepath.Join(home, "private"), state: filepath.Join(home, "state"), maker: maker}
	for _, dir := range []string{w.dir, w.private, w.state} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"key": "the-key\n", "tool": "#!/bin/sh\necho the-key\n", "base.toml": "version = 1\n[filesystem]\nread = [\"" + w.private + "\"]\n"} {
		if err := os.WriteFile(filepath.Join(w.private, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", filepath.Join(w.private, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if maker == "the repository" {
		if err := os.Mkdir(filepath.Join(w.dir, ".git"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if maker == "another server" {
		script := "ln -s ../private link && ln -s ../private/s socket && ln -s ../private/key file && ln -s ../private/tool tool && ln -s ../private/base.toml base.toml"
		w.profile(t, "other.toml", "other", "[filesystem]\nwrite = [\""+w.dir+"\"]\n[server]\ncommand = [\"/bin/sh\", \"-c\", \"cd "+w.dir+" && "+script+"\"]\n")
		if out, err := w.mcpen("run", filepath.Join(w.home, "other.toml")); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return w
	}
	for name, to := range map[string]string{"link": "", "socket": "s", "file": "key", "tool": "tool", "base.toml": "base.toml"} {
		if err := os.Symlink(filepath.Join("../private", to), filepath.Join(w.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w linkWorld) profile(t *testing.T, file, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.home, file), []byte("version = 1\nname = \""+name+"\"\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a server of a profile with everything that the maker needs.
func (w linkWorld) run(t *testing.T, kind, profile, command string) (string, error) {
	t.Helper()
	extra, dir := "", w.dir
	var args []string
	switch w.maker {
	case "the server":
		extra = fmt.Sprintf(", %q", w.dir)
	case "the workspace":
		args, dir = []string{"--workspace", w.dir}, "${workspace}"
	}
	fill := func(s, dir string) string {
		return strings.NewReplacer("DIR", dir, "PRIVATE", w.private, "STATE", w.state, "EXTRA", extra).Replace(s)
	}
	server := fmt.Sprintf("[server]\ncommand = [\"/bin/sh\", \"-c\", %q]\n", fill(command, w.dir))
	if kind == "program" {
		server = fmt.Sprintf("[server]\ncommand = [%q]\n", w.dir+"/tool")
	}
	if kind == "extends" {
		dir = w.dir // it takes no parameters
	}
	w.profile(t, "p.toml", "p", fill(profile, dir)+"\n"+server)
	if kind == "baseline" {
		w.profile(t, "baseline.toml", "b", fmt.Sprintf("[filesystem]\nread = [%q]\n", w.dir))
		if w.maker == "the person" {
			w.profile(t, "baseline.toml", "b", fmt.Sprintf("[filesystem]\nread = [%q, %q]\n", w.dir, w.private))
		}
		args = append(args, "--baseline", filepath.Join(w.home, "baseline.toml"))
	}
	return w.mcpen(append(append([]string{"run"}, args...), filepath.Join(w.home, "p.toml"))...)
}

func (w linkWorld) mcpen(args ...string) (string, error) {
	cmd := exec.Command("mcpen", args...)
	cmd.Dir = w.state
	cmd.Env = append(os.Environ(), "HOME="+w.home, "XDG_RUNTIME_DIR=", "XDG_STATE_HOME=", "XDG_CONFIG_HOME=", "TMPDIR=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
