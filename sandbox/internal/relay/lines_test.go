package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// chunks yields data in pieces whose lengths come from sizes in turn.
type chunks struct {
	data  []byte
	sizes []byte
	i     int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := len(p)
	if len(c.sizes) > 0 {
		n = min(n, 1+int(c.sizes[c.i%len(c.sizes)]))
		c.i++
	}
	n = copy(p[:n], c.data)
	c.data = c.data[n:]
	return n, nil
}

// FuzzLines: for any chunking, the joined lines are the input, each ends at its only
// 0x0A, and none within the limit is lost.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n\u2028c\n"), []byte{0}, uint16(100))
	f.Add([]byte("no end"), []byte{2, 1}, uint16(6))
	f.Add([]byte("1234567\n12345678\n123456789\n"), []byte{3}, uint16(8))
	f.Add(bytes.Repeat([]byte("x"), 3*idleBuffer), []byte{}, uint16(9))
	f.Fuzz(func(t *testing.T, data, sizes []byte, max uint16) {
		l := newLines(&chunks{data: data, sizes: sizes}, int(max))
		for _, want := range bytes.SplitAfter(data, []byte{'\n'}) {
			if len(want) == 0 {
				continue // after a last 0x0A there is no line
			}
			got, err := l.next()
			if err != nil {
				t.Fatalf("cannot read %q: %v", want, err)
			}
			body := bytes.TrimSuffix(want, []byte{'\n'})
			if len(body) > int(max) {
				if got.long == nil {
					t.Fatalf("a line of %d bytes passed a limit of %d", len(body), max)
				}
				if got.long.size != int64(len(body)) || !bytes.HasPrefix(body, got.long.head) || !bytes.HasSuffix(body, got.long.tail) {
					t.Fatalf("wrong sample of a line of %d bytes: size %d", len(body), got.long.size)
				}
				continue
			}
			if got.long != nil || !bytes.Equal(got.raw, want) {
				t.Fatalf("got %q, want %q", got.raw, want)
			}
		}
		if f, err := l.next(); err != io.EOF {
			t.Fatalf("behind the end: %q, %v", f.raw, err)
		}
	})
}

func TestLinesTrimOnlyTheirEnd(t *testing.T) {
	for in, want := range map[string]string{
		"a\r\n": "a", "a\n": "a", "a": "a", "a\r": "a", "\r\n": "", "\n": "", "a\r\r\n": "a\r", "a\u2028b\n": "a\u2028b",
	} {
		f, err := newLines(strings.NewReader(in), 100).next()
		if err != nil || string(f.line) != want || string(f.raw) != in {
			t.Errorf("%q: line %q raw %q, %v", in, f.line, f.raw, err)
		}
	}
}

func TestLinesReturnTheReadersErrorBehindTheLastLine(t *testing.T) {
	broken := errors.New("broken")
	l := newLines(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), 100)
	for _, want := range []string{"a\n", "b"} {
		if f, err := l.next(); err != nil || string(f.raw) != want {
			t.Fatalf("got %q, %v, want %q", f.raw, err, want)
		}
	}
	if _, err := l.next(); err != broken {
		t.Fatalf("error %v, want %v", err, broken)
	}
}

// A large line must not cost its size for the rest of the session.
func TestLinesGiveTheirBufferBack(t *testing.T) {
	const size = 60 << 20
	l := newLines(io.MultiReader(io.LimitReader(ones{}, size), strings.NewReader("\nsmall\n")), 64<<20)
	if f, err := l.next(); err != nil || len(f.line) != size {
		t.Fatalf("the large line: %d bytes, %v", len(f.line), err)
	}
	if f, err := l.next(); err != nil || string(f.line) != "small" {
		t.Fatalf("the small line: %q, %v", f.line, err)
	}
	if len(l.buf) > idleBuffer {
		t.Errorf("the buffer stayed at %d bytes", len(l.buf))
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if kept := m.HeapSys - m.HeapReleased; kept > size/2 {
		t.Errorf("%d bytes of heap are kept", kept)
	}
}

// An overlong line must not be kept while it arrives.
func TestLinesDiscardInBoundedMemory(t *testing.T) {
	const limit = 1 << 20
	l := newLines(io.MultiReader(io.LimitReader(ones{}, 64<<20), strings.NewReader("\nnext\n")), limit)
	f, err := l.next()
	if err != nil || f.long == nil || f.long.size != 64<<20 {
		t.Fatalf("got %+v, %v", f.long, err)
	}
	if len(l.buf) > idleBuffer {
		t.Errorf("the buffer stayed at %d bytes", len(l.buf))
	}
	if f, err := l.next(); err != nil || string(f.line) != "next" {
		t.Fatalf("the line behind it: %q, %v", f.line, err)
	}
}

type ones struct{}

func (ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '1'
	}
	return len(p), nil
}

