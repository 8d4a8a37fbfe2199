package plan

import (
	"fmt"

	"mcpen/sandbox/policy"
)

// Desk describes the invented user and machine of a trial: the program sees another
// user, another host name, a home in which nobody lives, and an internet that ends in
// the launcher. It gives nothing of the host's. With a Desk, every connection to any
// address and port goes to the launcher, which dials only the policy's hosts.
type Desk struct {
	User     string     `json:"user"`
	Hostname string     `json:"hostname"`
	Home     string     `json:"home"` // a private file system, in which Files are made
	Dir      string     `json:"dir"`  // where the program starts, in Home
	Init     string     `json:"init"` // the name of the first process
	Env      []Env      `json:"env,omitempty"`
	Files    []DeskFile `json:"files,omitempty"`
	// Over are files that replace the host's, such as certificates, where those exist.
	Over []Over `json:"over,omitempty"`
	// Moved are folders of the host that appear under another name, so that they do not
	// reveal who runs the program. The program already uses the new names and does not
	// need the old ones.
	Moved []Moved `json:"moved,omitempty"`
}

// DeskFile is one file in the desk's home at the start.
type DeskFile struct {
	Path    string `json:"path"` // absolute, in Home
	Content string `json:"content"`
	Mode    uint32 `json:"mode"`
	Time    int64  `json:"time"` // modification time, in seconds since 1970
}

// Over is one file that replaces another.
type Over struct {
	Target string `json:"target"` // a regular file, without symlinks on the way
	Source string `json:"source"`
}

// Moved is one folder that appears under another name.
type Moved struct {
	Source string `json:"source"` // without symlinks
	Target string `json:"target"`
	// Nameless is set where the machine can show the folder without its source's name.
	Nameless bool `json:"nameless,omitempty"`
}

// home is the path of the server's private home.
func (c *compiler) home() string {
	if c.host.Desk != nil {
		return c.host.Desk.Home
	}
	return Home
}

// hostname is the host name that the server sees.
func (c *compiler) hostname() string {
	if c.host.Desk != nil {
		return c.host.Desk.Hostname
	}
	return Hostname
}

// privates are the server's own file systems in which it may also make sockets and
// fifos.
func (c *compiler) privates() []string { return []string{"/dev/shm", "/tmp", "/var/tmp", c.home()} }

// desk adds the mounts for the desk's files and folders.
func (c *compiler) desk() {
	d := c.host.Desk
	if d == nil {
		return
	}
	if !c.plan.Holds(policy.LayerNamespaces) {
		c.problem(Problem{Lack: policy.LayerNamespaces, Text: "cannot try a program without namespaces: it would see this machine, and not another", Hint: "mcpen doctor"})
		return
	}
	for _, m := range d.Moved {
		c.add(fromDesk, Mount{Kind: MountBind, Source: m.Source, Target: m.Target, Dir: true, Exec: true, Nameless: m.Nameless, Why: "the package"})
	}
	for _, o := range d.Over {
		c.add(fromDesk, Mount{Kind: MountBind, Source: o.Source, Target: o.Target, Why: "certificates of the trial's own"})
	}
	for _, f := range d.Files {
		if !under(f.Path, d.Home) {
			c.problem(Problem{Text: fmt.Sprintf("internal error: the desk's %q is not in its home", f.Path)})
		}
	}
	c.plan.Desk = d
}
