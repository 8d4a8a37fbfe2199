package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxRead is the longest line, in bytes, that counts as an event. Encode's lines are
// far shorter.
const maxRead = 1 << 20

// Filter selects events. The zero Filter selects all.
type Filter struct {
	Server string
	Kinds  []Kind
	Since  time.Time
}

// match reports whether the filter selects an event.
func (f Filter) match(e Event) bool {
	return (f.Server == "" || e.Server == f.Server) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind)) &&
		!e.Time.Before(f.Since)
}

// Reader reads the files of Log, rotated ones included, also while others write. It is
// for one goroutine. The caller must close it.
type Reader struct {
	dir    string
	filter Filter
	tails  []*tail

	// Foreign counts the skipped lines that are not events, except for an incomplete
	// last line.
	Foreign int
}

// OpenReader opens the logs below dir, all at one point in time. The error is
// fs.ErrNotExist if dir does not exist.
func OpenReader(dir string, f Filter) (*Reader, error) {
	r := &Reader{dir: dir, filter: f}
	if err := r.refresh(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Read yields the selected events that it has not yielded before, the oldest first; the
// events of one server in the order of its file. It returns yield's error.
func (r *Reader) Read(yield func(Event) error) error {
	for {
		var first *tail
		for _, t := range r.tails {
			if err := t.fill(r); err != nil {
				return err
			}
			if t.next != nil && (first == nil || t.next.Time.Before(first.next.Time)) {
				first = t
			}
		}
		if first == nil {
			return nil
		}
		e := *first.next
		first.next = nil
		if err := yield(e); err != nil {
			return err
		}
	}
}

// Follow is Read, repeated at every tick for new events, in new and rotated files too,
// until ctx is done; then it returns nil. If another process writes a line in the
// instant of a rotation, only the next Reader may see it.
func (r *Reader) Follow(ctx context.Context, tick <-chan time.Time, yield func(Event) error) error {
	for {
		if err := r.Read(yield); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
		}
		if err := r.refresh(); err != nil {
			return err
		}
	}
}

// Close closes the files.
func (r *Reader) Close() error {
	var errs []error
	for _, t := range r.tails {
		for _, f := range t.files {
			errs = append(errs, f.Close())
		}
	}
	r.tails = nil
	return errors.Join(errs...)
}

// refresh opens new files, while it keeps others from rotating.
func (r *Reader) refresh() error {
	d, err := os.Open(r.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := flock(int(d.Fd()), unix.LOCK_SH); err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if !strings.HasSuffix(name, suffix) || r.filter.Server != "" && name != FileName(r.filter.Server) {
			continue
		}
		i := slices.IndexFunc(r.tails, func(t *tail) bool { return t.name == name })
		if i < 0 {
			i = len(r.tails)
			r.tails = append(r.tails, &tail{name: name})
		}
		if err := r.tails[i].refresh(r.dir); err != nil {
			return err
		}
	}
	return nil
}

// tail is one server's files, the oldest first. The first is being read.
type tail struct {
	name  string
	files []*os.File
	in    *bufio.Reader // of the first file
	line  []byte        // an incomplete line
	skip  bool          // the line is too long to keep
	next  *Event
}

// refresh opens the files that are newer than the newest open one.
func (t *tail) refresh(dir string) error {
	var newest os.FileInfo
	if len(t.files) > 0 {
		var err error
		if newest, err = t.files[len(t.files)-1].Stat(); err != nil {
			return err
		}
	}
	var found []*os.File // the newest first
	for i := 0; ; i++ {
		f, err := os.OpenFile(filepath.Join(dir, rotated(t.name, i)), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return closeAll(found, err)
		}
		found = append(found, f)
		st, err := f.Stat()
		if err != nil {
			return closeAll(found, err)
		}
		if !st.Mode().IsRegular() {
			return closeAll(found, fmt.Errorf("cannot read %q: not a plain file", f.Name()))
		}
		if newest != nil && os.SameFile(st, newest) {
			found = found[:len(found)-1]
			f.Close()
			break
		}
	}
	slices.Reverse(found)
	t.files = append(t.files, found...)
	return nil
}

func closeAll(files []*os.File, err error) error {
	for _, f := range files {
		f.Close()
	}
	return err
}

// fill sets next to the next selected event, if there is one.
func (t *tail) fill(r *Reader) error {
	for t.next == nil && len(t.files) > 0 {
		if t.in == nil {
			t.in = bufio.NewReaderSize(t.files[0], 64<<10)
		}
		part, err := t.in.ReadSlice('\n')
		if t.skip = t.skip || len(t.line)+len(part) > maxRead; t.skip {
			t.line = nil
		} else {
			t.line = append(t.line, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
		case err == nil:
			t.parse(r)
		case err != io.EOF:
			return err
		case len(t.files) == 1:
			return nil // more may come
		default:
			if len(t.line) > 0 || t.skip {
				r.Foreign++
			}
			t.files[0].Close()
			t.files, t.in, t.line, t.skip = t.files[1:], nil, nil, false
		}
	}
	return nil
}

// parse parses a complete line. It still finds an event that follows a torn one on the
// same line.
func (t *tail) parse(r *Reader) {
	line := bytes.TrimSpace(t.line)
	skipped := t.skip
	t.line, t.skip = t.line[:0], false
	if len(line) == 0 && !skipped {
		return
	}
	e, ok := decode(line)
	if !ok {
		r.Foreign++
		if i := bytes.LastIndex(line, []byte(`{"time":`)); i > 0 {
			e, ok = decode(line[i:])
		}
	}
	if ok && r.filter.match(e) {
		t.next = &e
	}
}

func decode(line []byte) (Event, bool) {
	var e Event
	err := json.Unmarshal(line, &e)
	return e, err == nil && e.Kind != "" && !e.Time.IsZero()
}
