package plan

import "mcpen/sandbox/policy"

// Tri is the answer of a probe. The zero value is "cannot tell", which no part
// of mcpen takes for yes.
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
	Why string `json:"why,omitempty"` // the step that failed and its errno, or what could not be asked
}

// Host is what a machine can enforce and what its file system holds, as far as
// one policy asks. Package host fills it in by doing, never by guessing from a
// version; Compile only reads it.
type Host struct {
	Kernel  string `json:"kernel,omitempty"` // uname -r
	Arch    string `json:"arch,omitempty"`   // GOARCH
	UID     int    `json:"uid"`
	GID     int    `json:"gid"`
	Umask   int    `json:"umask"` // of whoever starts mcpen; the server keeps it
	User    string `json:"user,omitempty"`
	Home    string `json:"home,omitempty"`    // as the environment names it
	Runtime string `json:"runtime,omitempty"` // where a run keeps what it needs while it runs
	State   string `json:"state,omitempty"`   // mcpen's own state directory; never visible inside
	Config  string `json:"config,omitempty"`
	// Login is where Home, State and Config are by the password database.
	Login Dirs `json:"login,omitzero"`
	// Desk is what the program is shown in the user's place, in a trial.
	Desk *Desk `json:"desk,omitempty"`

	Cwd  string `json:"cwd,omitempty"`  // the workspace that was named, else where mcpen was started
	Zone string `json:"zone,omitempty"` // target of /etc/localtime, "" where there is none

	Namespaces Fact `json:"namespaces"` // the whole recipe's namespaces, mount of proc included
	Landlock   int  `json:"landlock"`   // ABI; 0: none
	Errata     int  `json:"errata,omitempty"`
	Seccomp    Fact `json:"seccomp"`
	Notify     Fact `json:"notify"`    // user notification
	Mediation  Fact `json:"mediation"` // user notification that hands over descriptors, and memory that may be read
	Routes     Fact `json:"routes"`    // local default routes inside a network namespace
	Memfd      Fact `json:"memfd"`     // executing a sealed memfd

	Cgroup Cgroup `json:"cgroup"`

	// Git are the user's settings of git that a server for git is given: names and
	// values, in order.
	Git []Env `json:"git,omitempty"`
	// Proxies are what mcpen's environment names.
	Proxies Proxies `json:"proxies,omitzero"`
	// Certificates are what the variables of Bundles name, in PEM, by variable:
	// certificates and nothing else, whatever else is in the file.
	Certificates map[string]string `json:"certificates,omitempty"`
	// Leads are the places, anywhere, that protected places of the user's home and the
	// user's git lead to; Named are paths that this git runs in every repository,
	// relative to it. Both are filled in where a folder is asked as writable.
	Leads []Held   `json:"leads,omitempty"`
	Named []string `json:"named,omitempty"`
	// Grounds are the folders in which somebody that nobody vouches for could have
	// made a symlink, without symlinks themselves.
	Grounds []Ground `json:"grounds,omitempty"`

	// Env holds the variables of EnvNames that are set.
	Env map[string]string `json:"env,omitempty"`
	// Paths holds a fact for every path that was asked, by the path as asked.
	Paths map[string]PathFact `json:"paths,omitempty"`
}

// Cgroup says which controllers can limit a server here, and how.
type Cgroup struct {
	How         LimitHow `json:"how,omitempty"`         // "" where none can be had
	Path        string   `json:"path,omitempty"`        // of the parent in which a group may be made
	Controllers []string `json:"controllers,omitempty"` // "memory", "pids", "cpu"
	Why         string   `json:"why,omitempty"`
}

// PathFact is what one path is.
type PathFact struct {
	Exists bool   `json:"exists"`
	Dir    bool   `json:"dir,omitempty"`
	Real   string `json:"real,omitempty"` // with every symlink resolved
	// Links are the symlinks on the way, outermost first, each absolute with
	// its text: they are made again inside so that the name works there too.
	Links  []Link `json:"links,omitempty"`
	Socket bool   `json:"socket,omitempty"`
	Err    string `json:"err,omitempty"` // why it could not be looked at
	// Below lists the protected places that exist directly in a writable folder, or
	// by a name of several elements, relative to it and sorted; filled in only for
	// folders asked as writable. Each of them has a fact of its own, by its full path.
	Below []string `json:"below,omitempty"`
}

// Dirs are the directories of one user.
type Dirs = policy.Dirs

// Ground is a folder with content that a server or a repository could have made.
type Ground struct {
	Dir string `json:"dir"`
	Who string `json:"who"` // who could have: completes "which … could have made"
}

// Link is a symlink and its text.
type Link struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// Program is what is to be executed and what it needs to be able to run, found
// by following PATH, shims, symlinks and shebang lines, or by package pack in
// its store.
type Program struct {
	Path string   `json:"path"` // absolute; what is given to execve
	Args []string `json:"args"` // Args[0] included
	// Needs are the paths without which it cannot run: its version root, its
	// interpreter's, the script's package root. All are granted read-only.
	Needs []Need `json:"needs,omitempty"`
	// Env are variables that the runtime needs, such as PATH.
	Env []Env `json:"env,omitempty"`
	// Via tells a person how Path was found: "nvm shim /…/npx → …".
	Via []string `json:"via,omitempty"`
	// Tree is the hash of the locked package tree, where it is one.
	Tree string `json:"tree,omitempty"`
	// Install is set for a tool that installs a package, and is no server.
	Install *Install `json:"install,omitempty"`
}

// Install is what a tool that installs a package has and a server has not.
type Install struct {
	// Dir is the folder of mcpen's own that it fills: nothing in it is protected,
	// and it may be given although it lies in mcpen's state.
	Dir string `json:"dir"`
	// Env is the whole environment: what a policy, a runtime or a desk would add
	// is not.
	Env []Env `json:"env"`
	// Umask is the same for everybody, because it becomes part of a tree's hash.
	Umask int `json:"umask"`
}

// Beside is how the reason of a need begins that is a folder for the sake of one
// script in it.
const Beside = "what lies beside "

// Need is one path that a program needs and why.
type Need struct {
	Path string `json:"path"`
	Why  string `json:"why"`
	// Led are the symlinks and the scripts that chose the path. Who may write one
	// of them chooses what is granted. The runtimes of version managers, which hold
	// nothing of the user's, have none.
	Led []string `json:"led,omitempty"`
}
