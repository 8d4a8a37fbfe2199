package plan

import (
	"path"
	"slices"

	"mcpen/sandbox/policy"
)

// Tri is the answer of a probe. The zero value means "cannot tell"; no part of mcpen
// treats it as yes.
type Tri string

// The answers.
const (
	Unknown Tri = ""
	Yes     Tri = "yes"
	No      Tri = "no"
)

// Fact is one answer with its reason.
type Fact struct {
	Is  Tri    `json:"is"`
	Why string `json:"why,omitempty"` // the step that failed and its errno, or the question that the probe could not ask
}

// Host describes the layers that a machine can enforce, and its file system as far as
// one policy needs. Package host fills it in by trying, never by guessing from a
// version; Compile only reads it.
type Host struct {
	Kernel  string `json:"kernel,omitempty"` // uname -r
	Arch    string `json:"arch,omitempty"`   // GOARCH
	UID     int    `json:"uid"`
	GID     int    `json:"gid"`
	Admin   bool   `json:"admin,omitempty"`   // UID is 0 and may enter mount namespaces of its own making; a container's root mostly may not
	Counted bool   `json:"counted,omitempty"` // RLIMIT_NPROC holds the user; the kernel does not count the processes of the machine's own root
	Umask   int    `json:"umask"`             // of whoever starts mcpen; the server keeps it
	User    string `json:"user,omitempty"`
	Home    string `json:"home,omitempty"`    // from the environment
	Runtime string `json:"runtime,omitempty"` // for files that a run needs while it runs
	State   string `json:"state,omitempty"`   // mcpen's own state directory; never visible inside
	Config  string `json:"config,omitempty"`
	// Login holds Home, State and Config by the password database.
	Login Dirs `json:"login,omitzero"`
	// Desk is the user and machine that a trial shows instead of the real ones.
	Desk *Desk `json:"desk,omitempty"`

	Cwd  string `json:"cwd,omitempty"`  // the named workspace, or the directory where mcpen was started
	Zone string `json:"zone,omitempty"` // target of /etc/localtime; "" if absent

	Namespaces Fact `json:"namespaces"` // all namespaces that a start needs, mount of proc included
	Landlock   int  `json:"landlock"`   // ABI; 0: none
	Errata     int  `json:"errata,omitempty"`
	Seccomp    Fact `json:"seccomp"`
	Notify     Fact `json:"notify"`    // user notification
	Mediation  Fact `json:"mediation"` // user notification that hands over descriptors, and readable memory of the server
	Routes     Fact `json:"routes"`    // local default routes inside a network namespace
	Memfd      Fact `json:"memfd"`     // executing a sealed memfd

	Cgroup Cgroup `json:"cgroup"`

	// Git holds the user's git settings for a server that uses git: names and values,
	// in order.
	Git []Env `json:"git,omitempty"`
	// Proxies are the proxies that mcpen's environment names.
	Proxies Proxies `json:"proxies,omitzero"`
	// Certificates holds the certificates of each variable of Bundles, in PEM. Other
	// content of the named files is left out.
	Certificates map[string]string `json:"certificates,omitempty"`
	// Trusted holds the file of each variable of Bundles that names one of
	// SystemCertificates; Certificates has none for it.
	Trusted map[string]string `json:"trusted,omitempty"`
	// Leads are the places, anywhere, to which the protected places of the user's home
	// and the user's git lead. Named are paths, relative to a repository, that this git
	// runs in every repository. Both are filled in only if a folder was asked for as
	// writable.
	Leads []ProtectedPlace `json:"leads,omitempty"`
	Named []string         `json:"named,omitempty"`
	// Grounds are the folders, with symlinks resolved, in which somebody untrusted
	// could have made a symlink.
	Grounds []Ground `json:"grounds,omitempty"`

	// Env holds the variables of EnvNames that are set.
	Env map[string]string `json:"env,omitempty"`
	// Paths holds a fact for every path of Asks, keyed by the path as asked.
	Paths map[string]PathFact `json:"paths,omitempty"`
}

// Cgroup says which controllers can limit a server here, and by which mechanism.
type Cgroup struct {
	How         LimitHow `json:"how,omitempty"`         // "" if no mechanism works
	Path        string   `json:"path,omitempty"`        // the parent in which mcpen may make a group
	Controllers []string `json:"controllers,omitempty"` // "memory", "pids", "cpu"
	Why         string   `json:"why,omitempty"`
}

// PathFact describes one path.
type PathFact struct {
	Exists bool   `json:"exists"`
	Dir    bool   `json:"dir,omitempty"`
	Real   string `json:"real,omitempty"` // with every symlink resolved
	// Links are the symlinks on the way, outermost first, each absolute with its text.
	// mcpen makes them again inside so that the name works there too.
	Links  []Link `json:"links,omitempty"`
	Socket bool   `json:"socket,omitempty"`
	Err    string `json:"err,omitempty"` // why the probe could not examine it
	// Below lists the protected places that exist directly in a writable folder, or by
	// a name of several elements; relative to the folder and sorted. It is filled in
	// only for folders asked for as writable. Each place has a fact of its own, keyed
	// by its full path.
	Below []string `json:"below,omitempty"`
}

