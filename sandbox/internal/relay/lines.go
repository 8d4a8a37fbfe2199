package relay

import (
	"bytes"
	"io"
	"runtime/debug"
)

// Sizes of what a direction keeps while nothing happens and of what is kept of
// a line that is too long to be kept whole.
const (
	idleBuffer = 12 << 10
	sampleSize = 4 << 10

	// A buffer beyond this is an expanse. What was made of the line is given back to
	// the system with it, at once, which takes a millisecond: without garbage to
	// collect, the runtime would keep it for minutes, and there is a launcher for
	// every server.
	largeBuffer = 1 << 20
)

// frame is one line as it came. Its slices die at the next call of next.
type frame struct {
	raw  []byte // with the bytes that ended it
	line []byte // without them; a \r before the \n belongs to the end, not to the line
	long *long  // set instead of raw and line when the line was longer than the limit
}

// unmark takes off the byte order mark that some runtimes write first.
func (f *frame) unmark() {
	mark := []byte("\ufeff")
	if bytes.HasPrefix(f.line, mark) {
		f.raw, f.line = f.raw[len(mark):], f.line[len(mark):]
	}
}

// long is what is left of a line that was thrown away while it streamed by.
type long struct {
	head, tail []byte // its first and last bytes, at most sampleSize each; they may overlap
	size       int64
}

// lines cuts what r gives into lines at 0x0A and at nothing else. Whatever
// stands behind the last 0x0A is a line too, and its raw bytes say that it was
// not ended. The buffer doubles for a long line, each byte is searched once,
// and the buffer is given back once the line was taken. A very long line lies in
// memory of its own, which need not be copied to grow. Whoever is done closes it.
type lines struct {
	r    io.Reader
	max  int // longest line, its end not counted
	buf  []byte
	at   int // first byte not handed out
	seen int // bytes behind at that hold no 0x0A
	n    int // end of what was read
	err  error
	wide *expanse // what buf is of, where a line was very long; nil before there was one
}

func newLines(r io.Reader, max int) *lines {
	return &lines{r: r, max: max, buf: make([]byte, min(idleBuffer, max+1))}
}

// next returns the next line, or the reader's error once every line was
// returned; a reader that keeps giving nothing ends with io.ErrNoProgress.
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

// take hands out the next n bytes as a line.
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

// discard reads on to the end of a line that is too long and keeps its two ends.
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

// room makes place behind n: by moving what is left to the front, or by doubling up
// to one byte more than the longest line and its end.
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

// shrink gives a large buffer back when what is left of it fits a small one, and that
// of a very long line that was taken when more is left.
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

// close gives everything back. Nothing of what next returned may be used any more.
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
