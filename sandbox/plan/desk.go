package plan

import (
	"fmt"

	"mcpen/sandbox/policy"
)

// Desk is the place that stands in for the user's own in a trial: a program is
// shown another user, another machine's name, a home that nobody lives in, and an
// internet that ends in the launcher. It gives nothing of the host's: with one,
// every connection, to any address and port, goes to the launcher, and nothing
// else is dialled than what the policy's hosts name.
type Desk struct {
	User     string     `json:"user"`
	Hostname string     `json:"hostname"`
	Home     string     `json:"home"` // a private file system, in which Files are made
	Dir      string     `json:"dir"`  // where the program starts, in Home
	Init     string     `json:"init"` // what the first process calls itself
	Env      []Env      `json:"env,omitempty"`
	Files    []DeskFile `json:"files,omitempty"`
	// Over are files that are shown in the place of the host's, where those exist:
	// certificates.
	Over []Over `json:"over,omitempty"`
	// Moved are folders of the host's that are shown by another name, so that they do
	// not tell who runs the program. The program already names them so, and does not
	// need them by their own.
	Moved []Moved `json:"moved,omitempty"`
}

// DeskFile is one file that lies in the desk's home at the start.
type DeskFile struct {
	Path    string `json:"path"` // absolute, in Home
	Content string `json:"content"`
	Mode    uint32 `json:"mode"`
	Time    int64  `json:"time"` // when it was last changed, in seconds since 1970
}

// Over is one file that is shown in the place of another.
type Over struct {
	Target string `json:"target"` // a regular file, without symlinks on the way
	Source string `json:"source"`
}

// Moved is one folder that is shown by another name.
type Moved struct {
	Source string `json:"source"` // without symlinks
	Target string `json:"target"`
}

// home is where the server's private home is.
func (c *compiler) home() string {
	if c.host.Desk != nil {
		return c.host.Desk.Home
	}
	return Home
}

// hostname is what the server's machine is called.
func (c *compiler) hostname() string {
	if c.host.Desk != nil {
		return c.host.Desk.Hostname
	}
	return Hostname
}

// privates are the file systems of the server's own in which it may also make
// sockets and fifos.
func (c *compiler) privates() []string { return []string{"/dev/shm", "/tmp", "/var/tmp", c.home()} }

// desk puts the desk's files and folders in their places.
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
		c.add(fromDesk, Mount{Kind: MountBind, Source: m.Source, Target: m.Target, Dir: true, Exec: true, Why: "the package"})
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
