package relay

import (
	"bytes"
	"io"
	"runtime/debug"
)

// Sizes of a direction's idle buffer, and of the samples of an overlong line.
const (
	idleBuffer = 12 << 10
	sampleSize = 4 << 10

	// A larger buffer is an expanse. It is returned to the system with the line's data,
	// at once, which takes a millisecond: the runtime would keep it for minutes if
	// there is no garbage to collect, and each server has a launcher.
	largeBuffer = 1 << 20
)

// frame is one line as received. Its slices are valid until the next call of next.
type frame struct {
	raw  []byte // with its end bytes
	line []byte // without them; a \r before the \n belongs to the end, not to the line
	long *long  // set instead of raw and line for a line over the limit
}

// unmark removes the byte order mark that some runtimes write first.
func (f *frame) unmark() {
	mark := []byte("\ufeff")
	if bytes.HasPrefix(f.line, mark) {
		f.raw, f.line = f.raw[len(mark):], f.line[len(mark):]
	}
}

// long is the rest of a line that was discarded while it arrived.
type long struct {
	head, tail []byte // its first and last bytes, at most sampleSize each; they may overlap
	size       int64
}

// lines splits r's data into lines at 0x0A and at nothing else. The bytes after the
// last 0x0A form a line too, and its raw bytes show that it has no end. The buffer
// doubles for a long line, each byte is searched once, and the buffer is freed after
// the line. A very long line lies in a mapping of its own, which grows without a copy.
// The user must close lines.
type lines struct {
	r    io.Reader
	max  int // longest line, without its end
	buf  []byte
	at   int // first byte not returned yet
	seen int // bytes after at without a 0x0A
	n    int // end of the data read
	err  error
	wide *expanse // the mapping of buf for a very long line; nil before the first one
}

func newLines(r io.Reader, max int) *lines {
	return &lines{r: r, max: max, buf: make([]byte, min(idleBuffer, max+1))}
}

// next returns the next line, or the reader's error after the last line. A reader that
// repeatedly returns nothing ends with io.ErrNoProgress.
func (l *lines) next() (frame, error) {
	l.shrink()
	for {
		if i := bytes.IndexByte(l.buf[l.at+l.seen:l.n], '\n'); i >= 0 {
			return l.take(l.seen+i+1, true), nil
		}
		l.seen = l.n - l.at
		if l.seen > l.max {
			return l.discard()
		}
		if l.err != nil {
			if l.seen > 0 {
				return l.take(l.seen, false), nil
			}
			return frame{}, l.err
		}
		l.room()
		l.fill()
	}
}

// take returns the next n bytes as a line.
func (l *lines) take(n int, ended bool) frame {
	raw := l.buf[l.at : l.at+n : l.at+n]
	l.at, l.seen = l.at+n, 0
	line := raw
	if ended {
		line = raw[:n-1]
	}
	if len(line) > l.max {
		return frame{long: &long{head: sample(line, false), tail: sample(line, true), size: int64(len(line))}}
	}
	return frame{raw: raw, line: bytes.TrimSuffix(line, []byte{'\r'})}
}

// discard reads to the end of an overlong line and keeps its two ends.
func (l *lines) discard() (frame, error) {
	rest := l.buf[l.at:l.n]
	over := &long{head: sample(rest, false), tail: sample(rest, true), size: int64(len(rest))}
	l.at, l.seen, l.n = 0, 0, 0
	l.shrink()
	for l.err == nil {
		l.n = 0
		l.fill()
		part := l.buf[:l.n]
		i := bytes.IndexByte(part, '\n')
		if i >= 0 {
			part, l.at = part[:i], i+1
		}
		over.size += int64(len(part))
		over.tail = sample(append(over.tail, part...), true)
		if i >= 0 {
			return frame{long: over}, nil
		}
	}
	l.at, l.n = 0, 0
	return frame{long: over}, nil
}

// sample copies the first or last bytes of b.
func sample(b []byte, last bool) []byte {
	n := min(len(b), sampleSize)
	if last {
		return bytes.Clone(b[len(b)-n:])
	}
	return bytes.Clone(b[:n])
}

// room makes room after n: it moves the data to the front, or doubles the buffer, up to
// one byte more than the longest line and its end.
func (l *lines) room() {
	if l.n < len(l.buf) {
		return
	}
	if l.at > 0 {
		l.n = copy(l.buf, l.buf[l.at:l.n])
		l.at = 0
		return
	}
	size := max(min(2*len(l.buf), l.max+1), len(l.buf)+1)
	if size > largeBuffer && l.wide == nil {
		l.wide = newExpanse(l.max + 1)
	}
	grown := l.wide.all()
	if size <= largeBuffer || grown == nil {
		grown = make([]byte, size)
	}
	l.n = copy(grown, l.buf[:l.n])
	l.buf = grown
}

// shrink frees a large buffer if the rest of the data fits a small one, and the memory
// of a very long line that was taken.
func (l *lines) shrink() {
	if l.at == l.n {
		l.at, l.n = 0, 0
	}
	large := len(l.buf) > largeBuffer
	switch {
	case len(l.buf) > idleBuffer && l.n-l.at < idleBuffer/2:
		small := make([]byte, idleBuffer)
		l.n = copy(small, l.buf[l.at:l.n])
		l.buf, l.at = small, 0
		l.wide.giveBack(0)
	case l.at > largeBuffer:
		l.n = copy(l.buf, l.buf[l.at:l.n])
		l.at = 0
		l.wide.giveBack(l.n)
	default:
		return
	}
	if large {
		debug.FreeOSMemory()
	}
}

// close frees all memory. The slices that next returned are invalid afterwards.
func (l *lines) close() { l.wide.close() }

// fill reads once.
func (l *lines) fill() {
	for range 100 {
		n, err := l.r.Read(l.buf[l.n:])
		l.n += n
		if err != nil || n > 0 {
			l.err = err
			return
		}
	}
	l.err = io.ErrNoProgress
}
