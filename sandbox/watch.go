package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/notify"
	"mcpen/sandbox/plan"
)

// watch reports calls that were refused, or that fail for want of a rule. It decides
// nothing. Its methods may be called from any goroutine.
type watch struct {
	filter   plan.Seccomp
	roots    audit.Roots
	judge    notify.Judge
	report   func(audit.Event) error
	warnOf   func(audit.Event) // says a refusal to the person
	barred   func(notify.Call) // takes refused connections
	inFlight func() *audit.Request
}

// serve answers the filter's listener until the last process inside is gone. The
// filter refuses a call with the errno that is reported here.
func (w *watch) serve(listener *os.File) {
	defer listener.Close()
	err := notify.Serve(context.Background(), int(listener.Fd()), w.filter, w.judge, w.saw)
	if err != nil {
		w.report(audit.Event{Kind: audit.KindLog, Verdict: audit.Observed, Subject: "refused system calls are not logged any more", Detail: err.Error()})
	}
}

// mediated takes a call that the mediator, pid 1, reports. pid 1 sees nothing outside:
// it reports every open that fails for want of a file.
func (w *watch) mediated(data []byte) {
	var c notify.Call
	if err := json.Unmarshal(data, &c); err != nil {
		w.report(audit.Event{Kind: audit.KindLog, Verdict: audit.Observed, Subject: "a refused call is not logged", Detail: err.Error()})
		return
	}
	if c.Path != "" && c.Place == "" && c.Single == "" && !c.Socket && c.Errno == unix.ENOENT && !exists(c.Path) && !exists(filepath.Dir(c.Path)) {
		return
	}
	w.saw(c)
}

// saw reports one call.
func (w *watch) saw(c notify.Call) {
	if c.Addr.IsValid() {
		w.barred(c)
		return
	}
	e := audit.Event{Kind: audit.KindSyscall, Verdict: audit.Refused, Subject: c.Name, Errno: unix.ErrnoName(c.Errno),
		PID: c.PID, Program: c.Program, Request: w.inFlight()}
	switch {
	case c.Socket:
		e.Kind, e.Subject = audit.KindConnect, c.Path
		e.Detail = "the profile names no such socket"
		e.Grant = w.roots.AllowSocket(c.Path)
	case c.Single != "":
		e.Kind, e.Subject = audit.KindFile, c.Path
		e.Detail, e.Grant = w.single(c)
	case c.Place != "":
		e.Kind, e.Subject = audit.KindFile, c.Path
		e.Detail = c.Why + ", and stays as it is"
		e.Grant = w.roots.AllowPath("unprotect", c.Place)
	case c.Path != "":
		e.Kind, e.Subject = audit.KindFile, c.Path
		e.Detail = "the profile declares no path that holds it"
		e.Grant = w.roots.AllowPath("read", c.Path)
	}
	w.report(e)
	if c.Place != "" || c.Single != "" || c.Socket {
		w.warnOf(e)
	}
}

// single says why a change beside a declared file, or in its place, fails, and returns
// the grant that would allow it.
func (w *watch) single(c notify.Call) (detail string, grant *audit.Grant) {
	detail = fmt.Sprintf("a rule names the one file %q, beside which nothing is made and which no rename replaces", c.Single)
	if c.Path == c.Single {
		detail = "a rule names this one file, which no rename replaces or takes away"
	}
	if c.Folder == "" {
		return detail + "; in a folder of its own, which a rule names, it could be", nil
	}
	return detail, w.roots.AllowPath("write", c.Folder)
}

// exists reports whether a path is there outside. A path that is nowhere was not kept
// from the server.
func exists(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil
}
