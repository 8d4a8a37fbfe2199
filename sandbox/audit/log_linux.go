package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Defaults of Options.
const (
	defaultMaxSize = 16 << 20
	defaultKeep    = 3
)

const suffix = ".jsonl"

// Options identify the server and bound its log.
type Options struct {
	Server  string // the profile's name; names the file
	Session string // set in events without one; so is Plan
	Plan    string

	MaxSize int64 // size in bytes at which the file is rotated; 0 means defaultMaxSize
	Keep    int   // number of rotated files to keep; 0 means defaultKeep
	Args    bool  // log the arguments of calls unredacted; otherwise leave them out
	Now     func() time.Time

	// Secrets are values to leave out wherever they appear: a server may print its
	// token, and the log must not keep it.
	Secrets []string
}

// Log appends events to one file a server below a directory, SERVER.jsonl, and rotates
// it to SERVER.jsonl.1 and so on. Several processes may log the same server at once:
// each event is a single write(2) to a file opened with O_APPEND, and a flock(2) on the
// directory admits one rotation at a time. Any goroutine may call its methods. An event
// is in the file when Write returns; it is not synced to the disk.
type Log struct {
	options Options
	name    string
	secrets *strings.Replacer // nil if there are none

	mu   sync.Mutex
	dir  int // descriptors
	file int
	torn bool // our last write stopped in the middle of a line
}

// Open opens the log of one server and creates a missing directory with mode 0700 and a
// missing file with mode 0600. It refuses a directory that others may write to, and a
// file that is a link, not a regular file, or owned by somebody else. The caller must
// close the Log.
func Open(dir string, o Options) (*Log, error) {
	if o.Server == "" {
		return nil, errors.New("internal error: a log without a server")
	}
	if o.MaxSize <= 0 {
		o.MaxSize = defaultMaxSize
	}
	if o.Keep <= 0 {
		o.Keep = defaultKeep
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot create the log's directory: %w", err)
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	l := &Log{options: o, name: FileName(o.Server), secrets: leaveOut(o.Secrets), dir: fd, file: -1}
	if err := private(fd, dir); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if l.file, err = l.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open the log in %q: %w", dir, err), l.Close())
	}
	return l, nil
}

// private refuses a directory in which other users can replace files.
func private(fd int, dir string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "fstat", Path: dir, Err: err}
	}
	if st.Mode&0o022 != 0 {
		return fmt.Errorf("cannot log to %q: others may write to it (mode %04o)", dir, st.Mode&0o7777)
	}
	if int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("cannot log to %q: it belongs to user %d", dir, st.Uid)
	}
	return nil
}

