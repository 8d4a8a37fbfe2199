package relay

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
)

// A client that does not read must not cost memory for every line that mcpen would like
// to send.
func TestOffersAreBounded(t *testing.T) {
	o := &outlet{done: make(chan struct{})} // nobody writes the queue
	o.change.L = &o.mu
	line := bytes.Repeat([]byte{'x'}, 1023)
	for range 3 * queueMax / 1024 {
		o.offer(line)
	}
	if want := queueMax / 1024 * 1024; len(o.queue) != want {
		t.Errorf("%d bytes wait, want %d", len(o.queue), want)
	}
	o.queue = nil
	o.offer(bytes.Repeat([]byte{'x'}, 2*queueMax)) // alone it may be long: it waits for nobody
	if len(o.queue) != 2*queueMax+1 {
		t.Errorf("%d bytes of a long line wait", len(o.queue))
	}
	o.offer([]byte("y"))
	if len(o.queue) != 2*queueMax+1 {
		t.Errorf("%d bytes wait behind a long line", len(o.queue))
	}
	for n, want := range map[int]bool{queueMax - 10: true, queueMax - 9: false} {
		o.queue = bytes.Repeat([]byte{'x'}, n)
		o.offer(bytes.Repeat([]byte{'y'}, 10))
		if (len(o.queue) > n) != want {
			t.Errorf("10 bytes behind %d: %v", n, !want)
		}
	}
	o.queue, o.err = nil, errOutletClosed
	o.offer([]byte("y"))
	if len(o.queue) != 0 {
		t.Error("something waits for nobody")
	}
}

// A closed descriptor's number may belong to another file at once: a call still in
// progress would write there.
func TestClosedDescriptorIsKeptWhileInUse(t *testing.T) {
	open := func(fd int) bool { _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); return err == nil }
	for _, owned := range []bool{true, false} {
		var ends [2]int
		if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(ends[0])
		f, err := newFD(ends[1], owned)
		if err != nil {
			t.Fatal(err)
		}
		wake := f.wake
		if first, second := f.enter(), f.enter(); !first || !second { // two calls are in progress
			t.Fatal("it is closed")
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if f.enter() {
			t.Error("a call begins behind Close")
		}
		f.leave()
		if !open(ends[1]) || !open(wake) {
			t.Error("closed, and a call is under way")
		}
		fds := []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 0); n != 1 || err != nil {
			t.Errorf("nobody woke the call: %d, %v", n, err)
		}
		f.leave()
		if open(ends[1]) == owned || open(wake) {
			t.Errorf("owned %v: the descriptor is open %v, what wakes it %v", owned, open(ends[1]), open(wake))
		}
		if err := f.Close(); err != nil {
			t.Errorf("closed twice: %v", err)
		}
		if !owned {
			unix.Close(ends[1])
		}
	}
	// With no call in progress Close closes at once, and returns the error.
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	f, err := newFD(ends[0], true)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil || open(ends[0]) {
		t.Errorf("%v, open %v", err, open(ends[0]))
	}
	unix.Close(ends[1])
}

// Every failing call during the set-up of a watched descriptor is reported, and nothing
// stays open.
func TestDescriptorThatCannotBeWatched(t *testing.T) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	unheard, err := fault.Each([]uintptr{unix.SYS_EVENTFD2, unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL}, unix.EIO, func(c fault.Call) bool {
		return c.Number != unix.SYS_EPOLL_CTL || c.Args[2] == uint64(ends[0]) // not the runtime's own
	}, func() error {
		f, err := newFD(ends[0], false)
		if err == nil {
			err = f.Close()
		}
		return err
	})
	if err != nil || len(unheard) > 0 {
		t.Errorf("nobody heard of %v (%v)", unheard, err)
	}
	if _, err := fault.Each([]uintptr{unix.SYS_POLL, unix.SYS_PPOLL}, unix.EIO, nil, func() error { return (&FD{fd: ends[1]}).ready(unix.POLLOUT) }); err != nil {
		t.Error(err)
	}
	f := &FD{fd: ends[0]}
	if err := f.ready(unix.POLLIN); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("nothing is there to read: %v", err)
	}
	if _, err := unix.Write(ends[1], []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := f.ready(unix.POLLIN); err != nil {
		t.Errorf("something is there: %v", err)
	}
}

