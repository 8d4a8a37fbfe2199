package launch

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

func order() Order {
	o := NewOrder(plan.Plan{Version: plan.Version, Name: "notes",
		Process: plan.Process{Path: "/usr/bin/node", Secrets: []plan.Secret{{Name: "TOKEN", From: "env:TOKEN", Value: "hunter2"}}}})
	o.Quiet, o.Logs, o.Pins = true, "/logs", PinFile{Name: "notes", File: "/notes.pins"}
	return o
}

// The launcher must do what the person asked for: no part of an order gets lost on its
// way, the secrets least of all.
func TestOrderArrives(t *testing.T) {
	want := order()
	f, err := want.pack()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	got, err := received([]string{"HOME=/", orderVariable + "=" + strconv.Itoa(fd)})
	if err != nil {
		t.Fatal(err)
	}
	if got.Plan.Digest() != want.Plan.Digest() || got.Pins != want.Pins || !got.Quiet || got.Logs != want.Logs {
		t.Errorf("got %+v", got)
	}
	if v := string(got.Plan.Process.Secrets[0].Value); v != "hunter2" {
		t.Errorf("the secret is %q", v)
	}
}

// A file that another process can still write to is refused.
func TestOrderThatCanChangeIsRefused(t *testing.T) {
	fd, err := unix.MemfdCreate("order", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, []byte(`{"version":1}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := unpack(fd); err == nil || !strings.Contains(err.Error(), "sealed") {
		t.Errorf("an open file was taken: %v", err)
	}
}

func TestLauncherWithoutAnOrderDoesNothing(t *testing.T) {
	for _, env := range [][]string{nil, {orderVariable + "="}, {orderVariable + "=1"}, {orderVariable + "=900"}} {
		if _, err := received(env); err == nil {
			t.Errorf("%v was an order", env)
		}
	}
}

// The caller continues by itself, and nothing has changed.
func TestBecomeWhatIsNoProgramComesBack(t *testing.T) {
	image, err := sealed("no-program", []byte("no program"))
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	f, err := os.CreateTemp(t.TempDir(), "held")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Not executable (older kernels do not support it) or of no known format.
	if err := Become(image, order(), os.Args, os.Environ(), f); !errors.Is(err, unix.ENOEXEC) && !errors.Is(err, unix.EACCES) {
		t.Errorf("%v", err)
	}
	if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("a descriptor was left open for other programs: %#x, %v", flags, err)
	}
}

// On a machine with one processor the launcher keeps those that the network asked for
// during the start: else each connection takes 20 ms.
func TestLauncherKeepsTheNetworksProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4)) // as the network does
	for _, c := range []struct{ may, want int }{{1, 4}, {6, 6}} {
		if mayUse(c.may); runtime.GOMAXPROCS(0) != c.want {
			t.Errorf("with %d processors: %d, want %d", c.may, runtime.GOMAXPROCS(0), c.want)
		}
	}
}
