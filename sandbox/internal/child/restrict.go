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

// restrict puts the ruleset on. The ABI is asserted: a kernel that cannot
// handle what was planned is an error, never less protection.
func restrict(l plan.Landlock) error {
	cfg, err := config(l)
	if err != nil {
		return err
	}
	var rules []landlock.Rule
	for _, r := range l.Paths {
		rights, err := accessRights(r)
		if err != nil {
			return err
		}
		rules = append(rules, landlock.PathAccess(rights&cfg.HandledAccessFS, r.Path))
	}
	for _, s := range l.Connect {
		for port := int(s.First); port <= int(s.Last); port++ {
			rules = append(rules, landlock.ConnectTCP(uint16(port)))
		}
	}
	return cfg.Restrict(rules...)
}

// config is what is handled at an ABI. Binding TCP ports is not: the network
// namespace has nothing that a listener could be reached from, and a server
// that listens for nobody still has to start.
func config(l plan.Landlock) (landlock.Config, error) {
	full := map[int]landlock.Config{1: landlock.V1, 2: landlock.V2, 3: landlock.V3, 4: landlock.V4, 5: landlock.V5, 6: landlock.V6}
	v, ok := full[l.ABI]
	if !ok {
		return landlock.Config{}, fmt.Errorf("internal error: no Landlock ABI %d", l.ABI)
	}
	args := []any{v.HandledAccessFS}
	if l.ABI >= 4 {
		args = append(args, landlock.AccessNetSet(ll.AccessNetConnectTCP))
	}
	if l.Scoped {
		args = append(args, v.Scoped)
	}
	cfg, err := landlock.NewConfig(args...)
	if err != nil {
		return landlock.Config{}, fmt.Errorf("internal error: %w", err)
	}
	return *cfg, nil
}

// accessRights are the rights of one rule; whether the path is a directory is
// asked of the new root, in which nothing moves yet.
func accessRights(r plan.Rule) (landlock.AccessFSSet, error) {
	var st unix.Stat_t
	if err := unix.Stat(r.Path, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: r.Path, Err: err}
	}
	dir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	switch r.Access {
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
	return 0, fmt.Errorf("internal error: no access %q", r.Access)
}
