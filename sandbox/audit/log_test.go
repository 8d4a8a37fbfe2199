package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("AUDIT_TEST_WRITE"); dir != "" {
		writeMany(dir, os.Getenv("AUDIT_TEST_NAME"))
		return
	}
	os.Exit(m.Run())
}

const each = 400 // events of one writer

// writeMany is one of several processes that log the same server.
func writeMany(dir, name string) {
	l, err := Open(dir, Options{Server: "s", MaxSize: 20_000, Keep: 100})
	if err != nil {
		panic(err)
	}
	for i := range each {
		if err := l.Write(Event{Kind: KindTool, Verdict: Allowed, Subject: name, Detail: strconv.Itoa(i)}); err != nil {
			panic(err)
		}
	}
}

func open(t *testing.T, dir string, o Options) *Log {
	t.Helper()
	if o.Server == "" {
		o.Server = "s"
	}
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func write(t *testing.T, l *Log, events ...Event) {
	t.Helper()
	for _, e := range events {
		if e.Kind == "" {
			e.Kind = KindTool
		}
		if err := l.Write(e); err != nil {
			t.Fatal(err)
		}
	}
}

// read returns the subjects of the selected events and the number of foreign lines.
func read(t *testing.T, dir string, f Filter) ([]string, int) {
	t.Helper()
	r, err := OpenReader(dir, f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []string
	if err := r.Read(func(e Event) error { got = append(got, e.Subject); return nil }); err != nil {
		t.Fatal(err)
	}
	return got, r.Foreign
}

// Claude Desktop starts several copies of one server at once. None may lose another
// one's events, even if the file is rotated meanwhile.
func TestLogOfSeveralProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	var all sync.WaitGroup
	for i := range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{"AUDIT_TEST_WRITE=" + dir, fmt.Sprintf("AUDIT_TEST_NAME=w%d", i)}
		all.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	r, err := OpenReader(dir, Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	seen := map[string]bool{}
	if err := r.Read(func(e Event) error {
		seen[e.Subject+" "+e.Detail] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 4*each || r.Foreign != 0 {
		t.Errorf("%d events of %d, %d foreign lines", len(seen), 4*each, r.Foreign)
	}
	if _, err := os.Stat(filepath.Join(dir, "s.jsonl.1")); err != nil {
		t.Errorf("nothing was rotated: %v", err)
	}
}

func TestLogKeepsItsBounds(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o700)
	l := open(t, dir, Options{MaxSize: 1000, Keep: 2})
	for i := range 100 {
		write(t, l, Event{Subject: strconv.Itoa(i)})
	}
	files, _ := os.ReadDir(dir)
	if len(files) != 3 {
		t.Errorf("%d files, want the current one and 2", len(files))
	}
	for _, f := range files {
		if st, _ := f.Info(); st.Size() > 1000 || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %d bytes, mode %v", f.Name(), st.Size(), st.Mode())
		}
	}
	got, _ := read(t, dir, Filter{})
	if len(got) == 0 || got[len(got)-1] != "99" {
		t.Errorf("the newest event is not the last one: %v", got)
	}
}

func TestLogRefusesAPlaceOfOthers(t *testing.T) {
	plain := func(dir string) error { return nil }
	for name, c := range map[string]struct {
		prepare func(dir string) error
		refused bool
	}{
		"nothing there": {plain, false},
		"an open mode is closed": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "s.jsonl"), nil, 0o644)
		}, false},
		"a link": {func(dir string) error {
			return os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "s.jsonl"))
		}, true},
		"a fifo": {func(dir string) error { return unix.Mkfifo(filepath.Join(dir, "s.jsonl"), 0o600) }, true},
		"another name": {func(dir string) error {
			os.WriteFile(filepath.Join(dir, "other"), nil, 0o600)
			return os.Link(filepath.Join(dir, "other"), filepath.Join(dir, "s.jsonl"))
		}, true},
		"a directory for all": {func(dir string) error { return os.Chmod(dir, 0o777) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "log")
			if err := errors.Join(os.Mkdir(dir, 0o700), c.prepare(dir)); err != nil {
				t.Fatal(err)
			}
			l, err := Open(dir, Options{Server: "s"})
			if (err != nil) != c.refused {
				t.Fatalf("Open: %v, want refused: %v", err, c.refused)
			}
			if err == nil {
				defer l.Close()
				if st, _ := os.Stat(filepath.Join(dir, "s.jsonl")); st.Mode().Perm() != 0o600 {
					t.Errorf("mode %v", st.Mode())
				}
			}
		})
	}
}

