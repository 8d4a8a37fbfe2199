package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// Record describes one running sandbox. It lies in the runtime directory while the
// sandbox lives.
type Record struct {
	Session string    `json:"session"`
	Server  string    `json:"server"`
	Plan    string    `json:"plan"` // digest
	PID     int       `json:"pid"`  // of the launcher
	Started time.Time `json:"started"`
	Args    []string  `json:"args"`             // of the server, Args[0] included
	Cgroup  []string  `json:"cgroup,omitempty"` // directories to remove when the launcher was killed
}

// session is the directory of one run. The lock is held as long as the launcher
// lives; a directory whose lock is free was left behind by one that was killed.
type session struct {
	id   string
	dir  string
	lock *os.File
}

const (
	lockName   = "lock"
	recordName = "record.json"
	idLen      = 8 // bytes; twice as many hex digits in the name
	goneMark   = ".gone-"
)

// newSession makes a directory of its own below runtime, after removing the leftovers
// of killed launchers.
func newSession(runtime string) (*session, error) {
	if err := ownDirectory(runtime); err != nil {
		return nil, err
	}
	collect(runtime)
	// Another launcher that collects may take a directory away before it is
	// locked: then it has to be another one.
	for {
		s, err := lockedDir(runtime)
		if err != nil || s != nil {
			return s, err
		}
	}
}

// lockedDir makes a session with its directory and lock. It returns nil if another
// process got the lock first.
func lockedDir(runtime string) (*session, error) {
	var b [idLen]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	s := &session{id: hex.EncodeToString(b[:])}
	s.dir = filepath.Join(runtime, s.id)
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make a directory for this run: %w", err)
	}
	name := filepath.Join(s.dir, lockName)
	lock, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = os.NewSyscallError("flock", unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	}
	if err == nil && !names(name, lock) {
		err = unix.EWOULDBLOCK
	}
	if err != nil {
		lock.Close() // where it is nil, this is an error and nothing else
		os.RemoveAll(s.dir)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("cannot lock the directory of this run: %w", err)
	}
	s.lock = lock
	return s, nil
}

// names reports whether a name still leads to an open file.
func names(name string, f *os.File) bool {
	there, err := os.Lstat(name)
	if err != nil {
		return false
	}
	open, err := f.Stat()
	return err == nil && os.SameFile(there, open)
}

// ownDirectory makes sure that a directory is there, is ours alone and is no symlink:
// others could otherwise plant parts of the root that this run builds.
func ownDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the runtime directory: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("cannot look at the runtime directory: %w", &os.PathError{Op: "lstat", Path: dir, Err: err})
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fmt.Errorf("cannot use %q as the runtime directory: it is not a directory", dir)
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("cannot use %q as the runtime directory: it belongs to user %d", dir, st.Uid)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("cannot use %q as the runtime directory: others may write to it", dir)
	}
	return nil
}

// record writes the Record that Sessions reads.
func (s *session) record(p plan.Plan, digest string, cgroup []string) error {
	data, err := json.Marshal(Record{Session: s.id, Server: p.Name, Plan: digest, PID: os.Getpid(), Started: time.Now(), Args: p.Process.Args, Cgroup: cgroup})
	if err != nil {
		return fmt.Errorf("internal error: cannot encode the record: %w", err)
	}
	tmp := filepath.Join(s.dir, recordName+".new")
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("cannot write the record of this run: %w", err)
	}
	return os.Rename(tmp, filepath.Join(s.dir, recordName))
}

// close removes the directory. While the lock is gone and the directory is not, another
// start may take the directory for a leftover, and create the lock again to remove it
// (collect). Both then try again.
func (s *session) close() error {
	err := os.RemoveAll(s.dir)
	for try := 0; try < 100 && (errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST)); try++ {
		err = os.RemoveAll(s.dir)
	}
	return errors.Join(err, s.lock.Close())
}

// Sessions lists the sandboxes of a runtime directory. One that does not exist
// holds none.
func Sessions(runtime string) ([]Record, error) {
	entries, err := os.ReadDir(runtime)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list what runs: %w", err)
	}
	var out []Record
	for _, e := range entries {
		dir := filepath.Join(runtime, e.Name())
		if lock := abandoned(dir); lock != nil {
			lock.Close()
			continue
		}
		r, err := readRecord(dir)
		if err != nil {
			continue // it is just starting or just ending
		}
		out = append(out, r)
	}
	return out, nil
}

func readRecord(dir string) (Record, error) {
	var r Record
	data, err := os.ReadFile(filepath.Join(dir, recordName))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(data, &r)
}

// abandoned returns the held lock of a directory whose launcher is gone. It returns nil
// if the launcher lives, if it cannot tell, or if the directory is no session's. A
// launcher that was killed before it made its lock is gone, too.
func abandoned(dir string) *os.File {
	if id, err := hex.DecodeString(filepath.Base(dir)); err != nil || len(id) != idLen {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		f.Close()
		return nil
	}
	return f
}

// collect takes away the leavings of killed launchers. The processes are gone (the
// kernel saw to that); directories and cgroups are not.
func collect(runtime string) {
	entries, err := os.ReadDir(runtime)
	if err != nil {
		return
	}
	for _, e := range entries {
		dir := filepath.Join(runtime, e.Name())
		if strings.HasPrefix(e.Name(), goneMark) {
			os.RemoveAll(dir) // a launcher was killed right here
			continue
		}
		lock := abandoned(dir)
		if lock == nil {
			continue
		}
		if r, err := readRecord(dir); err == nil && !removeGroups(r.Cgroup) {
			lock.Close() // its processes are still ending: the next start comes by
			continue
		}
		// Out of the way first: a launcher that is just making this directory may
		// not put its lock into one that is half removed.
		gone := filepath.Join(runtime, goneMark+e.Name())
		if os.Rename(dir, gone) == nil {
			os.RemoveAll(gone)
		}
		lock.Close()
	}
}

// removeGroups takes cgroups away, and reports whether all are gone. One whose
// last process is just ending is busy for a moment.
func removeGroups(groups []string) bool {
	for _, g := range groups {
		err := os.Remove(g)
		for try := 0; try < 20 && errors.Is(err, unix.EBUSY); try++ {
			time.Sleep(time.Millisecond)
			err = os.Remove(g)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return false
		}
	}
	return true
}