// FileName is the name of a server's file: the server's name, percent-encoded except
// for letters, digits, "_", "-", "@", and dots after the first character.
func FileName(server string) string {
	var b strings.Builder
	for i := range len(server) {
		switch c := server[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '@', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String() + suffix
}

// open opens the current file. O_NONBLOCK keeps a planted FIFO from blocking the open;
// it has no effect on a regular file.
func (l *Log) open() (int, error) {
	fd, err := unix.Openat(l.dir, l.name, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1, fmt.Errorf("cannot log to %q: %w", l.name, err)
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	switch {
	case err != nil:
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		err = errors.New("not a plain file")
	case int(st.Uid) != os.Geteuid():
		err = fmt.Errorf("it belongs to user %d", st.Uid)
	case st.Nlink > 1:
		err = errors.New("it has another name")
	case st.Mode&0o077 != 0:
		err = unix.Fchmod(fd, 0o600)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("cannot log to %q: %w", l.name, err)
	}
	return fd, nil
}

// Write records one event. It sets Time, Server, Session and Plan if they are empty,
// removes secrets, and removes arguments unless the options want them. An error means
// that the event is not in the log, or only a part of its line.
func (l *Log) Write(e Event) error {
	if e.Time.IsZero() {
		e.Time = l.options.Now().UTC()
	}
	e.Server = or(e.Server, l.options.Server)
	e.Session = or(e.Session, l.options.Session)
	e.Plan = or(e.Plan, l.options.Plan)
	if e.Request != nil && e.Request.Args != nil && !l.options.Args {
		req := *e.Request
		req.Args = nil
		e.Request = &req
	}
	line, err := Encode(withoutSecrets(e, l.secrets))
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dir < 0 {
		return fmt.Errorf("cannot log: %w", fs.ErrClosed)
	}
	if err := l.current(int64(len(line))); err != nil {
		return err
	}
	return l.append(line)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// append writes the line with one call, after ending a line that an earlier write left
// torn.
func (l *Log) append(line []byte) error {
	if l.torn {
		line = append([]byte{'\n'}, line...)
	}
	for {
		n, err := unix.Write(l.file, line)
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == len(line) {
			l.torn = false
			return nil
		}
		l.torn = l.torn || n > 0
		if err == nil {
			err = fmt.Errorf("%d of %d bytes were written", n, len(line))
		}
		return fmt.Errorf("cannot write to the log %q: %w", l.name, err)
	}
}

// current makes l.file the file that now has the log's name, with room for n bytes.
func (l *Log) current(n int64) error {
	size, ours, err := l.look()
	if err != nil {
		return err
	}
	if !ours {
		if err := l.reopen(); err != nil {
			return err
		}
		if size, _, err = l.look(); err != nil {
			return err
		}
	}
	if size == 0 || size+n <= l.options.MaxSize {
		return nil
	}
	return l.rotate(n)
}

// look returns the size of the file that now has the log's name, and whether it is the
// open file.
func (l *Log) look() (size int64, ours bool, err error) {
	var named, open unix.Stat_t
	if err := unix.Fstatat(l.dir, l.name, &named, unix.AT_SYMLINK_NOFOLLOW); err == unix.ENOENT {
		return 0, false, nil
	} else if err != nil {
		return 0, false, &fs.PathError{Op: "stat", Path: l.name, Err: err}
	}
	if err := unix.Fstat(l.file, &open); err != nil {
		return 0, false, &fs.PathError{Op: "stat", Path: l.name, Err: err}
	}
	return named.Size, named.Ino == open.Ino && named.Dev == open.Dev, nil
}

func (l *Log) reopen() error {
	fd, err := l.open()
	if err != nil {
		return err
	}
	unix.Close(l.file) // every write to it has returned
	l.file, l.torn = fd, false
	return nil
}

// rotate shifts the files by one, unless another process has done so or is about to: it
// never waits for a process that may be stopped. A process that still has the old file
// open writes at most its next line there, which loses nothing, and then finds the new
// file.
func (l *Log) rotate(n int64) error {
	if err := flock(l.dir, unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	} else if err != nil {
		return err
	}
	defer unix.Flock(l.dir, unix.LOCK_UN)
	size, ours, err := l.look()
	if err != nil {
		return err
	}
	if ours && size+n > l.options.MaxSize {
		for i := l.options.Keep; i > 0; i-- {
			err := unix.Renameat(l.dir, rotated(l.name, i-1), l.dir, rotated(l.name, i))
			if err != nil && err != unix.ENOENT {
				return fmt.Errorf("cannot rotate the log %q: %w", l.name, err)
			}
		}
	}
	return l.reopen()
}

// rotated is the name of the file after i rotations.
func rotated(name string, i int) string {
	if i == 0 {
		return name
	}
	return fmt.Sprintf("%s.%d", name, i)
}

func flock(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); err != unix.EINTR {
			return os.NewSyscallError("flock", err)
		}
	}
}

// Close closes the log. A later Write fails.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if l.file >= 0 {
		err = unix.Close(l.file)
	}
	if l.dir >= 0 {
		err = errors.Join(err, unix.Close(l.dir))
	}
	l.file, l.dir = -1, -1
	return err
}
