package writes

import (
	"errors"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/notify"
	"mcpen/sandbox/plan"
)

// at returns the standing of a real path. Only a path in a user's folder waits for the
// scan.
func (m *Mediator) at(p string) (plan.Standing, plan.ProtectedPlace) {
	if m.judge.Folder(p) == "" {
		return m.judge.At(p, plan.Known{})
	}
	return m.judge.At(p, m.known())
}

// changing reports whether the mediator must make a change at a path. Otherwise the
// kernel makes the call, and a read-only mount refuses it. changing reports the refusal
// of a protected place.
func (c *call) changing(p string, would func() bool) bool {
	standing, held := c.m.at(p)
	if standing == plan.Kept && would() {
		c.refused(p, held)
	}
	return standing == plan.Changing
}

// replacing reports a name that the kernel is about to refuse because a rule names a
// single file: nothing can replace that file or be created beside it.
func (c *call) replacing(e entry, would func() bool) {
	s, ok := c.m.judge.Single(e.path())
	if !ok || e.base == "" {
		return
	}
	errno := unix.EROFS
	if e.path() == s.File {
		errno = unix.EBUSY
	} else if standing, _ := c.m.at(e.path()); standing != plan.Elsewhere {
		return // created in a private folder
	}
	if would() {
		c.r.Report(notify.Call{Path: e.path(), Single: s.File, Folder: s.Folder, Errno: errno})
	}
}

// refused reports a change that a protected place prevents.
func (c *call) refused(p string, held plan.ProtectedPlace) {
	c.r.Report(notify.Call{Path: p, Place: held.Place, Why: held.Why, Errno: unix.EROFS})
}

// elsewhere is the outcome of a failed lookup. If the path is none of the mediator's,
// the kernel makes the call; otherwise the call fails with the lookup's errno.
func elsewhere(err error) outcome {
	if errors.Is(err, errElsewhere) {
		return native
	}
	return outcome{errno: errnoOf(err)}
}

// there reports whether an entry exists.
func there(e entry) func() bool {
	return func() bool {
		if e.base == "" {
			return true
		}
		var st unix.Stat_t
		return unix.Fstatat(e.dir, e.base, &st, unix.AT_SYMLINK_NOFOLLOW) == nil
	}
}

// absent reports whether an entry does not exist.
func absent(e entry) func() bool { return func() bool { return !there(e)() } }

func always() bool { return true }

func never() bool { return false }

// has returns a function that reports whether a name exists in a directory.
func has(dir int) func(string) bool {
	return func(name string) bool {
		var st unix.Stat_t
		return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil
	}
}

// completes reports whether a new entry would turn its directory into a repository
// whose configuration git follows. If so, it reports the refusal.
func (c *call) completes(e entry) bool {
	if !plan.InRepository(e.base) || there(e)() { // few names need the file system
		return false
	}
	if !plan.CompletesRepository(e.base, has(e.dir)) || c.m.judge.Freed(e.path()) {
		return false
	}
	c.refused(e.path(), plan.ProtectedPlace{Place: e.in, Why: "git would take the folder for a repository, and run what its configuration names"})
	return true
}

// alone keeps the other workers from making a name that completes a repository while
// this one makes such a name: two workers that look at the same time would each miss
// the other's name. The caller must call end.
func (c *call) alone(e entry) (end func()) {
	if !plan.InRepository(e.base) {
		return func() {}
	}
	c.m.repository.Lock()
	return c.m.repository.Unlock
}

// leads reports whether a symlink at an entry would redirect a protected name or a kept
// place. If so, it reports the refusal.
func (c *call) leads(e entry) bool {
	held, holds := c.m.judge.Contains(e.path(), c.m.known())
	if c.m.judge.Freed(e.path()) {
		return false
	}
	if !holds && !c.m.judge.Leads(e.path()) {
		return false
	}
	if !holds {
		held = plan.ProtectedPlace{Place: e.path(), Why: "a protected place is below it"}
	}
	c.refused(e.path(), held)
	return true
}

// aliased reports whether a file is a protected one under another name. If so, it
// reports the refusal.
func (c *call) aliased(st *unix.Stat_t, p string) bool {
	if st.Nlink < 2 || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return false
	}
	a := c.m.aliases()
	place, ok := a.inodes[inode{uint64(st.Dev), st.Ino}]
	if !ok && !a.cut {
		return false
	}
	c.refused(p, plan.ProtectedPlace{Place: p, Why: "protected: it is " + place + " by another name"})
	return true
}
