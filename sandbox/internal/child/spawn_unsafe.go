package child

// #include <stdlib.h>
// #include <string.h>
// #include "exec.h"
import "C"

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/plan"
)

// limit is one resource limit of the exec stage.
type limit struct {
	name     plan.LimitName // for an error
	resource int
	value    uint64
}

// stage is the exec stage: all of its work, prepared before the fork.
type stage struct {
	user    bool // in a user namespace of its own
	umask   int
	dir     string
	path    string
	argv    []string
	envv    []string
	limits  []limit
	ruleset int             // of Landlock; -1: none
	filter  *seccomp.Filter // nil: none
	trace   bool            // the filter asks its listener about messages
	control *os.File        // the destination of the filter's listener

	readonly []string  // the user's folders, in which the mediator makes the server's changes
	mediates plan.Plan // the mediator's plan; the zero plan: no mediator
	handoff  *os.File  // the mediator receives the listener here

	init   string // the name of pid 1 in a trial; "": its own name
	pid    int
	goOn   *os.File // write end: the stage waits for a byte
	report *os.File // read end: the reason for a failure
}

// start forks the stage, which waits for proceed with all the rights of its parent. The
// calling goroutine must be locked to its thread: the stage ends with that thread.
func (s *stage) start() error {
	goR, goW, err := os.Pipe()
	if err != nil {
		return step("start the exec stage", err)
	}
	defer goR.Close()
	repR, repW, err := os.Pipe()
	if err != nil {
		goW.Close()
		return step("start the exec stage", err)
	}
	defer repW.Close()
	s.goOn, s.report = goW, repR
	m := &memory{}
	defer m.free()
	x, err := s.lay(m, goR, repW)
	if err == nil {
		pid := C.mcpen_spawn(x)
		runtime.KeepAlive(s)
		s.pid = int(pid)
		if pid < 0 {
			err = os.NewSyscallError("clone", syscall.Errno(-pid))
		}
	}
	if err != nil {
		s.close()
		return step("start the exec stage", err)
	}
	return nil
}

func (s *stage) close() {
	s.goOn.Close()
	s.report.Close()
}

// lay writes the stage in the form that the C code reads.
func (s *stage) lay(m *memory, goR, repW *os.File) (*C.struct_mcpen_exec, error) {
	x := (*C.struct_mcpen_exec)(m.alloc(C.sizeof_struct_mcpen_exec))
	*x = C.struct_mcpen_exec{
		_go: C.int(goR.Fd()), report: C.int(repW.Fd()), control: C.int(s.control.Fd()), ruleset: C.int(s.ruleset),
		mask: C.uint(s.umask), dir: m.text(s.dir), path: m.text(s.path), argv: m.list(s.argv), envv: m.list(s.envv),
		nlimits: C.int(len(s.limits)),
	}
	if s.user {
		x.user = 1
	}
	if len(s.limits) > 0 {
		x.limits = (*C.struct_mcpen_limit)(m.alloc(C.size_t(len(s.limits)) * C.sizeof_struct_mcpen_limit))
		laid := unsafe.Slice(x.limits, len(s.limits))
		for i, l := range s.limits {
			laid[i] = C.struct_mcpen_limit{resource: C.int(l.resource), value: C.ulonglong(l.value)}
		}
	}
	if len(s.readonly) > 0 {
		x.readonly, x.nreadonly = m.list(s.readonly), C.int(len(s.readonly))
	}
	if s.filter == nil {
		return x, nil
	}
	prog, err := s.filter.Program()
	if err != nil {
		return nil, err
	}
	x.filter.len = C.ushort(s.filter.Len())
	x.filter.filter = (*C.struct_sock_filter)(m.bytes(prog))
	if s.filter.Listens() {
		x.listen = 1
		if s.trace {
			x.trace = 1
		}
		notify := []byte(`{"kind":"` + Notify + `"}`)
		x.notify, x.notify_len = (*C.char)(m.bytes(notify)), C.size_t(len(notify))
	}
	return x, nil
}

// proceed lets the stage become the server.
func (s *stage) proceed() error {
	_, err := s.goOn.Write([]byte{1})
	return step("start the exec stage", err)
}

// await waits until the stage has become the server: the kernel then closes its end of
// the pipe, and nothing was written.
func (s *stage) await() error {
	defer s.close()
	var f C.struct_mcpen_failure
	buf := make([]byte, unsafe.Sizeof(f))
	n, err := s.report.Read(buf) // one write, within the atomic size of a pipe
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return step("hear of the exec stage", err)
	}
	if n != len(buf) {
		return step("hear of the exec stage", fmt.Errorf("internal error: a report of %d bytes", n))
	}
	number := func(i int) int { return int(int32(binary.NativeEndian.Uint32(buf[4*i:]))) }
	return s.failed(number(0), syscall.Errno(number(1)), number(2))
}

