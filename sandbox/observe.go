package sandbox

import (
	"context"
	"os"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/seccomp"
)

// observe answers the filter's listener until the last process inside is gone.
// It decides nothing: a refused call is refused by the filter with the errno
// that is told here.
func (b *Box) observe(listener *os.File) {
	defer listener.Close()
	err := seccomp.Serve(context.Background(), int(listener.Fd()), b.plan.Seccomp, seccomp.Judge{Path: exists, Addr: b.barred}, func(c seccomp.Call) {
		if c.Addr.IsValid() {
			b.dialled(c)
			return
		}
		e := audit.Event{Kind: audit.KindSyscall, Verdict: audit.Refused, Subject: c.Name, Errno: unix.ErrnoName(c.Errno),
			PID: c.PID, Program: c.Program, Request: b.carrier.inFlight()}
		if c.Path != "" {
			e.Kind, e.Subject = audit.KindFile, c.Path
			e.Detail = "the profile declares no path that holds it"
			e.Hint = "[filesystem] read = [\"" + c.Path + "\"]"
		}
		b.record(e)
	})
	if err != nil {
		b.record(audit.Event{Kind: audit.KindLog, Verdict: audit.Observed, Subject: "refused system calls are not logged any more", Detail: err.Error()})
	}
}

// record gives an event to the sink. A sink that fails and may stop the run has
// said so to the relay already or will with the next line; here it ends the
// server.
func (b *Box) record(e audit.Event) { _ = b.recorded(e) }

// recorded is record for whoever wants the error too.
func (b *Box) recorded(e audit.Event) error {
	err := b.sink(e)
	if err != nil {
		b.kill()
	}
	b.inform(e)
	return err
}

// exists reports whether a path is there outside: only what is there was kept
// from the server.
func exists(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil
}
