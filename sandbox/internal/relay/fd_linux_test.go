package relay

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func fdOf(t *testing.T, fd int) *FD {
	t.Helper()
	f, err := newFD(fd, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// pairs are the kinds of stdio that clients use: two connected ends.
var pairs = map[string]func(t *testing.T) (r, w int){
	"pipe": func(t *testing.T) (int, int) {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		return p[0], p[1]
	},
	"pipe that the client made non-blocking": func(t *testing.T) (int, int) {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
			t.Fatal(err)
		}
		return p[0], p[1]
	},
	"socketpair": func(t *testing.T) (int, int) { return socketpair(t, 0) },
	"socketpair that the client made non-blocking": func(t *testing.T) (int, int) {
		return socketpair(t, unix.SOCK_NONBLOCK)
	},
}

func socketpair(t *testing.T, flag int) (int, int) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p[0], p[1]
}

func flags(t *testing.T, fd int) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// More data than any kernel buffer holds passes, and the flags that the client shares
// do not change.
func TestFDCarriesEveryKind(t *testing.T) {
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			rfd, wfd := pair(t)
			before := [2]int{flags(t, rfd), flags(t, wfd)}
			r, w := fdOf(t, rfd), fdOf(t, wfd)
			want := strings.Repeat("0123456789abcde\n", 1<<17)
			go func() {
				if _, err := io.WriteString(w, want); err != nil {
					t.Errorf("Write: %v", err)
				}
				if after := flags(t, wfd); after != before[1] {
					t.Errorf("flags of the writer were %#x, are %#x", before[1], after)
				}
				w.Close()
			}()
			got, err := io.ReadAll(r)
			if err != nil || string(got) != want {
				t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
			}
			if after := flags(t, rfd); after != before[0] {
				t.Errorf("flags of the reader were %#x, are %#x", before[0], after)
			}
		})
	}
}

func TestFDCloseEndsWhatWaits(t *testing.T) {
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			rfd, wfd := pair(t)
			r, w := fdOf(t, rfd), fdOf(t, wfd)
			errs := make(chan error, 2)
			entered := make(chan struct{})
			go func() { close(entered); _, err := r.Read(make([]byte, 1)); errs <- err }()
			<-entered
			r2, w2 := pair(t) // nobody reads there, so the write has to wait
			defer unix.Close(r2)
			stuck := fdOf(t, w2)
			_ = w
			began := make(chan struct{})
			go func() { close(began); _, err := stuck.Write(make([]byte, 1<<22)); errs <- err }()
			<-began
			r.Close()
			stuck.Close()
			for range 2 {
				if err := <-errs; !errors.Is(err, os.ErrClosed) {
					t.Errorf("got %v", err)
				}
			}
			if _, err := r.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
				t.Errorf("Read behind Close: %v", err)
			}
		})
	}
}

// Without a reader a write is an error, and SIGPIPE does not end the program.
func TestFDWriteWithoutReader(t *testing.T) {
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			r, w := pair(t)
			unix.Close(r)
			if _, err := fdOf(t, w).Write([]byte("x")); !errors.Is(err, unix.EPIPE) {
				t.Errorf("Write: %v", err)
			}
		})
	}
}

// A client may close its writing side and still read (shutdown(2)).
func TestFDHalfClosed(t *testing.T) {
	ours, theirs := socketpair(t, 0)
	defer unix.Close(theirs)
	f := fdOf(t, ours)
	if err := unix.Shutdown(theirs, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("Read: %v", err)
	}
	if _, err := f.Write([]byte("x")); err != nil {
		t.Errorf("Write: %v", err)
	}
	if n, err := unix.Read(theirs, make([]byte, 9)); n != 1 || err != nil {
		t.Errorf("the client read %d, %v", n, err)
	}
}

func TestFDOfFilesAndNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	file, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("x", 10_000)
	f := fdOf(t, file)
	if n, err := io.WriteString(f, text); n != len(text) || err != nil {
		t.Errorf("file: %d, %v", n, err)
	}
	unix.Seek(file, 0, io.SeekStart)
	if got, err := io.ReadAll(f); string(got) != text || err != nil {
		t.Errorf("file: read %d bytes, %v", len(got), err)
	}
	null, _ := unix.Open("/dev/null", unix.O_RDWR, 0)
	f = fdOf(t, null)
	if n, err := f.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("/dev/null: %d, %v", n, err)
	}
	if n, err := io.WriteString(f, text); n != len(text) || err != nil {
		t.Errorf("/dev/null: %d, %v", n, err)
	}
	nothing, err := Borrow(1 << 20) // a number without a descriptor
	if err != nil {
		t.Fatal(err)
	}
	defer nothing.Close()
	if n, err := nothing.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("closed: %d, %v", n, err)
	}
	if _, err := nothing.Write([]byte("x")); !errors.Is(err, unix.EBADF) {
		t.Errorf("closed: %v", err)
	}
}

// A person at a terminal may act as the client.
func TestFDOfTerminal(t *testing.T) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	defer unix.Close(master)
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	f := fdOf(t, tty)
	unix.Write(master, []byte("ping\n\x04"))
	buf := make([]byte, 99)
	if n, err := f.Read(buf); string(buf[:n]) != "ping\n" || err != nil {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if n, err := f.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("control-D: %q, %v", buf[:n], err)
	}
	if _, err := io.WriteString(f, "pong\n"); err != nil {
		t.Errorf("write: %v", err)
	}
	var shown string // the terminal echoes the typed text before it
	for !strings.HasSuffix(shown, "pong\r\n") {
		n, err := unix.Read(master, buf)
		if err != nil {
			t.Fatalf("the terminal shows %q, %v", shown, err)
		}
		shown += string(buf[:n])
	}
}

// A client's pipe is reopened: its own flags do not change for other users of it, and
// both ends still see the other's end.
func TestReopenLeavesTheClientsPipeAlone(t *testing.T) {
	r, w := rawPipe(t)
	out, err := Reopen(w, unix.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	in, err := Reopen(r, unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range []int{r, w} {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
			t.Errorf("the client's end has the flags %#x, %v", flags, err)
		}
	}
	const long = 1 << 20 // more than fits: each side has to wait for the other
	go func() {
		if _, err := out.Write(make([]byte, long)); err != nil {
			t.Error(err)
		}
		out.Close()
		unix.Close(w)
	}()
	if n, err := io.Copy(io.Discard, in); n != long || err != nil {
		t.Errorf("%d bytes came, %v", n, err)
	}
}

func TestReopenedPipeWithoutReaders(t *testing.T) {
	r, w := rawPipe(t)
	out, err := Reopen(w, unix.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	unix.Close(r)
	if _, err := out.Write([]byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Errorf("a write that nobody reads: %v", err)
	}
	unix.Close(w)
}

// Closing a reopened pipe wakes its readers.
func TestReopenedPipeIsClosed(t *testing.T) {
	r, w := rawPipe(t)
	defer unix.Close(w)
	defer unix.Close(r)
	in, err := Reopen(r, unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := in.Read(make([]byte, 1)); done <- err }()
	time.Sleep(10 * time.Millisecond)
	in.Close()
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("the read ended with %v", err)
	}
}

func TestReopenIsForPipes(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	file, err := os.CreateTemp(t.TempDir(), "file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for what, fd := range map[string]int{"a socket": pair[0], "a file": int(file.Fd()), "nothing": 1 << 20} {
		if f, err := Reopen(fd, unix.O_RDONLY); err == nil {
			f.Close()
			t.Errorf("%s was opened anew", what)
		}
	}
}

func rawPipe(t *testing.T) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return p[0], p[1]
}
