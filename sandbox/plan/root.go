package plan

import (
	"fmt"
	"path"
	"sort"
	"strings"

	"mcpen/sandbox/policy"
)

// system is what every server gets of the host's system, each only where it
// exists: programs, libraries, time zones, certificates. No secret of the
// system lies below any of them (/etc/ssl/private, /etc/shadow and the like are
// not in the list).
//
// A mount costs about a fifth of a millisecond at every start, a copy of a small
// file a twentieth of that.
var system = []struct {
	path, why string
	copy      bool // a small file
}{
	{path: "/usr", why: "programs and libraries"},
	{path: "/bin", why: "programs and libraries"},
	{path: "/sbin", why: "programs and libraries"},
	{path: "/lib", why: "programs and libraries"},
	{path: "/lib32", why: "programs and libraries"},
	{path: "/lib64", why: "programs and libraries"},
	{path: "/libx32", why: "programs and libraries"},
	{path: "/etc/ld.so.cache", why: "where libraries are", copy: true},
	{path: "/etc/alternatives", why: "which program a name means"},
	{path: "/etc/ssl/certs", why: "certificates"},
	{path: "/etc/ssl/cert.pem", why: "certificates"},
	{path: "/etc/ssl/openssl.cnf", why: "settings of OpenSSL", copy: true},
	{path: "/etc/ca-certificates/extracted", why: "certificates"},
	{path: "/etc/pki/tls/certs", why: "certificates"},
	{path: "/etc/pki/tls/cert.pem", why: "certificates"},
	{path: "/etc/pki/tls/openssl.cnf", why: "settings of OpenSSL", copy: true},
	{path: "/etc/pki/ca-trust/extracted", why: "certificates"},
	{path: "/etc/crypto-policies", why: "settings of OpenSSL"},
	{path: "/etc/localtime", why: "time zone", copy: true},
	{path: "/etc/os-release", why: "name of the system", copy: true},
	{path: "/etc/mime.types", why: "media types", copy: true},
	{path: "/etc/protocols", why: "names of protocols", copy: true},
	{path: "/etc/services", why: "names of services", copy: true},
	{path: "/etc/fonts", why: "fonts"},
}