// Dirs are the directories of one user.
type Dirs = policy.Dirs

// Ground is a folder whose content a server or a repository could have made.
type Ground struct {
	Dir string `json:"dir"`
	Who string `json:"who"` // the possible author: completes "which … could have made"
}

// Link is a symlink and its text.
type Link struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// Program is the program to execute and the paths it needs. Package host finds it
// through PATH, shims, symlinks and shebang lines, or package pack in its store.
type Program struct {
	Path string   `json:"path"` // absolute; the argument of execve
	Args []string `json:"args"` // Args[0] included
	// Needs are the paths without which the program cannot run: its version root, its
	// interpreter's, the script's package root. The plan grants all of them read-only.
	Needs []Need `json:"needs,omitempty"`
	// Env are variables that the runtime needs, such as PATH.
	Env []Env `json:"env,omitempty"`
	// Via tells a person how Path was found: "nvm shim /…/npx → …".
	Via []string `json:"via,omitempty"`
	// Tree is the hash of the locked package tree; "" if the program is in none.
	Tree string `json:"tree,omitempty"`
	// Install is set for a tool that installs a package; such a tool is not a server.
	Install *Install `json:"install,omitempty"`
}

// Install holds the settings that a package installer has and a server lacks.
type Install struct {
	// Dir is the folder of mcpen's own that the installer fills. Nothing in it is
	// protected, and the plan may grant it although it lies in mcpen's state.
	Dir string `json:"dir"`
	// Env is the whole environment. A policy, a runtime or a desk adds nothing to it.
	Env []Env `json:"env"`
	// Umask is the same for every user, because it affects the tree's hash.
	Umask int `json:"umask"`
}

// Beside begins the reason for a need that is a whole folder, granted for the sake of
// one script in it.
const Beside = "what lies beside "

// Need is one path that a program needs and why.
type Need struct {
	Path string `json:"path"`
	Why  string `json:"why"`
	// Led are the symlinks and the scripts that chose the path. Whoever may write one
	// of them chooses the granted path. The runtimes of version managers hold none of
	// the user's files and have no Led.
	Led []string `json:"led,omitempty"`
}

// Ask is a path whose facts Compile needs.
type Ask struct {
	Path     string
	Writable bool // the protected places below it are wanted too
}

// Asks lists the paths for which Compile(pol, prog, h) will read h.Paths. own are the
// directories that hold mcpen's own files: h.State, h.Config, h.Runtime and those of
// h.Login. If a symlink leads to one of them and own leaves it out, Compile refuses
// that directory by its name only.
//
// The caller must add a fact for every place in the Below of another fact, keyed by its
// full path.
func Asks(pol policy.Policy, prog Program, home string, own ...string) []Ask {
	var asks []Ask
	ask := func(paths ...string) {
		for _, p := range paths {
			asks = append(asks, Ask{Path: p})
		}
	}
	for _, s := range system {
		ask(s.path)
	}
	for _, dir := range append([]string{home}, own...) {
		if path.IsAbs(dir) {
			ask(upwards(dir)...)
		}
	}
	if path.IsAbs(prog.Path) {
		ask(prog.Path)
	}
	for _, n := range prog.Needs {
		ask(n.Path)
		ask(n.Led...)
	}
	if pol.Server.Dir != "" {
		ask(pol.Server.Dir)
	}
	for _, r := range pol.Filesystem.Read {
		ask(r.Path)
	}
	for _, r := range pol.Filesystem.Write {
		asks = append(asks, Ask{Path: r.Path, Writable: true})
		for _, tail := range tails("") {
			ask(path.Join(r.Path, tail))
		}
	}
	for _, r := range pol.Filesystem.Deny {
		ask(upwards(r.Path)...)
	}
	for _, r := range pol.Filesystem.Unprotect {
		ask(upwards(path.Dir(r.Path))...)
	}
	for _, s := range pol.Sockets {
		ask(s.Path)
		ask(upwards(path.Dir(s.Path))...)
	}
	for _, s := range pol.Env.Secret {
		if file, ok := secretFile(s.From); ok {
			ask(file)
		}
	}
	for _, b := range pol.Bounds {
		ask(boundPaths(b)...)
	}
	return asks
}

// boundPaths lists the paths of a baseline and their parents.
func boundPaths(b policy.Bounds) []string {
	var out []string
	for _, r := range slices.Concat(b.Read, b.Write, socketPaths(b.Connect)) {
		out = append(out, upwards(r.Path)...)
	}
	for _, u := range b.Unprotect {
		out = append(out, upwards(path.Dir(u.Path))...)
	}
	return out
}

// upwards lists a path and its parents. If the path does not exist yet, the deepest
// existing parent decides where it will lie.
func upwards(p string) []string {
	var out []string
	for p = path.Clean(p); p != "/" && p != "."; p = path.Dir(p) {
		out = append(out, p)
	}
	return out
}

// EnvNames lists the variables that the policy passes on from mcpen's own environment.
// The caller fills h.Env with those that are set.
func EnvNames(pol policy.Policy) []string {
	names := make([]string, len(pol.Env.Pass))
	for i, e := range pol.Env.Pass {
		names[i] = e.Name
	}
	return names
}
