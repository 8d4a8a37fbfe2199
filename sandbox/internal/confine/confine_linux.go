package confine

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/notify"
	"mcpen/sandbox/internal/seccomp"
)

// Process confines this process to its needs.
func Process(n Needs) error {
	rules := -1
	if n.ABI > 0 {
		var err error
		if rules, err = ruleset(n); err != nil {
			return err
		}
		defer unix.Close(rules)
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	if err := noNewPrivs(); err != nil {
		return err
	}
	if n.Filter {
		f, err := seccomp.ForLauncher(n.Calls, runtime.GOARCH)
		if err != nil {
			return err
		}
		if err := seccomp.LoadAll(f); err != nil {
			return err
		}
	}
	if n.Looks && (n.ABI > 0 || n.Filter) {
		if err := notify.OpenEye(); err != nil {
			return err
		}
	}
	if n.ABI > 0 {
		// On every thread. From ABI 8 on the kernel could do it at once
		// (LANDLOCK_RESTRICT_SELF_TSYNC), but then for the eye as well.
		if err := ll.AllThreadsLandlockRestrictSelf(rules, 0); err != nil {
			return os.NewSyscallError("landlock_restrict_self", err)
		}
	}
	if err := undumpable(); err != nil || !n.Filter {
		return err
	}
	return seccomp.Seal()
}

// undumpable keeps the launcher's memory from the user's debugger and from a core dump.
// It also makes root the owner of the files in /proc/PID.
func undumpable() error {
	return os.NewSyscallError("prctl(PR_SET_DUMPABLE)", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}

// noNewPrivs sets no_new_privs on every thread. If this thread has it, the thread got
// it before the others existed, and so did they; a thread without it could not load a
// filter, which would end the process.
func noNewPrivs() error {
	if set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil && set == 1 {
		return nil
	}
	return os.NewSyscallError("prctl(PR_SET_NO_NEW_PRIVS)", ll.AllThreadsPrctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}

// configs are the rights of each ABI.
var configs = map[int]landlock.Config{1: landlock.V1, 2: landlock.V2, 3: landlock.V3, 4: landlock.V4, 5: landlock.V5, 6: landlock.V6}

// ruleset makes the launcher's ruleset. It asserts the ABI: a kernel with less than
// planned is an error.
func ruleset(n Needs) (int, error) {
	full, ok := configs[n.ABI]
	if !ok {
		return -1, fmt.Errorf("internal error: no Landlock ABI %d", n.ABI)
	}
	if have, err := ll.LandlockGetABIVersion(); err != nil || have < n.ABI {
		return -1, fmt.Errorf("the plan is for Landlock ABI %d, and this kernel has %d", n.ABI, max(have, 0))
	}
	attr := ll.RulesetAttr{HandledAccessFS: uint64(full.HandledAccessFS), HandledAccessNet: uint64(full.HandledAccessNet)}
	fd, err := ll.LandlockCreateRuleset(&attr, 0)
	if err != nil {
		return -1, os.NewSyscallError("landlock_create_ruleset", err)
	}
	if err := add(fd, n, attr); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func add(fd int, n Needs, attr ll.RulesetAttr) error {
	// The loops that put a ruleset on every thread list the threads (go-landlock's
	// issue 39); so does the code that loads the filter.
	rules := append([]Rule{{Path: fmt.Sprintf("/proc/%d/task", os.Getpid()), Access: List, Needed: true}}, n.Rules...)
	for _, r := range rules {
		if err := addRule(fd, r, attr.HandledAccessFS); err != nil {
			return err
		}
	}
	if attr.HandledAccessNet == 0 {
		return nil
	}
	for _, s := range n.Connect {
		for port := int(s.First); port <= int(s.Last); port++ {
			if err := addPort(fd, uint64(port), ll.AccessNetConnectTCP); err != nil {
				return err
			}
		}
	}
	if len(n.Connect) == 0 {
		return nil
	}
	// Any port: package net binds to one to learn the abilities of this machine's
	// sockets.
	return addPort(fd, 0, ll.AccessNetBindTCP)
}

func addPort(fd int, port, access uint64) error {
	err := ll.LandlockAddNetPortRule(fd, &ll.NetPortAttr{AllowedAccess: access, Port: port}, 0)
	if err != nil {
		return fmt.Errorf("port %d: %w", port, os.NewSyscallError("landlock_add_rule", err))
	}
	return nil
}

// rights are the rights of each access, on a folder.
var rights = map[Access]uint64{
	Read:   ll.AccessFSReadFile,
	List:   ll.AccessFSReadFile | ll.AccessFSReadDir,
	Empty:  ll.AccessFSReadFile | ll.AccessFSReadDir | ll.AccessFSRemoveDir,
	Remove: ll.AccessFSReadFile | ll.AccessFSReadDir | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile,
	Edit: ll.AccessFSReadFile | ll.AccessFSReadDir | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile |
		ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSMakeSym | ll.AccessFSRefer,
}

// ofFiles are the rights that a rule on a file may have.
const ofFiles = ll.AccessFSReadFile | ll.AccessFSWriteFile | ll.AccessFSTruncate

// addRule adds one rule. It asks the opened descriptor whether the path is a folder.
func addRule(fd int, r Rule, handled uint64) error {
	access, ok := rights[r.Access]
	if !ok {
		return fmt.Errorf("internal error: no access %d", r.Access)
	}
	at, err := unix.Open(r.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil && !r.Needed && gone(err) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: r.Path, Err: err}
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return &os.PathError{Op: "fstat", Path: r.Path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= ofFiles
	}
	access &= handled
	err = ll.LandlockAddPathBeneathRule(fd, &ll.PathBeneathAttr{AllowedAccess: access, ParentFd: at}, 0)
	if err != nil {
		return &os.PathError{Op: "landlock_add_rule", Path: r.Path, Err: err}
	}
	return nil
}

// gone reports whether a path leads to nothing that this user could open.
func gone(err error) bool {
	for _, e := range []error{unix.ENOENT, unix.ENOTDIR, unix.EACCES, unix.ELOOP} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