// failed is the error of a step of exec.c.
func (s *stage) failed(number int, errno syscall.Errno, which int) error {
	call := func(name, call string) error { return step(name, os.NewSyscallError(call, errno)) }
	at := func(name, op, path string) error { return step(name, &os.PathError{Op: op, Path: path, Err: errno}) }
	switch number {
	case C.MCPEN_DEATH_SIGNAL:
		return call("die with pid 1", "prctl")
	case C.MCPEN_READONLY:
		folder := ""
		if which < len(s.readonly) {
			folder = s.readonly[which]
		}
		return at("make a folder read-only for the server", "mount_setattr", folder)
	case C.MCPEN_NO_NEW_PRIVS:
		return call("set no_new_privs", "prctl")
	case C.MCPEN_BOUNDING:
		return call("drop capabilities", "prctl(PR_CAPBSET_DROP)")
	case C.MCPEN_AMBIENT:
		return call("drop capabilities", "prctl(PR_CAP_AMBIENT)")
	case C.MCPEN_CAPSET:
		return call("drop capabilities", "capset")
	case C.MCPEN_LIMITS:
		what := "core files"
		if which < len(s.limits) && s.limits[which].name != "" {
			what = string(s.limits[which].name)
		}
		return step("set limits", fmt.Errorf("%s: %w", what, os.NewSyscallError("setrlimit", errno)))
	case C.MCPEN_DIRECTORY:
		return at("enter the working directory", "chdir", s.dir)
	case C.MCPEN_ACCESS:
		return at(executeStep, "access", s.path)
	case C.MCPEN_LANDLOCK:
		return call("put Landlock on", "landlock_restrict_self")
	case C.MCPEN_CLOSE:
		return call("close descriptors", "close_range")
	case C.MCPEN_SECCOMP:
		return call("load the system call filter", "seccomp")
	case C.MCPEN_LISTENER:
		return call("hand out the filter's listener", "sendmsg")
	case C.MCPEN_EXECVE:
		return at(executeStep, "execve", s.path)
	}
	return step("hear of the exec stage", fmt.Errorf("internal error: no step %d", number))
}

// Explain describes a failure that the keeper reported in words, as the exec stage of
// the plan would have.
func (m Message) Explain(p plan.Plan) Message {
	if len(m.Stage) != 3 {
		return m
	}
	all, err := limits(p)
	if err != nil {
		return failure(step("set limits", err))
	}
	s := stage{dir: p.Process.Dir, path: p.Process.Path, limits: all, readonly: p.Writes.Folders}
	return failure(s.failed(m.Stage[0], syscall.Errno(m.Stage[1]), m.Stage[2]))
}

// memory is C memory, which Go neither moves nor scans. Its content may be secret: it
// is wiped before it is freed.
type memory struct {
	blocks []unsafe.Pointer
	sizes  []C.size_t
}

func (m *memory) alloc(n C.size_t) unsafe.Pointer {
	p := C.calloc(1, max(n, 1)) // cgo ends the program if there is no memory
	m.blocks, m.sizes = append(m.blocks, p), append(m.sizes, n)
	return p
}

func (m *memory) bytes(b []byte) unsafe.Pointer {
	p := m.alloc(C.size_t(len(b)))
	copy(unsafe.Slice((*byte)(p), len(b)), b)
	return p
}

// text returns a NUL-terminated string. The kernel ends a string at a NUL, and Go's own
// calls refuse one; no plan contains any.
func (m *memory) text(s string) *C.char { return (*C.char)(m.bytes(append([]byte(s), 0))) }

// list returns a NULL-terminated array of strings.
func (m *memory) list(all []string) **C.char {
	p := (**C.char)(m.alloc(C.size_t(len(all)+1) * C.size_t(unsafe.Sizeof(uintptr(0)))))
	for i, s := range all {
		unsafe.Slice(p, len(all)+1)[i] = m.text(s)
	}
	return p
}

func (m *memory) free() {
	for i, p := range m.blocks {
		C.explicit_bzero(p, m.sizes[i])
		C.free(p)
	}
}

// mapIDs maps the plan's ids into the stage's user namespace.
func (s *stage) mapIDs(uid, gid int) error {
	for _, f := range []struct{ name, text string }{
		{"uid_map", fmt.Sprintf("%d 0 1\n", uid)},
		{"setgroups", "deny"}, // otherwise gid_map may not be written (user_namespaces(7))
		{"gid_map", fmt.Sprintf("%d 0 1\n", gid)},
	} {
		name := fmt.Sprintf("/proc/%d/%s", s.pid, f.name)
		fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			_, err = unix.Write(fd, []byte(f.text)) // the kernel accepts one write or none
			unix.Close(fd)
		}
		if err != nil {
			return step("map the server's own id", &os.PathError{Op: "write", Path: name, Err: err})
		}
	}
	return nil
}
