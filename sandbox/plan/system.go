package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"mcpen/sandbox/policy"
)

// systemPath is one path of the host's system.
type systemPath struct {
	path, why string
	copy      bool // a small file
}

// system lists the paths of the host's system that every server gets, each only if it
// exists: programs, libraries, time zones, certificates. None of them contains a secret
// of the system (/etc/ssl/private, /etc/shadow and the like are not in the list).
//
// A mount costs about a fifth of a millisecond at every start; a copy of a small file
// costs a twentieth of that.
var system = []systemPath{
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

// SystemCertificates reports whether a server with the policy sees the file in any case,
// since the file lies among the system's certificates.
func SystemCertificates(pol policy.Policy, file string) bool {
	below := func(dir string) bool { return file == dir || strings.HasPrefix(file, strings.TrimSuffix(dir, "/")+"/") }
	return slices.ContainsFunc(system, func(s systemPath) bool { return s.why == "certificates" && below(s.path) }) &&
		!slices.ContainsFunc(pol.Filesystem.Deny, func(p policy.Path) bool { return below(p.Path) })
}

// devices are the six device nodes of the root. None of them leads to hardware.
// /dev/tty fails to open, since the server has no controlling terminal (tty(4)).
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// system adds the system paths that the host has.
func (c *compiler) system() {
	for _, s := range system {
		f := c.host.Paths[s.path]
		if !f.Exists {
			continue
		}
		// A link to another part of the system (merged /usr, /etc/localtime) stays a
		// link.
		if len(f.Links) > 0 && f.Links[0].Path == s.path && c.systemic(f.Real) {
			c.add(fromSystem, Mount{Kind: MountSymlink, Target: s.path, Source: f.Links[0].Text, Why: s.why})
			continue
		}
		m := Mount{Kind: MountBind, Source: f.Real, Target: s.path, Dir: f.Dir, Exec: true, Why: s.why}
		if s.copy && !f.Dir && c.plan.Holds(layerNamespaces) {
			m = Mount{Kind: MountCopy, Source: f.Real, Target: s.path, Mode: 0o644, Why: s.why}
		}
		c.add(fromSystem, m)
	}
}

// systemic reports whether a path lies in a system folder that the plan binds.
func (c *compiler) systemic(p string) bool {
	for _, s := range system {
		if f := c.host.Paths[s.path]; f.Exists && f.Real == s.path && under(p, s.path) && (f.Dir || p == s.path) {
			return !s.copy
		}
	}
	return false
}

// customary makes the devices, the private file systems and the names that every
// program expects.
func (c *compiler) customary() {
	tmp, inodes := int64(c.pol.Limits.Tmp), int64(c.pol.Limits.TmpFiles)
	private := func(target string, mode uint32, exec bool, why string) {
		c.add(fromUs, Mount{Kind: MountTmpfs, Target: target, Bytes: tmp, Inodes: inodes, Mode: mode, Writable: true, Exec: exec, Why: why})
	}
	link := func(target, text, why string) {
		c.add(fromUs, Mount{Kind: MountSymlink, Target: target, Source: text, Why: why})
	}
	c.add(fromUs, Mount{Kind: MountProc, Target: "/proc", Why: "the server's own processes"})
	c.add(fromUs, Mount{Kind: MountDir, Target: "/dev", Why: "device nodes"})
	c.devices()
	c.terminals()
	private("/dev/shm", 0o1777, false, "private shared memory")
	link("/dev/fd", "/proc/self/fd", "customary name")
	link("/dev/stdin", "/proc/self/fd/0", "customary name")
	link("/dev/stdout", "/proc/self/fd/1", "customary name")
	link("/dev/stderr", "/proc/self/fd/2", "customary name")
	private("/tmp", 0o1777, true, "private /tmp")
	private(c.home(), 0o700, true, "private home")
	link("/var/tmp", "/tmp", "customary name")
	c.add(fromUs, Mount{Kind: MountDir, Target: "/run", Why: "empty"})
}

func (c *compiler) devices() {
	for _, d := range devices {
		c.add(fromUs, Mount{Kind: MountDevice, Source: "/dev/" + d, Target: "/dev/" + d, Why: "device node"})
	}
}

// terminals makes the sandbox's own terminals if the profile asks for them; without
// namespaces they would be the user's.
func (c *compiler) terminals() {
	switch {
	case c.pol.Process.PTY:
		c.add(fromUs, Mount{Kind: MountPTY, Target: "/dev/pts", Writable: true, Why: "terminals of the server's own", At: at(c.pol.Process.At)})
	case c.host.Desk == nil:
		c.add(fromUs, Mount{Kind: MountPipe, Target: Terminals, Mode: 0o666, Why: "who asks for a terminal is told that there are none"})
	}
}

// Terminals is the device that makes terminals; /dev/ptmx links to it. A server without
// terminals gets a pipe there, and programs report that it is not a terminal.
const Terminals = "/dev/pts/ptmx"

// etc makes the files of a synthetic /etc: those from which programs learn their user,
// and nothing of the host's.
func (c *compiler) etc() {
	h := c.host
	user := c.user()
	file := func(name, content string) {
		c.add(fromUs, Mount{Kind: MountFile, Target: "/etc/" + name, Content: content, Mode: 0o644, Why: "made by mcpen"})
	}
	passwd := fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", user, h.UID, h.GID, c.home())
	group := fmt.Sprintf("%s:x:%d:\n", user, h.GID)
	if h.UID != 0 {
		passwd = "root:x:0:0::/nonexistent:/usr/sbin/nologin\n" + passwd
	}
	if h.GID != 0 {
		group = "root:x:0:\n" + group
	}
	file("passwd", passwd+"nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n")
	file("group", group+"nogroup:x:65534:\n")
	if text := c.gitFile(); text != "" {
		file("gitconfig", text)
	}
	certificates, _ := c.bundles()
	for _, m := range certificates {
		c.add(fromUs, m)
	}
	file("hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 "+c.hostname()+"\n")
	file("hostname", c.hostname()+"\n")
	file("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n")
	file("host.conf", "multi on\n")
	file("machine-id", strings.Repeat("0", 31)+"1\n")
	resolv := "# no network: the profile allows none\n"
	if len(c.pol.Network.Allow) > 0 || h.Desk != nil {
		resolv = "nameserver " + Resolver + "\noptions timeout:5 attempts:1\n"
	}
	file("resolv.conf", resolv)
}

// Hostname is the name of every sandbox.
const Hostname = "mcpen"

// Resolver is the address of the DNS server inside. Any address would do, since all of
// them lead to the egress. This one is reserved for documentation (RFC 5737), so no
// machine has it.
const Resolver = "192.0.2.53"

// Home is the server's HOME: a private file system, empty at the start and gone at the
// end. It never has the path of the user's own home. Otherwise a folder declared below
// that path would lie in a writable folder, and Landlock's rules add up along a path:
// the rule for the home would apply to the folder, too (landlock(7)). The user's home
// exists inside only as far as something below it is declared or needed.
const Home = "/run/home"

func (c *compiler) user() string {
	if c.host.Desk != nil {
		return c.host.Desk.User
	}
	if c.host.User == "" {
		return "user"
	}
	return c.host.User
}

// ProcMasked are the places of /proc that are hidden because they describe the whole
// machine. Places that the kernel does not have are skipped.
var ProcMasked = []string{
	"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/scsi",
	"/proc/sched_debug", "/proc/timer_stats",
}

// ProcMaskedRoot are additional hidden places if root runs the server: root owns these
// files, and the server's uid outside of its namespace is root's.
var ProcMaskedRoot = []string{
	"/proc/kallsyms", "/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup", "/proc/slabinfo", "/proc/timer_list", "/proc/vmallocinfo",
	"/proc/sysrq-trigger",
}

// ProcReadonly are the places of /proc that are readable but not writable. The server's
// uid owns the network namespace and could otherwise set its sysctls.
var ProcReadonly = []string{"/proc/sys"}

// ProcReadonlyRoot are additional read-only places if root runs the server.
var ProcReadonlyRoot = []string{"/proc/bus", "/proc/driver", "/proc/fs", "/proc/irq", "/proc/tty"}

// bareProc lists the parts of /proc that are visible without a pid namespace: the
// process's own directory and the files that runtimes read about the machine. Other
// processes' directories stay closed, since a command line may hold a secret.
var bareProc = []string{"/proc/self", "/proc/cpuinfo", "/proc/filesystems", "/proc/loadavg", "/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/version",
	"/proc/sys/kernel/osrelease", "/proc/sys/vm/overcommit_memory"}

// scratch replaces the private file systems and /proc if there are no namespaces.
func (c *compiler) scratch() {
	for _, p := range bareProc {
		c.add(fromUs, Mount{Kind: MountProc, Target: p, Why: "what runtimes ask of the machine"})
	}
	if c.pol.Process.PTY {
		c.problem(Problem{At: at(c.pol.Process.At), Lack: layerNamespaces, Text: "cannot give a terminal without namespaces: it would be one of the user's",
			Hint: "take [process] pty out of the profile"})
	}
	c.plan.Scratch = path.Join(c.host.Runtime, "scratch", c.pol.Name)
	c.add(fromUs, Mount{Kind: MountDir, Target: c.plan.Scratch, Writable: true, Why: "home and temporary files of this server"})
}
