package server

import (
	"path/filepath"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

// NotStarted writes into a server's log why it did not start. A client shows its person
// an exit code at most, and "mcpen log NAME" then has the cause. If no log can be kept,
// the error itself is all there is.
func (c *Caller) NotStarted(p Prepared, err error) {
	ch := p.said
	if p.Dirs.State == "" || origin.Repository(p.Dirs, p.Dirs.State) != "" {
		return
	}
	name, what := p.Policy.Name, ch.Profile
	if name == "" && ch.Unwritten() {
		name = c.ServerName(p.Dirs, ch)
	}
	if name == "" {
		// The file identifies a profile with mistakes, too: a repository's errors must
		// not get into the log of the person's server of that name.
		unread := &policy.Profile{Name: strings.TrimSuffix(filepath.Base(ch.Profile), ".toml")}
		if strings.Contains(ch.Profile, "/") || strings.HasSuffix(ch.Profile, ".toml") {
			unread.Sources = []policy.Source{{File: ch.Profile}}
		}
		var errName error
		if name, errName = catalog.Identity(p.Dirs, unread, true); errName != nil {
			return
		}
	}
	if len(ch.Command) > 0 {
		what = strings.Join(audit.RedactArgs(ch.Command), " ")
	}
	log, errLog := audit.Open(user.LogDir(p.Dirs), audit.Options{Server: name})
	if errLog != nil {
		return
	}
	defer log.Close()
	e := launch.NotStarted(err)
	e.Subject = what
	_ = log.Write(e) // the caller reports the error itself
}
