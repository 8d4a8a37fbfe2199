package clients

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// killAt names, for the test that runs again to be killed, the step at which it is.
const killAt = "MCPEN_TEST_KILL_AT"

func TestMain(m *testing.M) {
	if at := os.Getenv(killAt); at != "" {
		stage = func(now string) {
			if now == at {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
		_, err := wrapFile(os.Args[1])
		fmt.Println(err)
		os.Exit(3)
	}
	os.Exit(m.Run())
}

func wrapFile(path string) (Change, error) {
	p := Place{Client: &unknown, Path: path, format: formatJSON, shapes: plainShapes}
	return Apply(p, func() (Change, error) {
		return p.Wrap(testMcpen, func(e Entry) ([]string, bool) { return nil, e.State == Open }, nil)
	})
}

func unwrapFile(path string) (Change, error) {
	p := Place{Client: &unknown, Path: path, format: formatJSON, shapes: plainShapes}
	return Apply(p, func() (Change, error) { return p.Unwrap(func(Entry) bool { return true }, noLiterals) })
}

const config = `{
  "count": 0, // of edits
  "mcpServers": {"notes": {"command": "npx", "args": ["-y", "notes"]}}
}
`

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// only makes sure that a folder holds these names and no leftovers.
func only(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	if strings.Join(have, " ") != strings.Join(names, " ") {
		t.Errorf("the folder holds %q, not %q", have, names)
	}
}

// A replaced file keeps the user's set-up around it: its mode, its attributes, and the
// link that leads to it.
func TestReplaceKeepsWhatTheFileIs(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "dotfiles.json"), filepath.Join(dir, "mcp.json")
	write(t, file, config)
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	attribute := unix.Setxattr(file, "user.note", []byte("mine"), 0) == nil
	owner := os.Geteuid() == 0
	if owner {
		if err := os.Chown(file, 20001, 20002); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("dotfiles.json", link); err != nil {
		t.Fatal(err)
	}
	if _, err := wrapFile(link); err != nil {
		t.Fatal(err)
	}
	only(t, dir, "dotfiles.json", "mcp.json")
	if to, err := os.Readlink(link); err != nil || to != "dotfiles.json" {
		t.Errorf("the link is %q, %v", to, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil || st.Mode&0o7777 != 0o640 || owner && (st.Uid != 20001 || st.Gid != 20002) {
		t.Errorf("mode %o, owner %d:%d, %v", st.Mode, st.Uid, st.Gid, err)
	}
	value := make([]byte, 10)
	if n, err := unix.Getxattr(file, "user.note", value); attribute && (err != nil || string(value[:n]) != "mine") {
		t.Errorf("the attribute is %q, %v", value[:max(n, 0)], err)
	}
	if _, err := unwrapFile(link); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != config {
		t.Errorf("%s, %v", data, err)
	}
}

// A file with two names would be replaced under one of them and go on as it was under
// the other, and one that a client writes at the moment is the client's.
func TestReplaceLeavesAlone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mcp.json")
	write(t, file, config)
	if err := os.Link(file, filepath.Join(dir, "other.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := wrapFile(file); err == nil || !strings.Contains(err.Error(), "2 names") {
		t.Errorf("a hard link: %v", err)
	}
	os.Remove(filepath.Join(dir, "other.json"))
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var held *heldError
	if _, err := wrapFile(file); !errors.As(err, &held) {
		t.Errorf("a file that somebody writes: %v", err)
	}
	f.Close()
	only(t, dir, "mcp.json")
	if _, err := wrapFile(file); err != nil {
		t.Error(err)
	}
}

// wrap must keep a client's concurrent edits, and a reader must never see half a file: a
// thousand edits by rename, as editors make them, and a thousand in place, as node's
// writeFile does.
func TestReplaceLosesNobodysEdit(t *testing.T) {
	for name, put := range map[string]func(path string, data []byte) error{
		"rename": func(path string, data []byte) error {
			if err := os.WriteFile(path+".new", data, 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
		"in place": func(path string, data []byte) error { return os.WriteFile(path, data, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "mcp.json")
			write(t, path, config)
			done := make(chan struct{})
			var others sync.WaitGroup
			turns := 0
			others.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-done:
						return
					default:
					}
					do := wrapFile
					if i%2 == 1 {
						do = unwrapFile
					}
					if c, err := do(path); err == nil && len(c.Done) > 0 {
						turns++
					}
				}
			})
			if name == "rename" {
				others.Go(func() { readWhole(t, path, done) })
			}
			for i := range 1000 {
				if err := edit1(path, i, put); err != nil {
					t.Fatalf("edit %d: %v", i, err)
				}
				time.Sleep(time.Duration(i%7) * time.Millisecond)
			}
			close(done)
			others.Wait()
			if data, err := os.ReadFile(path); err != nil || !bytes.Contains(data, []byte(`"count": 1000,`)) {
				t.Errorf("the last edit is not there: %s %v", data, err)
			}
			only(t, dir, "mcp.json")
			if turns == 0 {
				t.Error("wrap never had its turn")
			}
			t.Logf("wrapped or unwrapped %d times among 1000 edits", turns)
		})
	}
}

// edit1 counts one up, as a client does that reads its file, and writes it as it then
// is. It is an error where the edit before is not there.
func edit1(path string, i int, put func(string, []byte) error) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	was, is := fmt.Sprintf(`"count": %d,`, i), fmt.Sprintf(`"count": %d,`, i+1)
	if !bytes.Contains(data, []byte(was)) {
		return fmt.Errorf("the edit before is lost: %s", data)
	}
	return put(path, bytes.Replace(data, []byte(was), []byte(is), 1))
}

// readWhole reads the file all the time, as a client that starts does.
func readWhole(t *testing.T, path string, done chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
		}
		data, err := os.ReadFile(path)
		if err == nil {
			_, err = parseFile(formatJSON, plainShapes, data)
		}
		if err != nil {
			t.Errorf("somebody read half a file: %v: %q", err, data)
			return
		}
	}
}

// A wrap that is killed leaves the old file or the new one, and the next wrap removes
// the leftover beside it.
func TestReplaceKilledAtEveryStep(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"opened", "written", "leased", "turned", "settled"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "mcp.json")
		write(t, path, config)
		cmd := exec.Command(self, path)
		cmd.Env = append(os.Environ(), killAt+"="+at)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("%s: it was not killed: %v %s", at, err, out)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parseFile(formatJSON, plainShapes, data)
		if err != nil {
			t.Fatalf("%s: the file is torn: %v", at, err)
		}
		if state := f.entries()[0].State; state != Open && state != Wrapped {
			t.Errorf("%s: the entry is %s", at, state)
		}
		c, err := wrapFile(path)
		if err != nil || len(c.Kept) > 0 {
			t.Errorf("%s: again: %v, %q was kept", at, err, c.Kept)
		}
		if _, err := unwrapFile(path); err != nil {
			t.Error(err)
		}
		if data, _ := os.ReadFile(path); string(data) != config {
			t.Errorf("%s: it came back otherwise: %s", at, data)
		}
		only(t, dir, "mcp.json")
	}
}

// A leftover that differs from the file may hold a person's edit: sweep keeps it and
// names it.
func TestSweepKeepsWhatItDoesNotKnow(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mcp.json")
	write(t, path, config)
	left := filepath.Join(dir, tempPrefix("mcp.json")+"X")
	write(t, left, strings.Replace(config, "0", "1", 1))
	c, err := wrapFile(path)
	if err != nil || len(c.Kept) != 1 || c.Kept[0] != left || !there(left) {
		t.Errorf("%v, %q", err, c.Kept)
	}
}