// The id of a request may be at the very end of an overlong line: without it the sender
// would wait for ever.
func TestLongLinesKeepBothEnds(t *testing.T) {
	const id = `,"id":"the last"}`
	for _, n := range []int{2 * sampleSize, 9 * sampleSize, 300 << 10} {
		for name, chunk := range map[string]int{"at once": 1 << 30, "in pieces": 1000} {
			for _, end := range []string{"\n", "\nnext\n", ""} {
				text := `{"begins":"` + strings.Repeat("x", n) + `"` + id
				l := newLines(&pieces{text: text + end, most: chunk}, 2*sampleSize)
				f, err := l.next()
				if err != nil || f.long == nil || f.raw != nil || f.line != nil {
					t.Fatalf("%d %s: %+v, %v", n, name, f, err)
				}
				if f.long.size != int64(len(text)) || string(f.long.head) != text[:sampleSize] || string(f.long.tail) != text[len(text)-sampleSize:] {
					t.Errorf("%d bytes %s: size %d of %d, head %.20q, tail %q", n, name, f.long.size, len(text), f.long.head, f.long.tail[max(0, len(f.long.tail)-20):])
				}
				if strings.Contains(end, "next") {
					if f, err := l.next(); err != nil || string(f.line) != "next" {
						t.Errorf("behind it comes %q, %v", f.line, err)
					}
				}
			}
		}
	}
}

// pieces yields a text in pieces.
type pieces struct {
	text string
	most int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, errEnd
	}
	n := copy(b[:min(len(b), p.most)], p.text)
	p.text = p.text[n:]
	return n, nil
}

var errEnd = errors.New("the end")

// Of a dying server's last lines the newest are kept, bounded in number and in bytes,
// and a single overlong one is kept nevertheless.
func TestHeldLinesAreBounded(t *testing.T) {
	l := &lane{}
	for i := range keptLines + 3 {
		l.keep(words{text: string(rune('a' + i%26))})
	}
	if len(l.kept) != keptLines || l.lost != 3 || l.size != keptLines || l.kept[0].text != "d" {
		t.Errorf("%d lines of %d bytes, %d lost, the first %q", len(l.kept), l.size, l.lost, l.kept[0].text)
	}
	l = &lane{}
	half := strings.Repeat("x", keptBytes/2)
	l.keep(words{text: half})
	l.keep(words{text: half})
	if len(l.kept) != 2 || l.lost != 0 {
		t.Errorf("two halves: %d lines, %d lost", len(l.kept), l.lost)
	}
	l.keep(words{text: "y"})
	if len(l.kept) != 2 || l.lost != 1 || l.size != keptBytes/2+1 {
		t.Errorf("a byte more: %d lines of %d bytes, %d lost", len(l.kept), l.size, l.lost)
	}
	l.keep(words{text: strings.Repeat("z", 2*keptBytes)})
	if len(l.kept) != 1 || l.lost != 3 || l.size != 2*keptBytes {
		t.Errorf("a long one: %d lines of %d bytes, %d lost", len(l.kept), l.size, l.lost)
	}
	if !l.closed() || (&lane{}).closed() || !(&lane{lost: 1}).closed() || !(&lane{kept: []words{{}}}).closed() {
		t.Error("whether lines are held back")
	}
}

// The address space of a very long line is given back when a direction ends: a launcher
// that serves for days must not keep it.
func TestVeryLongLinesLeaveNoMapping(t *testing.T) {
	long := strings.Repeat("x", largeBuffer+100) + "\n"
	r := &Relay{Config: Config{MaxLine: defaultMaxLine}, toServer: newOutlet(discard{})}
	l := newLines(strings.NewReader(long), defaultMaxLine)
	if _, err := l.next(); err != nil || l.wide == nil || l.wide.mem == nil {
		t.Fatalf("a line of %d bytes lies in no mapping: %v", len(long), err)
	}
	r.carry(Client, l)
	r.toServer.close()
	if l.wide.mem != nil {
		t.Error("the mapping is still there")
	}
}