func TestLinesAtTheLimit(t *testing.T) {
	const limit = 64 << 20
	for _, over := range []int{0, 1} {
		l := newLines(io.MultiReader(io.LimitReader(ones{}, int64(limit+over)), strings.NewReader("\n")), limit)
		f, err := l.next()
		if err != nil {
			t.Fatal(err)
		}
		if passed := f.long == nil; passed != (over == 0) {
			t.Errorf("%d bytes over the limit: passed %v", over, passed)
		}
	}
}

// Very long lines arrive unchanged, whatever follows them, and their memory is freed:
// each server has a launcher.
func TestVeryLongLines(t *testing.T) {
	sizes := []int{10, 3 << 20, 5, 0, largeBuffer, largeBuffer - 1, largeBuffer + 1, 7 << 20, 100, 100, 100, 8<<20 + 1, 8 << 20, 3, 2 << 20, 2 << 20, 1}
	var all bytes.Buffer
	for i, n := range sizes {
		all.Write(bytes.Repeat([]byte{byte('a' + i)}, n))
		all.WriteByte('\n')
	}
	for name, r := range map[string]io.Reader{
		"whole":  bytes.NewReader(all.Bytes()),
		"pieces": &chunks{data: all.Bytes(), sizes: bytes.Repeat([]byte{255, 3, 200, 91}, 1<<10)},
		"pipe":   iotest.OneByteReader(bytes.NewReader(all.Bytes()[:3<<20])),
	} {
		t.Run(name, func(t *testing.T) {
			l := newLines(r, 8<<20)
			defer l.close()
			for i, n := range sizes {
				f, err := l.next()
				if name == "pipe" && i == 1 {
					n = 3<<20 - 11 // it ends there
				}
				if err != nil {
					t.Fatalf("line %d: %v", i, err)
				}
				if n > 8<<20 {
					if f.long == nil || f.long.size != int64(n) {
						t.Fatalf("line %d of %d bytes passed: %+v", i, n, f.long)
					}
					continue
				}
				if want := bytes.Repeat([]byte{byte('a' + i)}, n); !bytes.Equal(f.line, want) {
					t.Fatalf("line %d has %d bytes, want %d, or others", i, len(f.line), n)
				}
				if name == "pipe" && i == 1 {
					return
				}
			}
			if _, err := l.next(); err != io.EOF {
				t.Fatal(err)
			}
			if len(l.buf) > idleBuffer {
				t.Errorf("a buffer of %d bytes is kept", len(l.buf))
			}
			if held := resident(t, l.wide); held > 0 {
				t.Errorf("%d pages are kept", held)
			}
		})
	}
	l := newLines(bytes.NewReader(append(bytes.Repeat([]byte("x"), 4<<20), '\n')), 8<<20)
	defer l.close()
	if _, err := l.next(); err != nil {
		t.Fatal(err)
	}
	if held := resident(t, l.wide); held < 4<<20/os.Getpagesize() {
		t.Errorf("%d pages hold a line of four megabytes: the count is wrong", held)
	}
}

// resident is the number of an expanse's pages in memory (proc_pid_pagemap(5)).
func resident(t *testing.T, e *expanse) int {
	t.Helper()
	var at, page uint64 = 0, uint64(os.Getpagesize())
	if _, err := fmt.Sscanf(fmt.Sprintf("%p", e.mem), "0x%x", &at); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	words := make([]byte, 8*(uint64(len(e.mem))/page))
	if _, err := f.ReadAt(words, int64(at/page*8)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; len(words) > 0; words = words[8:] {
		if binary.NativeEndian.Uint64(words)>>62 != 0 { // in memory, or swapped out
			n++
		}
	}
	return n
}