// If an event is not in the log, Write must return an error.
func TestLogReturnsAFullDisk(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "log"), Options{})
	write(t, l, Event{Subject: "twin"})
	full, err := unix.Open("/dev/full", unix.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(l.file)
	l.file = full
	if err := l.append([]byte("x\n")); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("append: %v", err)
	}
	l.Close()
	if err := l.Write(Event{Kind: KindTool}); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Write behind Close: %v", err)
	}
}

// A file size limit stops a write in the middle, as a full disk does.
func TestLogEndsATornLine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := open(t, dir, Options{})
	write(t, l, Event{Subject: "before"})
	unix.Write(l.file, []byte(`{"time":"2026-`))
	l.torn = true
	write(t, l, Event{Subject: "behind"})
	got, foreign := read(t, dir, Filter{})
	if fmt.Sprint(got) != "[before behind]" || foreign != 1 {
		t.Errorf("read %v, %d foreign", got, foreign)
	}
}

func TestLogLeavesOutArguments(t *testing.T) {
	for _, args := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "log")
		req := &Request{ID: json.RawMessage("1"), Method: "tools/call", Name: "t", Args: json.RawMessage(`{"password":"hunter2"}`)}
		write(t, open(t, dir, Options{Args: args}), Event{Request: req})
		b, _ := os.ReadFile(filepath.Join(dir, "s.jsonl"))
		if strings.Contains(string(b), "hunter2") != args {
			t.Errorf("Args %v: %s", args, b)
		}
		if req.Args == nil {
			t.Error("the caller's request was changed")
		}
	}
}

func TestReaderSkipsWhatIsForeign(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := open(t, dir, Options{})
	write(t, l, Event{Subject: "1"})
	for _, s := range []string{"hello\n", "{}\n", "[]\n", "\n", strings.Repeat("x", maxRead+10) + "\n", `{"time":"2026-11-22T00:00:00Z","ki`} {
		unix.Write(l.file, []byte(s))
	}
	// Another process, which does not know about the torn line, writes after it.
	write(t, l, Event{Subject: "2"})
	unix.Write(l.file, []byte(`{"time":"2026-11-22T00:00:00Z"`))
	got, foreign := read(t, dir, Filter{})
	if fmt.Sprint(got) != "[1 2]" || foreign != 5 {
		t.Errorf("read %v, %d foreign", got, foreign)
	}
}

