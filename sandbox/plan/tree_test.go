package plan

import (
	"bufio"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// tree describes a file system, one entry a line:
//
//	dir /home/ada/src      file /etc/hosts      socket /run/x.sock
//	link /home/ada/l -> src                     closed /root (cannot be looked into)
//
// Parent directories need no entry.
type tree map[string]entry

type entry struct{ kind, text string }

func parseTree(t *testing.T, texts ...string) tree {
	t.Helper()
	tr := tree{"/": {kind: "dir"}}
	for _, text := range texts {
		lines := bufio.NewScanner(strings.NewReader(text))
		for lines.Scan() {
			words := strings.Fields(lines.Text())
			switch {
			case len(words) == 0 || words[0] == "#":
			case len(words) == 2:
				tr.put(words[1], entry{kind: words[0]})
			case len(words) == 4 && words[0] == "link" && words[2] == "->":
				tr.put(words[1], entry{"link", words[3]})
			default:
				t.Fatalf("tree: what is %q?", lines.Text())
			}
		}
	}
	return tr
}

func (tr tree) put(p string, e entry) {
	tr[p] = e
	for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
		if _, ok := tr[dir]; !ok {
			tr[dir] = entry{kind: "dir"}
		}
	}
}

// look returns the fact that host.Look finds on a real file system.
func (tr tree) look(p string) PathFact {
	var f PathFact
	rest := strings.Split(path.Clean(p), "/")
	real := "/"
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		if part == "" {
			continue
		}
		if part == ".." {
			real = path.Dir(real)
			continue
		}
		next := path.Join(real, part)
		e, ok := tr[next]
		switch {
		case !ok || e.kind != "link" && e.kind != "dir" && len(rest) > 0 && e.kind != "closed":
			return f
		case e.kind == "closed":
			f.Err = fmt.Sprintf("open %q: EACCES", next)
			return f
		case e.kind == "link":
			f.Links = append(f.Links, Link{next, e.text})
			if path.IsAbs(e.text) {
				real = "/"
			}
			rest = append(strings.Split(e.text, "/"), rest...)
		default:
			real = next
		}
	}
	kind := tr[real].kind
	f.Exists, f.Real, f.Dir, f.Socket = true, real, kind == "dir", kind == "socket"
	return f
}

// below lists the protected places that host finds directly in a folder.
func (tr tree) below(dir string) []string {
	var out []string
	for p := range tr {
		rel, ok := strings.CutPrefix(p, dir+"/")
		if !ok || !slices.Contains(Protected, rel) {
			continue
		}
		out = append(out, rel)
	}
	slices.Sort(out)
	return out
}

// answer fills in the facts as host.Probe does.
func (tr tree) answer(h *Host, asks []Ask) {
	if h.Paths == nil {
		h.Paths = map[string]PathFact{}
	}
	for _, a := range asks {
		f, have := h.Paths[a.Path]
		if !have {
			f = tr.look(a.Path)
		}
		if a.Writable && f.Exists && f.Dir && f.Below == nil {
			f.Below = tr.below(f.Real)
			for _, b := range f.Below {
				if p := path.Join(f.Real, b); h.Paths[p].Below == nil {
					h.Paths[p] = tr.look(p)
				}
			}
		}
		h.Paths[a.Path] = f
	}
}

// laptop is a common machine: merged /usr, node in /usr, a project.
const laptop = `
dir /usr/bin
file /usr/bin/node
dir /usr/lib
dir /usr/lib64
dir /usr/share/zoneinfo
file /usr/share/zoneinfo/UTC
file /usr/lib/os-release
link /bin -> usr/bin
link /sbin -> usr/sbin
dir /usr/sbin
link /lib -> usr/lib
link /lib64 -> usr/lib64
file /etc/ld.so.cache
dir /etc/ssl/certs
dir /etc/alternatives
link /etc/localtime -> /usr/share/zoneinfo/UTC
link /etc/os-release -> ../usr/lib/os-release
file /etc/services
file /etc/passwd
dir /home/ada/.ssh
file /home/ada/.ssh/id_ed25519
dir /home/ada/.config/mcpen
dir /home/ada/.local/state/mcpen/servers/demo
dir /home/ada/.local/state/mcpen/servers/other
dir /home/ada/.local/state/mcpen/store
dir /home/ada/src/app
file /home/ada/src/app/README
dir /home/ada/docs
dir /run/user/1000/mcpen
link /var/run -> /run
dir /var/tmp
dir /tmp
dir /dev/shm
`
