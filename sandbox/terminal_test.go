package sandbox

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// pipeOf is the terminal of a root that has one where a server would open it.
func pipeOf(t *testing.T) (*terminal, string) {
	t.Helper()
	rootfs := t.TempDir()
	name := filepath.Join(rootfs, plan.Terminals)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	term, err := newTerminal(rootfs, plan.Plan{Root: []plan.Mount{{Kind: plan.MountPipe, Target: plan.Terminals}}})
	if err != nil {
		t.Fatal(err)
	}
	return term, name
}

func open(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// A server that asks for a terminal is reported once, however often it asks, and also
// where it asks just before its end.
func TestTerminalIsAskedForOnce(t *testing.T) {
	for name, early := range map[string]bool{"while it runs": true, "at the end": false} {
		term, fifo := pipeOf(t)
		var reports atomic.Int32
		reported := make(chan struct{}, 8)
		report := func() { reports.Add(1); reported <- struct{}{} }
		if early {
			term.await(report)
			open(t, fifo)
			<-reported
		}
		open(t, fifo)
		if term.end(report); reports.Load() != 1 {
			t.Errorf("%s: %d reports", name, reports.Load())
		}
	}
	term, _ := pipeOf(t)
	term.await(func() { t.Error("nobody asked") })
	term.end(func() { t.Error("nobody asked at the end") })
	none, err := newTerminal(t.TempDir(), plan.Plan{})
	if none != nil || err != nil {
		t.Fatal(none, err)
	}
	none.await(nil) // a server that has terminals
	none.end(nil)
}
