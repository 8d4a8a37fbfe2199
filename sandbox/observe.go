package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/child"
	"mcpen/sandbox/internal/seccomp"
)

// observe answers the filter's listener until the last process inside is gone.
// It decides nothing: a refused call is refused by the filter with the errno
// that is told here.
func (b *Box) observe(listener *os.File) {
	defer listener.Close()
	err := seccomp.Serve(context.Background(), int(listener.Fd()), b.plan.Seccomp, b.judge(), b.saw)
	if err != nil {
		b.record(audit.Event{Kind: audit.KindLog, Verdict: audit.Observed, Subject: "refused system calls are not logged any more", Detail: err.Error()})
	}
}

// mediated takes what the mediator tells of a call. It cannot know what lies
// outside, and tells of every open that fails for want of a file.
func (b *Box) mediated(m child.Message) {
	var c seccomp.Call
	if err := json.Unmarshal(m.Data, &c); err != nil {
		b.record(audit.Event{Kind: audit.KindLog, Verdict: audit.Observed, Subject: "a refused call is not logged", Detail: err.Error()})
		return
	}
	if c.Path != "" && c.Place == "" && c.Single == "" && !c.Socket && c.Errno == unix.ENOENT && !exists(c.Path) && !exists(filepath.Dir(c.Path)) {
		return
	}
	b.saw(c)
}

// saw records one call that was refused, or that fails for want of a rule.
func (b *Box) saw(c seccomp.Call) {
	if c.Addr.IsValid() {
		b.dialled(c)
		return
	}
	e := audit.Event{Kind: audit.KindSyscall, Verdict: audit.Refused, Subject: c.Name, Errno: unix.ErrnoName(c.Errno),
		PID: c.PID, Program: c.Program, Request: b.inFlight()}
	switch {
	case c.Socket:
		e.Kind, e.Subject = audit.KindConnect, c.Path
		e.Detail = "the profile names no such socket"
		e.Grant = b.plan.Roots().AllowSocket(c.Path)
	case c.Single != "":
		e.Kind, e.Subject = audit.KindFile, c.Path
		e.Detail, e.Grant = b.single(c)
	case c.Place != "":
		e.Kind, e.Subject = audit.KindFile, c.Path
		e.Detail = c.Why + ", and stays as it is"
		e.Grant = b.plan.Roots().AllowPath("unprotect", c.Place)
	case c.Path != "":
		e.Kind, e.Subject = audit.KindFile, c.Path
		e.Detail = "the profile declares no path that holds it"
		e.Grant = b.plan.Roots().AllowPath("read", c.Path)
	}
	b.record(e)
	if c.Place != "" || c.Single != "" || c.Socket {
		b.tell(e)
	}
}

// single says why a change beside a declared file, or in its place, fails, and what
// would allow it.
func (b *Box) single(c seccomp.Call) (detail string, grant *audit.Grant) {
	detail = fmt.Sprintf("a rule names the one file %q, beside which nothing is made and which no rename replaces", c.Single)
	if c.Path == c.Single {
		detail = "a rule names this one file, which no rename replaces or takes away"
	}
	if c.Folder == "" {
		return detail + "; in a folder of its own, which a rule names, it could be", nil
	}
	return detail, b.plan.Roots().AllowPath("write", c.Folder)
}

// record gives an event to the sink. A sink that fails and may stop the run has
// said so to the relay already or will with the next line; here it ends the
// server.
func (b *Box) record(e audit.Event) { _ = b.recorded(e) }

// recorded is record for whoever wants the error too.
func (b *Box) recorded(e audit.Event) error {
	e = b.advised(e)
	err := b.sink(e)
	if err != nil {
		b.kill()
	}
	b.inform(e)
	return err
}

// advised is an event whose hint is the command that would allow it, where there
// is one.
func (b *Box) advised(e audit.Event) audit.Event {
	if e.Hint == "" {
		e.Hint = e.Grant.Command(b.allow)
	}
	return e
}

// exists reports whether a path is there outside: only what is there was kept
// from the server.
func exists(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil
}
