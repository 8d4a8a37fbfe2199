package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// deadline is the longest time of one probe. A probe that takes longer is ended and
// counts as refused with ETIMEDOUT. It only bounds probes that hang.
const deadline = 20 * time.Second

// Waits is the line that the program writes to stderr once it waits: until then the Go
// runtime still inspects the machine.
const Waits = "hostile: waits"

// Mark is the first argument of a program that carries the attacks beside something
// else: the arguments after it are for Main. A program with nothing else may omit it.
const Mark = "--attack"

// again runs the same program with a verb.
func again(program string, args ...string) *exec.Cmd {
	return exec.Command(program, append([]string{Mark}, args...)...)
}

// The verbs of the program. All but run and wait are for calls of itself, if a part of
// a probe needs another process.
const (
	verbRun    = "run"  // WORLD OUT ID…: every probe, each in a process of its own
	verbOne    = "one"  // WORLD OUT ID: one probe, in this process
	verbRead   = "read" // PATH: exit 0 if the file is readable, else 100+errno
	verbWho    = "who"  // exit with the effective user id's low byte
	verbWait   = "wait" // read stdin to its end
	verbProc   = "proc" // ARGV…: mount a /proc of this pid namespace and execute ARGV
	verbMutate = "mutate"
	verbStorm  = "storm"
	verbDaemon = "daemon" // start verbLinger, give descriptor 3 its pid, and end
	verbLinger = "linger" // never end
	verbOrphan = "orphan" // start a process that ends at once, print its pid and leave it
)

// Main is the hostile program. args are those after the program's name:
//
//	run WORLD OUT ID…    run the probes in this order ("all": the table)
//	wait                 wait for the end of stdin
//
// WORLD is a World in JSON, OUT the path of a file to which one Result is added
// a line. Main returns the exit code.
func Main(args []string, stdin io.Reader, stderr io.Writer) int {
	if len(args) > 0 && args[0] == Mark {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(stderr, "hostile: usage: run WORLD OUT ID… | wait")
		return 2
	}
	var err error
	switch verb, rest := args[0], args[1:]; verb {
	case verbRun, verbOne:
		if len(rest) < 3 {
			err = errors.New("want WORLD OUT ID")
			break
		}
		var w World
		if err = json.Unmarshal([]byte(rest[0]), &w); err != nil {
			break
		}
		if verb == verbOne {
			err = one(w, rest[1], rest[2])
		} else {
			err = each(rest[0], rest[1], rest[2:])
		}
	case verbRead:
		return exitCode(readable(rest[0]))
	case verbWho:
		return unix.Geteuid() & 0xff
	case verbWait:
		fmt.Fprintln(stderr, Waits)
		_, err = io.Copy(io.Discard, stdin)
	case verbProc:
		if err = unix.Mount("proc", "/proc", "proc", 0, ""); err == nil {
			err = unix.Exec(rest[0], rest, os.Environ())
		}
	case verbMutate:
		err = mutate(rest)
	case verbStorm:
		err = storm(rest)
	case verbDaemon:
		err = startLinger()
	case verbLinger:
		linger()
	case verbOrphan:
		err = startOrphan()
	default:
		err = fmt.Errorf("unknown verb %q", verb)
	}
	if err != nil {
		fmt.Fprintf(stderr, "hostile: %v\n", err)
		return 2
	}
	return 0
}

// each runs the probes one after another, each in a new process.
func each(world, out string, ids []string) error {
	if len(ids) == 1 && ids[0] == "all" {
		ids = nil
		for _, p := range Table() {
			ids = append(ids, p.ID)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, id := range ids {
		r, written := child(self, world, out, id)
		if written {
			continue
		}
		if err := report(out, r); err != nil {
			return err
		}
	}
	return nil
}

// child runs one probe in a process of its own. If the process ended by a signal, or
// otherwise before it could write its result, child returns the result.
func child(self, world, out, id string) (r Result, written bool) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, Mark, verbOne, world, out, id)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return Result{}, true
	case ctx.Err() != nil:
		return Result{ID: id, Errno: unix.ErrnoName(unix.ETIMEDOUT), Detail: "no answer in time"}, false
	case errors.As(err, &exit):
		if exit.Sys().(syscall.WaitStatus).Signaled() {
			r = ended(err)
			r.ID = id
			return r, false
		}
	}
	r = refused(err)
	r.ID = id
	return r, false
}

// one runs one probe in this process and adds its result to the file. It locks its
// thread first, so that a probe's changes to the thread stay there.
func one(w World, out, id string) error {
	p, ok := Find(id)
	if !ok {
		return fmt.Errorf("no probe %q", id)
	}
	runtime.LockOSThread()
	r := p.Run(w)
	r.ID = id
	return report(out, r)
}

// report adds one line to the file, in one write.
func report(out string, r Result) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// readable reads the beginning of a file.
func readable(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Read(fd, make([]byte, 16))
	return err
}

// exitCode encodes an errno as an exit code: 0, or the errno plus 100, which avoids the
// codes of the Go runtime and of shells.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	var errno unix.Errno
	if errors.As(err, &errno) && errno < 150 {
		return 100 + int(errno)
	}
	return 99
}

// ended converts the exit status of a process that uses exitCode to a Result.
func ended(err error) Result {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return outcome(err, "")
	}
	status := unix.WaitStatus(exit.Sys().(syscall.WaitStatus))
	return endedWith(status)
}

func endedWith(status unix.WaitStatus) Result {
	switch {
	case status.Signaled():
		return Result{Errno: unix.SignalName(status.Signal()), Detail: "ended by a signal"}
	case status.ExitStatus() == 0:
		return worked("")
	case status.ExitStatus() > 100:
		return refused(unix.Errno(status.ExitStatus() - 100))
	}
	return Result{Errno: "EUNKNOWN", Detail: fmt.Sprintf("exit code %d", status.ExitStatus())}
}