// devices are the six device nodes of the root. None of them leads to hardware;
// /dev/tty leads nowhere, since the server has no controlling terminal.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// root lists the mounts that make the server's root.
func (c *compiler) root() {
	if !c.plan.Holds(policy.LayerNamespaces) {
		c.openRoot()
		return
	}
	tmp := int64(c.pol.Limits.Tmp)
	inodes := int64(c.pol.Limits.TmpFiles)
	add := func(m Mount) { c.plan.Root = append(c.plan.Root, m) }

	add(Mount{Kind: MountProc, Target: "/proc", Why: "the server's own processes"})
	add(Mount{Kind: MountDir, Target: "/dev", Why: "device nodes"})
	for _, d := range devices {
		add(Mount{Kind: MountDevice, Source: "/dev/" + d, Target: "/dev/" + d, Why: "device node"})
	}
	add(Mount{Kind: MountTmpfs, Target: "/dev/shm", Bytes: tmp, Inodes: inodes, Mode: 0o1777, Writable: true, Why: "private shared memory"})
	for _, l := range [][2]string{{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"}} {
		add(Mount{Kind: MountSymlink, Target: "/dev/" + l[0], Source: l[1], Why: "customary name"})
	}
	add(Mount{Kind: MountTmpfs, Target: "/tmp", Bytes: tmp, Inodes: inodes, Mode: 0o1777, Writable: true, Exec: true, Why: "private /tmp"})
	home := c.home()
	if f := c.host.Paths[home]; f.Exists && f.Real != home {
		for _, l := range f.Links {
			add(Mount{Kind: MountSymlink, Target: l.Path, Source: l.Text, Why: "private home"})
		}
		home = f.Real
	}
	add(Mount{Kind: MountTmpfs, Target: home, Bytes: tmp, Inodes: inodes, Mode: 0o700, Writable: true, Exec: true, Why: "private home"})
	add(Mount{Kind: MountSymlink, Target: "/var/tmp", Source: "/tmp", Why: "customary name"})
	add(Mount{Kind: MountDir, Target: "/run", Why: "empty"})
	c.etc()
	c.system()
	for _, n := range c.prog.Needs {
		c.bind(n.Path, false, n.Why, "", false)
	}
	for _, r := range c.pol.Filesystem.Read {
		c.bind(r.Path, false, "declared", at(r.At), r.Optional)
	}
	for _, r := range c.pol.Filesystem.Write {
		c.bind(r.Path, true, "declared", at(r.At), r.Optional)
		c.protect(r)
	}
	for _, r := range c.pol.Filesystem.Deny {
		c.mask(r)
	}
	c.sockets()
	c.own()
	c.settle()
}

// openRoot lists what a server may reach without namespaces: the same paths
// where they already are, for Landlock to hold.
func (c *compiler) openRoot() {
	c.system()
	for _, d := range devices {
		c.plan.Root = append(c.plan.Root, Mount{Kind: MountDevice, Source: "/dev/" + d, Target: "/dev/" + d, Why: "device node"})
	}
	for _, p := range bareProc {
		c.plan.Root = append(c.plan.Root, Mount{Kind: MountProc, Target: p, Why: "what runtimes ask of the machine"})
	}
	c.plan.Scratch = path.Join(c.host.Runtime, "scratch", c.pol.Name)
	c.plan.Root = append(c.plan.Root, Mount{Kind: MountDir, Target: c.plan.Scratch, Writable: true, Why: "home and temporary files of this server"})
	for _, n := range c.prog.Needs {
		c.bind(n.Path, false, n.Why, "", false)
	}
	for _, r := range c.pol.Filesystem.Read {
		c.bind(r.Path, false, "declared", at(r.At), r.Optional)
	}
	for _, r := range c.pol.Filesystem.Write {
		c.bind(r.Path, true, "declared", at(r.At), r.Optional)
	}
	for _, r := range c.pol.Filesystem.Deny {
		c.problem(Problem{At: at(r.At), Lack: policy.LayerNamespaces,
			Text: fmt.Sprintf("cannot hide %q without namespaces: Landlock has no exception below an allowed folder", r.Path)})
	}
}

// bareProc is what is visible of /proc without a pid namespace: the process's
// own directory and counters of the machine. Of others' directories the rest is
// closed, since a command line may hold a secret.
var bareProc = []string{"/proc/self", "/proc/cpuinfo", "/proc/filesystems", "/proc/loadavg", "/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/version",
	"/proc/sys/kernel/osrelease", "/proc/sys/vm/overcommit_memory"}

// etc makes the files of a synthetic /etc: what programs read to learn who they
// are, and nothing of the host's.
func (c *compiler) etc() {
	h := c.host
	user, home := c.user(), c.home()
	file := func(name, content string) {
		c.plan.Root = append(c.plan.Root, Mount{Kind: MountFile, Target: "/etc/" + name, Content: content, Mode: 0o644, Why: "made by mcpen"})
	}
	passwd := fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", user, h.UID, h.GID, home)
	group := fmt.Sprintf("%s:x:%d:\n", user, h.GID)
	if h.UID != 0 {
		passwd = "root:x:0:0::/nonexistent:/usr/sbin/nologin\n" + passwd
	}
	if h.GID != 0 {
		group = "root:x:0:\n" + group
	}
	file("passwd", passwd+"nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n")
	file("group", group+"nogroup:x:65534:\n")
	file("hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 "+Hostname+"\n")
	file("hostname", Hostname+"\n")
	file("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n")
	file("host.conf", "multi on\n")
	file("machine-id", strings.Repeat("0", 31)+"1\n")
	resolv := "# no network: the profile allows none\n"
	if len(c.pol.Network.Allow) > 0 {
		resolv = "nameserver " + Resolver + "\noptions timeout:5 attempts:1\n"
	}
	file("resolv.conf", resolv)
}

// Hostname is the name of every sandbox.
const Hostname = "mcpen"

// Resolver is the address at which programs inside ask for names. Any address
// would do, since all of them lead to the egress; this one is reserved for
// documentation (RFC 5737), so nobody has it.
const Resolver = "192.0.2.53"

// system adds what there is of the host's system.
func (c *compiler) system() {
	for _, s := range system {
		f := c.host.Paths[s.path]
		if !f.Exists {
			continue
		}
		// A link to another part of the system (merged /usr, /etc/localtime)
		// stays a link.
		if len(f.Links) > 0 && f.Links[0].Path == s.path && c.systemic(f.Real) {
			c.plan.Root = append(c.plan.Root, Mount{Kind: MountSymlink, Target: s.path, Source: f.Links[0].Text, Why: s.why})
			continue
		}
		m := Mount{Kind: MountBind, Source: f.Real, Target: s.path, Dir: f.Dir, Exec: true, Why: s.why}
		if s.copy && !f.Dir && c.plan.Holds(policy.LayerNamespaces) {
			m = Mount{Kind: MountCopy, Source: f.Real, Target: s.path, Mode: 0o644, Why: s.why}
		}
		c.plan.Root = append(c.plan.Root, m)
	}
}

// systemic reports whether a path lies below something that system binds.
func (c *compiler) systemic(p string) bool {
	for _, s := range system {
		if f := c.host.Paths[s.path]; f.Exists && f.Real == s.path && under(p, s.path) {
			return true
		}
	}
	return false
}

// bind makes a path of the host visible at its own name. Symlinks on the way
// are made again inside, so that the name that was declared works, and the
// mount itself is of what they lead to.
func (c *compiler) bind(p string, writable bool, why, where string, optional bool) {
	f, ok := c.host.Paths[p]
	switch {
	case ok && f.Exists:
	case optional:
		return
	case ok && f.Err != "":
		c.problem(Problem{At: where, Text: fmt.Sprintf("cannot use %q: %s", p, f.Err)})
		return
	default:
		hint := fmt.Sprintf("mkdir -p %q", p)
		if !writable {
			hint = fmt.Sprintf("read = [\"?%s\"]   # with a question mark it may be absent", p)
		}
		c.problem(Problem{At: where, Text: fmt.Sprintf("cannot use %q: it does not exist", p), Hint: hint})
		return
	}
	if f.Socket {
		c.problem(Problem{At: where, Text: fmt.Sprintf("cannot give the socket %q as a file: a read-only mount does not stop a connection", p),
			Hint: fmt.Sprintf("[sockets]\nconnect = [%q]", p)})
		return
	}
	if f.Real == "/" || f.Real == c.home() || f.Real == c.host.Paths[c.home()].Real {
		c.problem(Problem{At: where, Text: fmt.Sprintf("cannot give %q: it is %s as a whole", p, f.Real), Hint: "name the folders below it that the server needs"})
		return
	}
	for _, l := range f.Links {
		if !c.systemic(l.Path) {
			c.plan.Root = append(c.plan.Root, Mount{Kind: MountSymlink, Target: l.Path, Source: l.Text, Why: why, At: where})
		}
	}
	if !writable && c.systemic(f.Real) {
		return // it is there already
	}
	c.plan.Root = append(c.plan.Root, Mount{Kind: MountBind, Source: f.Real, Target: f.Real, Dir: f.Dir, Writable: writable, Exec: true, Why: why, At: where})
}

// protect makes the places in a writable folder that code outside trusts
// read-only, and has the others watched for.
func (c *compiler) protect(r policy.Path) {
	f := c.host.Paths[r.Path]
	if !f.Exists || !f.Dir {
		return
	}
	if f.Err != "" {
		c.problem(Problem{At: at(r.At), Text: fmt.Sprintf("cannot protect what lies in %q: %s", r.Path, f.Err),
			Hint: "make a smaller folder writable"})
		return
	}
	if under(f.Real, c.host.State) && c.host.State != "" {
		return // the server's own state: nothing outside runs from it
	}
	for _, b := range f.Below {
		p := path.Join(f.Real, b)
		if !c.unprotected(p, b) {
			c.plan.Root = append(c.plan.Root, Mount{Kind: MountBind, Source: p, Target: p, Why: "protected: code outside trusts it", At: at(r.At)})
		}
	}
	w := Watch{Dir: f.Real}
	for _, name := range Protected {
		if !c.unprotected(path.Join(f.Real, name), name) {
			w.Names = append(w.Names, name)
		}
	}
	c.plan.Watch = append(c.plan.Watch, w)
	c.plan.Quarantine = path.Join(c.host.State, "quarantine")
	if c.host.State == "" {
		c.plan.Quarantine = path.Join(c.host.Runtime, "quarantine")
	}
}

// unprotected reports whether the profile names a protected place.
func (c *compiler) unprotected(p, name string) bool {
	for _, u := range c.pol.Filesystem.Unprotect {
		if u.Path == p || u.Path == name {
			return true
		}
	}
	for _, w := range c.pol.Filesystem.Write {
		if w.Path == p {
			return true
		}
	}
	return false
}

// mask hides a path below something that is visible.
func (c *compiler) mask(r policy.Path) {
	f := c.host.Paths[r.Path]
	if !f.Exists || !c.visible(f.Real) {
		return // what is not there need not be hidden
	}
	c.plan.Root = append(c.plan.Root, Mount{Kind: MountMask, Target: f.Real, Dir: f.Dir, Why: "denied", At: at(r.At)})
}

// sockets makes the folders in which the egress puts the sockets it serves.
func (c *compiler) sockets() {
	for _, s := range c.pol.Sockets {
		c.plan.Root = append(c.plan.Root, Mount{Kind: MountTmpfs, Target: path.Dir(s.Path), Bytes: 64 << 10, Inodes: 16, Mode: 0o755,
			Why: "a socket that mcpen joins to the host's", At: at(s.At)})
	}
}

// own refuses a profile that would show the server mcpen's own files: a server
// that can change its profile, its lock or its log is not held by them.
func (c *compiler) own() {
	for _, m := range c.plan.Root {
		if m.Kind != MountBind {
			continue
		}
		for _, dir := range []string{c.host.Config, c.host.Runtime} {
			if dir != "" && (under(m.Source, dir) || under(dir, m.Source)) {
				c.problem(Problem{At: m.At, Text: fmt.Sprintf("cannot give %q: mcpen keeps its own files in %q", m.Source, dir)})
			}
		}
		if s := c.host.State; s != "" && (under(s, m.Source) || under(m.Source, s) && !under(m.Source, path.Join(s, "servers")) && !under(m.Source, path.Join(s, "store"))) {
			c.problem(Problem{At: m.At, Text: fmt.Sprintf("cannot give %q: mcpen keeps its own files in %q", m.Source, s)})
		}
	}
}

// settle puts the mounts in an order in which each one's parent is there
// first, drops repeated ones and lets the wider of two rights on one path win
// where the profile wrote both.
func (c *compiler) settle() {
	rank := func(m Mount) int {
		switch m.Kind {
		case MountMask:
			return 2 // over everything
		case MountSymlink:
			return 1
		}
		return 0
	}
	root := c.plan.Root
	sort.SliceStable(root, func(i, j int) bool {
		if a, b := rank(root[i]) == 2, rank(root[j]) == 2; a != b {
			return b
		}
		if a, b := depth(root[i].Target), depth(root[j].Target); a != b {
			return a < b
		}
		return root[i].Target < root[j].Target
	})
	out := root[:0]
	seen := map[string]int{}
	for _, m := range root {
		i, again := seen[m.Target]
		if !again || m.Kind == MountMask {
			seen[m.Target] = len(out)
			out = append(out, m)
			continue
		}
		if have := &out[i]; have.Kind == MountBind && m.Kind == MountBind {
			if strings.HasPrefix(have.Why, "protected") || strings.HasPrefix(m.Why, "protected") {
				continue
			}
			have.Writable = have.Writable || m.Writable
		} else if m.Kind == MountBind || m.Kind == MountTmpfs && have.Kind == MountDir {
			out[i] = m
		}
	}
	c.plan.Root = out
}

func depth(p string) int { return strings.Count(p, "/") }