func TestReaderFilters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	at := func(s int) time.Time { return time.Date(2026, 11, 22, 0, 0, s, 0, time.UTC) }
	a, b := open(t, dir, Options{Server: "a"}), open(t, dir, Options{Server: "npm:@x/b"})
	write(t, a, Event{Time: at(1), Subject: "a1"}, Event{Time: at(4), Subject: "a4", Kind: KindName})
	write(t, b, Event{Time: at(2), Subject: "b2"}, Event{Time: at(3), Subject: "b3", Kind: KindConnect})
	for want, f := range map[string]Filter{
		"[a1 b2 b3 a4]": {},
		"[b2 b3]":       {Server: "npm:@x/b"},
		"[b3 a4]":       {Kinds: []Kind{KindName, KindConnect}},
		"[a4]":          {Since: at(4)},
		"[]":            {Server: "c"},
	} {
		if got, _ := read(t, dir, f); fmt.Sprint(got) != want {
			t.Errorf("%+v: %v, want %s", f, got, want)
		}
	}
	if _, err := OpenReader(filepath.Join(dir, "none"), Filter{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func TestReaderFollows(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := open(t, dir, Options{MaxSize: 600, Keep: 50})
	write(t, l, Event{Subject: "0"})
	r, err := OpenReader(dir, Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	tick, got := make(chan time.Time), make(chan string, 100)
	done := make(chan error)
	go func() {
		done <- r.Follow(ctx, tick, func(e Event) error { got <- e.Subject; return nil })
	}()
	want := func(subjects ...string) {
		t.Helper()
		for _, s := range subjects {
			if g := <-got; g != s {
				t.Fatalf("got %q, want %q", g, s)
			}
		}
	}
	want("0")
	unix.Write(l.file, []byte(`{"time":"2026-11-22T00:00:00Z","kind":"tool",`)) // half a line
	tick <- time.Time{}
	unix.Write(l.file, []byte(`"subject":"half"}`+"\n"))
	tick <- time.Time{}
	want("half")
	var many []string
	for i := range 20 { // over several rotations
		many = append(many, fmt.Sprint("m", i))
		write(t, l, Event{Subject: many[i]})
	}
	tick <- time.Time{}
	want(many...)
	write(t, open(t, dir, Options{Server: "new"}), Event{Subject: "new"})
	tick <- time.Time{}
	want("new")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if r.Foreign != 0 {
		t.Errorf("%d foreign lines", r.Foreign)
	}
}

func TestEncodeBounds(t *testing.T) {
	line, err := Encode(Event{
		Kind: KindStderr, Subject: strings.Repeat("é", 1<<20), Detail: "a\u202eb\u009bc\U000e0041 ok é",
		Request: &Request{ID: json.RawMessage(`"` + strings.Repeat("i", 1<<20) + `"`), Args: json.RawMessage(`"` + strings.Repeat("i", 1<<20) + `"`)},
	})
	if err != nil || len(line) > 10_000 {
		t.Fatalf("%d bytes, %v", len(line), err)
	}
	if !strings.Contains(string(line), `"a\u202eb\u009bc\udb40\udc41 ok é"`) {
		t.Errorf("not escaped: %s", line[len(line)-400:])
	}
	var e Event
	if err := json.Unmarshal(line, &e); err != nil || e.Detail != "a\u202eb\u009bc\U000e0041 ok é" {
		t.Errorf("read back: %q, %v", e.Detail, err)
	}
}

func TestFormatText(t *testing.T) {
	at := time.Date(2026, 11, 22, 13, 5, 6, 7e6, time.UTC)
	code := 1
	for want, e := range map[string]Event{
		`2026-11-22 13:05:06.007 github refused connect evil.example:443: not allowed; during tools/call fetch, id "a", with 2 others; rule p.toml:3:1; to allow it: allow = ["evil.example:443"]`: {
			Time: at, Server: "github", Kind: KindConnect, Verdict: Refused, Subject: "evil.example:443", Detail: "not allowed",
			Rule: "p.toml:3:1", Hint: `allow = ["evil.example:443"]`,
			Request: &Request{ID: json.RawMessage(`"a"`), Method: "tools/call", Name: "fetch", Others: 2},
		},
		`2026-11-22 13:05:06.007 s stderr x; during ping, id 1, with 1 other`: {
			Time: at, Server: "s", Kind: KindStderr, Verdict: Observed, Subject: "x",
			Request: &Request{ID: json.RawMessage(`1`), Method: "ping", Others: 1},
		},
		`2026-11-22 13:05:06.007 s exit, exit code 1, after 1.5s`: {
			Time: at, Server: "s", Kind: KindExit, Verdict: Observed, Code: &code, Duration: 1500 * time.Millisecond,
		},
		`2026-11-22 13:05:06.007 s stderr \x1b[2J\u202eabc`: {
			Time: at, Server: "s", Kind: KindStderr, Verdict: Observed, Subject: "\x1b[2J\u202eabc",
		},
		`2026-11-22 13:05:06.007 s refused file /etc/shadow [EACCES], by node[7]`: {
			Time: at, Server: "s", Kind: KindFile, Verdict: Refused, Subject: "/etc/shadow", Errno: "EACCES", PID: 7, Program: "node",
		},
	} {
		if got := FormatText(e); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestFileNameStaysInItsDirectory(t *testing.T) {
	for server, want := range map[string]string{
		"github":               "github.jsonl",
		"npm:@scope/thing@1.2": "npm%3A@scope%2Fthing@1.2.jsonl",
		"../../etc/passwd":     "%2E.%2F..%2Fetc%2Fpasswd.jsonl",
		"..":                   "%2E..jsonl",
		"a%2Fb":                "a%252Fb.jsonl",
	} {
		if got := FileName(server); got != want {
			t.Errorf("FileName(%q) = %q, want %q", server, got, want)
		}
	}
}
