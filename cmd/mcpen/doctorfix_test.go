package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mcpen/sandbox/host"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

// rooted replaces every program that acts as root by one that records its arguments and
// its stdin; it ends with a status.
func rooted(t *testing.T, status string, names ...string) (calls func() string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	for _, name := range names {
		script := "#!/bin/sh\n{ echo \"" + name + " $*\"; cat; } >>" + log + "\nexit " + status + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return func() string {
		b, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return string(b)
	}
}

// answered is an app with a person's answer, and its output to them.
func answered(t *testing.T, answer string) (*app, func() string) {
	t.Helper()
	in, said := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "err")
	if err := os.WriteFile(in, []byte(answer), 0o600); err != nil {
		t.Fatal(err)
	}
	stdin, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := os.Create(said)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); stderr.Close() })
	return &app{in: stdin, out: stderr, Caller: server.Caller{Packages: locked.Packages{Person: user.Person{Err: stderr}}}}, func() string {
		b, err := os.ReadFile(said)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

// fix writes as root exactly the text that a person has seen and accepted, and nothing
// without their yes.
func TestFixAsksAndWritesTheProfile(t *testing.T) {
	profile := host.AppArmorProfile("/home/ada/a b/mcpen")
	checks := []host.Check{{ID: "sandbox", Blocks: true}, {ID: "namespaces", Blocks: true, AppArmor: profile}}
	tee, load := "tee "+host.AppArmorFile+"\n"+profile, "apparmor_parser -r "+host.AppArmorFile+"\n"
	for _, c := range []struct {
		name, answer, status string
		uid                  int
		checks               []host.Check
		mended, fails        bool
		calls                string
	}{
		{name: "user", answer: "y\n", status: "0", uid: 1000, checks: checks, mended: true, calls: "sudo -- " + tee + "sudo -- " + load},
		{name: "root", answer: "yes\n", status: "0", checks: checks, mended: true, calls: tee + load},
		{name: "no", answer: "n\n", status: "0", uid: 1000, checks: checks},
		{name: "nobody answers", status: "0", uid: 1000, checks: checks},
		{name: "sudo refuses", answer: "y\n", status: "1", uid: 1000, checks: checks, fails: true, calls: "sudo -- " + tee},
		{name: "nothing to mend", answer: "y\n", status: "0", uid: 1000, checks: checks[:1]},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			calls := rooted(t, c.status, "sudo", "tee", "apparmor_parser")
			a, said := answered(t, c.answer)
			mended, err := a.fix(t.Context(), c.uid, c.checks)
			if mended != c.mended || (err != nil) != c.fails {
				t.Errorf("mended %v, %v", mended, err)
			}
			if got := calls(); got != c.calls {
				t.Errorf("called:\n%s\nwant:\n%s", got, c.calls)
			}
			if text := said(); len(c.checks) > 1 && (!strings.Contains(text, profile) || !strings.Contains(text, host.AppArmorFile)) {
				t.Errorf("a person was shown:\n%s", text)
			}
		})
	}
}

// After a fix doctor checks again; without one it repeats its earlier result.
func TestDoctorFixes(t *testing.T) {
	for _, mended := range []bool{true, false} {
		var out bytes.Buffer
		again := false
		err := runDoctor(t.Context(), doctorOptions{
			Fix:   func(checks []host.Check) (bool, error) { return mended, nil },
			Again: func() error { again = true; return nil },
		}, &out)
		if err != nil || again != mended {
			t.Errorf("mended %v: again %v, %v", mended, again, err)
		}
	}
}
