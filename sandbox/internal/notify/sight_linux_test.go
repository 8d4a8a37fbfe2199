package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/seccomp/seccomptest"
	"mcpen/sandbox/plan"
)

// A trial tells a person what a program did: each open, program, signal and connection
// with its call, its path without symlinks, and what came of it.
func TestSightsOfATrial(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"there": "x", "sub/in": "y", "prog": "#!/bin/sh\n:\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("sub/in", filepath.Join(dir, "way")); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	p := plan.Seccomp{On: true, Notify: true, Opens: true, Trace: true}
	script := fmt.Sprintf(`cd "$1"; read x < there; : > new; : >> way; (: < none) 2>/dev/null; ./prog one "two 2" $(printf '%%01000d' 0); kill -0 $$; : > /dev/tcp/127.0.0.1/%d; : > /dev/udp/127.0.0.1/9; exit 0`, port)
	cmd, listener := seccomptest.Listen(t, p, seccomptest.Job{Exec: []string{"bash", "-c", script, "bash", dir}})
	var seen []string
	err = Serve(context.Background(), int(listener.Fd()), p, Judge{Each: func(s Sight) {
		line := s.Name
		if s.Path != "" {
			line += " " + strings.ReplaceAll(s.Path, dir, "DIR")
		}
		for name, on := range map[string]bool{" to write": s.Write, " a folder": s.Dir, " by TCP": s.TCP} {
			if on {
				line += name
			}
		}
		if s.Errno != 0 {
			line += " " + unix.ErrnoName(s.Errno)
		}
		for _, a := range s.Args {
			line += " " + strings.ReplaceAll(a, dir, "DIR")
		}
		if s.Addr != (netip.AddrPort{}) {
			line += " " + s.Addr.String()
		}
		if s.Other != 0 && s.Other == s.PID {
			line += " itself"
		}
		if s.PID <= 0 || s.Parent <= 0 || s.Program == "" {
			t.Errorf("%+v", s)
		}
		seen = append(seen, line)
	}}, func(Call) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v", err, cmd.Stderr)
	}
	all := "\n" + strings.Join(seen, "\n") + "\n"
	for _, want := range []string{"openat DIR/there", "openat DIR/new to write ENOENT", "openat DIR/sub/in to write", "openat DIR/none ENOENT", "execve DIR/prog ./prog one two 2 " + strings.Repeat("0", maxArgument) + "…", "kill itself",
		fmt.Sprintf("connect by TCP 127.0.0.1:%d", port), "connect 127.0.0.1:9"} {
		if !strings.Contains(all, "\n"+want+"\n") {
			t.Errorf("nobody saw %q in%s", want, all)
		}
	}
}

// A call that the mediator answers gets that answer: an errno, a value, a descriptor or
// the kernel's own result; and what is read for it is the thread's.
func TestRequestsGetTheirAnswers(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "given"), []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := plan.Seccomp{On: true, Notify: true, Mediate: true}
	script := `cd "$1"; mkdir refused 2>&1; mkdir lied && ls -d lied 2>/dev/null; mkdir made && echo made; echo for the mediator > handed; chmod 600 bytes; exit 0`
	cmd, listener := seccomptest.Listen(t, p, seccomptest.Job{Exec: []string{"bash", "-c", script, "bash", dir}})
	var reports []Call
	l := NewListener(int(listener.Fd()), p, Judge{}, func(c Call) { reports = append(reports, c) })
	r := &Request{}
	for {
		err := l.Next(r)
		if errors.Is(err, ErrOver) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !r.Waits() || r.TID <= 0 {
			t.Errorf("%+v", r)
		}
		arg := 0
		if strings.HasSuffix(r.Name, "at") {
			arg = 1
		}
		name, _ := r.Path(arg)
		kept := r.Keep()
		if kept.Name != r.Name || kept.TID != r.TID || kept.Args != r.Args || !kept.Waits() {
			t.Errorf("kept %+v of %+v", kept, r)
		}
		switch filepath.Base(name) {
		case "refused":
			r.Report(Call{Path: dir + "/refused", Errno: unix.EDQUOT})
			err = r.Fail(unix.EDQUOT)
		case "lied":
			err = kept.Return(0)
		case "handed":
			var fd int
			if fd, err = unix.Open(filepath.Join(dir, "given"), unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0); err == nil {
				err = r.Hand(fd, true)
			}
			if unix.Close(fd) == nil {
				t.Error("the handed descriptor stays open here")
			}
		case "bytes":
			var b [5]byte
			if errno := r.Bytes(arg, b[:]); errno != 0 || string(b[:]) != "bytes" {
				t.Errorf("%q, %v", b, errno)
			}
			if errno := r.Bytes(arg, nil); errno != 0 {
				t.Errorf("no bytes: %v", errno)
			}
			r.Args[5] = 1
			if errno := r.Bytes(5, b[:]); errno != unix.EFAULT {
				t.Errorf("where nothing is: %v", errno)
			}
			if _, errno := r.Path(5); errno != unix.EFAULT {
				t.Errorf("a path where nothing is: %v", errno)
			}
			err = r.Return(0)
		default:
			err = r.Continue()
		}
		if err != nil {
			t.Errorf("%s %s: %v", r.Name, name, err)
		}
		if filepath.Base(name) == "refused" {
			if err := r.Return(0); !errors.Is(err, errGone) {
				t.Errorf("answered twice: %v", err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v", err, cmd.Stderr)
	}
	out := fmt.Sprint(cmd.Stdout)
	if !strings.Contains(out, "refused") || !strings.HasSuffix(out, "made\n") || strings.Contains(out, "\nlied") {
		t.Errorf("the server said %q", out)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "given")); err != nil || string(b) != "for the mediator\n" {
		t.Errorf("the handed file has %q, %v", b, err)
	}
	if len(reports) != 1 || reports[0].Errno != unix.EDQUOT || !strings.HasPrefix(reports[0].Name, "mkdir") || reports[0].PID <= 0 || reports[0].Program != "mkdir" || reports[0].Args == [6]uint64{} {
		t.Errorf("reported %+v", reports)
	}
}
