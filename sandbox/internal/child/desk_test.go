package child

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/plan"
)

// A program that checks whether it is watched must find a home in use, and keys that
// nobody else can read. The launcher gets the home to examine it after the program's
// end.
func TestTheDeskIsLaidOut(t *testing.T) {
	above := t.TempDir()
	home := filepath.Join(above, "alex")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	here, file, err := NewControl()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	there := &Control{file}
	d := &plan.Desk{Home: home, Files: []plan.DeskFile{
		{Path: home + "/.ssh/id_ed25519", Content: "key", Mode: 0o600, Time: 1_500_000_000}, {Path: home + "/src/app/main.py", Content: "print()", Mode: 0o644, Time: 1_600_000_000}, {Path: home + "/.profile", Content: "", Mode: 0o644, Time: 1_400_000_000},
	}}
	if err := arrange(there, d); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		mode    os.FileMode
		at      int64
		content string
	}{
		".ssh/id_ed25519": {0o600, 1_500_000_000, "key"}, ".ssh": {os.ModeDir | 0o700, 1_500_000_000, ""}, "src/app/main.py": {0o644, 1_600_000_000, "print()"}, "src/app": {os.ModeDir | 0o755, 1_600_000_000, ""}, "src": {os.ModeDir | 0o755, 1_600_000_000, ""}, ".profile": {0o644, 1_400_000_000, ""},
		"": {os.ModeDir | 0o755, 1_500_000_000, ""}, // from the first file: folders are dated from the last file backwards
	} {
		st, err := os.Stat(filepath.Join(home, path))
		if err != nil {
			t.Error(err)
			continue
		}
		var sys unix.Stat_t
		if err := unix.Stat(filepath.Join(home, path), &sys); err != nil {
			t.Fatal(err)
		}
		if st.Mode() != want.mode || st.ModTime().Unix() != want.at || st.ModTime().Sub(time.Unix(sys.Atim.Unix())) != time.Hour {
			t.Errorf("%q: %v, changed %d, read %d", path, st.Mode(), st.ModTime().Unix(), sys.Atim.Sec)
		}
		if text, err := os.ReadFile(filepath.Join(home, path)); !st.IsDir() && (err != nil || string(text) != want.content) {
			t.Errorf("%q holds %q, %v", path, text, err)
		}
	}
	if st, err := os.Stat(above); err != nil || time.Since(st.ModTime()) > 24*time.Hour {
		t.Errorf("the folder of all homes was last changed at %v (%v)", st.ModTime(), err)
	}
	m, err := here.Receive()
	if err != nil || m.Kind != Laid || len(m.Files) != 2 || m.Files[0] == nil {
		t.Fatalf("%+v, %v", m, err)
	}
	if names, err := m.Files[0].Readdirnames(-1); err != nil || len(names) != 3 {
		t.Errorf("the home that the launcher got holds %q, %v", names, err)
	}
	closeAll(m.Files)
	if n := links(t, home); n > 0 {
		t.Errorf("pid 1 holds %d files of the home", n)
	}
	// An existing file is not written to: it could be somebody's link.
	if err := arrange(there, d); err == nil || !strings.Contains(err.Error(), "lay out the desk") {
		t.Errorf("a second time: %v", err)
	}
	if err := arrange(nil, nil); err != nil {
		t.Errorf("no desk: %v", err)
	}
	// Every call that fails on the way is reported, and no file stays half made.
	run := 0
	unheard, err := fault.Each([]uintptr{unix.SYS_MKDIRAT, unix.SYS_OPENAT, unix.SYS_WRITE, unix.SYS_FCHMODAT, unix.SYS_UTIMENSAT}, unix.EDQUOT, func(c fault.Call) bool {
		return c.Number != unix.SYS_WRITE || c.Args[2] == 3
	}, func() error {
		run++ // removing a failed one would be made to fail as well
		at := fmt.Sprintf("%s/again%d", home, run)
		return lay(plan.DeskFile{Path: at + "/a/key", Content: "key", Mode: 0o600, Time: 1})
	})
	var calls []string
	for _, c := range unheard {
		calls = append(calls, c.String())
	}
	if err != nil || len(unheard) > 0 {
		t.Errorf("nobody heard of %q (%v)", calls, err)
	}
	unheard, err = fault.Each([]uintptr{unix.SYS_MKDIRAT, unix.SYS_OPENAT, unix.SYS_UTIMENSAT, unix.SYS_SENDMSG}, unix.EIO, nil, func() error {
		run++
		at := fmt.Sprintf("%s/whole%d", home, run)
		err := arrange(there, &plan.Desk{Home: home, Files: []plan.DeskFile{{Path: at + "/a", Content: "x", Mode: 0o644, Time: 1}}})
		if err == nil {
			m, _ := here.Receive()
			closeAll(m.Files)
		} else if failure(err).Step != "lay out the desk" {
			t.Errorf("told %v", err)
		}
		return err
	})
	if err != nil || len(unheard) > 0 {
		t.Errorf("nobody heard of %v (%v)", unheard, err)
	}
}

// An error about a path of the plan names the call and the path.
func TestALandlockPathThatFailsIsNamed(t *testing.T) {
	path := t.TempDir()
	for name, numbers := range map[string][]uintptr{"open": {unix.SYS_OPENAT}, "fstat": {unix.SYS_FSTAT, unix.SYS_NEWFSTATAT}} {
		var got error
		err := fault.Watch(numbers, func(fault.Call) fault.Answer { return fault.Fail(unix.EIO) }, func() { got = addPath(-1, plan.Rule{Path: path, Access: plan.AccessRead}, 0) })
		var failed *os.PathError
		if err != nil || !errors.As(got, &failed) || failed.Op != name || failed.Path != path || failed.Err != unix.EIO {
			t.Errorf("%s: %v (%v)", name, got, err)
		}
	}
	var failed *os.PathError
	if err := addPath(-1, plan.Rule{Path: path, Access: plan.AccessRead}, 0); !errors.As(err, &failed) || failed.Op != "landlock_add_rule" || failed.Path != path {
		t.Errorf("no ruleset: %v", err)
	}
	if err := addPath(-1, plan.Rule{Path: path, Access: "all"}, 0); err == nil || errors.As(err, new(*os.PathError)) {
		t.Errorf("no such access: %v", err)
	}
}
