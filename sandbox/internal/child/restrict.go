package child

import (
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// Rights on files, as landlock(7) names them.
const (
	readFile = landlock.AccessFSSet(ll.AccessFSExecute | ll.AccessFSReadFile)
	readDir  = readFile | ll.AccessFSReadDir
	editFile = readFile | ll.AccessFSWriteFile | ll.AccessFSTruncate
	editDir  = editFile | readDir | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile | ll.AccessFSMakeDir | ll.AccessFSMakeReg |
		ll.AccessFSMakeSym | ll.AccessFSRefer
	tmpDir = editDir | ll.AccessFSMakeSock | ll.AccessFSMakeFifo
	device = landlock.AccessFSSet(ll.AccessFSReadFile | ll.AccessFSWriteFile | ll.AccessFSIoctlDev)
)

// ruleset makes the ruleset and returns its descriptor, for a thread to apply; the
// caller must close it. It asserts the ABI: a kernel that cannot handle the plan is an
// error, never less protection.
func ruleset(l plan.Landlock) (fd int, err error) {
	attr, err := handled(l)
	if err != nil {
		return -1, err
	}
	if have, err := ll.LandlockGetABIVersion(); err != nil || have < l.ABI {
		return -1, fmt.Errorf("the plan is for Landlock ABI %d, and this kernel has %d", l.ABI, max(have, 0))
	}
	fd, err = ll.LandlockCreateRuleset(&attr, 0)
	if err != nil {
		return -1, os.NewSyscallError("landlock_create_ruleset", err)
	}
	if err := addRules(fd, l, attr.HandledAccessFS); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// handled returns the rights that a ruleset of the plan's ABI handles. Binding TCP
// ports is not among them: no listener is reachable through the network namespace, and
// a server that listens for nobody must still start.
func handled(l plan.Landlock) (ll.RulesetAttr, error) {
	full := map[int]landlock.Config{1: landlock.V1, 2: landlock.V2, 3: landlock.V3, 4: landlock.V4, 5: landlock.V5, 6: landlock.V6}
	v, ok := full[l.ABI]
	if !ok {
		return ll.RulesetAttr{}, fmt.Errorf("internal error: no Landlock ABI %d", l.ABI)
	}
	attr := ll.RulesetAttr{HandledAccessFS: uint64(v.HandledAccessFS)}
	if l.ABI >= 4 && !l.Anywhere {
		attr.HandledAccessNet = ll.AccessNetConnectTCP
	}
	if l.Scoped {
		attr.Scoped = uint64(v.Scoped)
	}
	return attr, nil
}

// addRules opens every path of the plan, through the symlinks of the root, and adds its
// rights.
func addRules(fd int, l plan.Landlock, handled uint64) error {
	for _, r := range l.Paths {
		if err := addPath(fd, r, handled); err != nil {
			return err
		}
	}
	for _, s := range l.Connect {
		for port := int(s.First); port <= int(s.Last); port++ {
			if err := addPort(fd, port); err != nil {
				return err
			}
		}
	}
	for port := int(l.Own.First) | 1; port <= int(l.Own.Last); port += 2 {
		if err := addPort(fd, port); err != nil {
			return err
		}
	}
	return nil
}

func addPort(fd, port int) error {
	attr := ll.NetPortAttr{AllowedAccess: ll.AccessNetConnectTCP, Port: uint64(port)}
	if err := ll.LandlockAddNetPortRule(fd, &attr, 0); err != nil {
		return fmt.Errorf("port %d: %w", port, os.NewSyscallError("landlock_add_rule", err))
	}
	return nil
}

// addPath adds one rule. It asks the opened descriptor whether the path is a directory.
func addPath(fd int, r plan.Rule, handled uint64) error {
	at, err := unix.Open(r.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: r.Path, Err: err}
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return &os.PathError{Op: "fstat", Path: r.Path, Err: err}
	}
	rights, err := accessRights(r.Access, st.Mode&unix.S_IFMT == unix.S_IFDIR)
	if err != nil {
		return err
	}
	attr := ll.PathBeneathAttr{AllowedAccess: uint64(rights) & handled, ParentFd: at}
	if err := ll.LandlockAddPathBeneathRule(fd, &attr, 0); err != nil {
		return &os.PathError{Op: "landlock_add_rule", Path: r.Path, Err: err}
	}
	return nil
}

// accessRights returns the rights of one rule on a file or a directory.
func accessRights(access plan.Access, dir bool) (landlock.AccessFSSet, error) {
	switch access {
	case plan.AccessRead:
		if dir {
			return readDir, nil
		}
		return readFile, nil
	case plan.AccessWrite:
		if dir {
			return editDir, nil
		}
		return editFile, nil
	case plan.AccessTmp:
		return tmpDir, nil
	case plan.AccessDev:
		return device, nil
	case plan.AccessSelf:
		return ll.AccessFSReadDir, nil
	}
	return 0, fmt.Errorf("internal error: no access %q", access)
}
