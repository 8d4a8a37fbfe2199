package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/child"
	"mcpen/sandbox/plan"
)

// An editor saves by renaming a new file over the old one, which the server goes on
// reading. mcpen tells the person once, and of nothing else.
func TestReplacedPathsAreReportedOnce(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	saved, kept, gone, link := file("saved"), file("kept"), file("gone"), filepath.Join(dir, "link")
	if err := os.Symlink(kept, link); err != nil {
		t.Fatal(err)
	}
	p := plan.Plan{Root: []plan.Mount{{Kind: plan.MountSymlink, Target: link, Source: kept, At: "p.toml:4:1"}, {Kind: plan.MountBind, Target: "/unpinned", At: "p.toml:5:1"}}}
	var pins []child.Pin
	for _, path := range []string{saved, kept, gone} {
		p.Root = append(p.Root, plan.Mount{Kind: plan.MountBind, Target: path, Source: path, At: "p.toml:3:1"})
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			t.Fatal(err)
		}
		pins = append(pins, child.Pin{Target: path, Dev: uint64(st.Dev), Ino: st.Ino})
	}
	p.Root = append(p.Root, plan.Mount{Kind: plan.MountBind, Target: saved, Source: saved}) // nobody declared it
	p.Writes.Singles = []plan.Single{{File: saved, Folder: dir}}
	var reported []audit.Event
	d := newDeclared(p, pins, func(e audit.Event) { reported = append(reported, e) })
	if d.look(); len(reported) != 0 || len(d.paths) != 4 {
		t.Fatalf("reported of %d: %+v", len(d.paths), reported)
	}
	if err := os.Rename(file("new"), saved); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	os.Remove(link)
	if err := os.Symlink(saved, link); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go d.run(over)
	for range 3 {
		d.ask()
	}
	close(over)
	d.finish()
	<-d.over
	if len(reported) != 2 || reported[0].Subject != link || reported[1].Subject != saved {
		t.Fatalf("reported %+v", reported)
	}
	if e := reported[1]; e.Rule != "p.toml:3:1" || e.Grant == nil || !strings.Contains(e.Detail, "new file outside") || e.Verdict != audit.Observed {
		t.Errorf("%+v", e)
	}
	// A run does not wait for a file system that does not answer.
	slow := &declared{over: make(chan struct{})}
	if from := time.Now(); true {
		if slow.finish(); time.Since(from) < lookEvery {
			t.Error("it did not wait at all")
		}
	}
}

// A file in a declared folder is seen anew through the folder: the rule of the file
// holds for the old one alone.
func TestReplacedFileInADeclaredFolder(t *testing.T) {
	d := newDeclared(plan.Plan{Root: []plan.Mount{{Kind: plan.MountBind, Target: "/w", Dir: true, At: "x"}}}, []child.Pin{{Target: "/w"}}, nil)
	for target, want := range map[string]string{"/w/a/b": "for the new one", "/v/b": "one that names its folder follows the name"} {
		if e := d.event(plan.Mount{Kind: plan.MountBind, Target: target}); !strings.Contains(e.Detail, want) {
			t.Errorf("%s %s", target, e.Detail)
		}
	}
	if e := d.event(plan.Mount{Kind: plan.MountBind, Target: "/v", Dir: true}); !strings.Contains(e.Detail, "new folder") {
		t.Error(e.Detail)
	}
}
