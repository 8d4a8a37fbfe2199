package launch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"mcpen/sandbox/definition"
)

// A person who forgets a server's definitions expects to be asked anew. A failed
// removal that reports success leaves tampered definitions in force.
func TestForgetForgetsOrSaysSo(t *testing.T) {
	filled := func(p PinFile) error {
		if _, _, err := p.remember(definition.Pins{}.See(tool(t, `{"name":"a"}`))); err != nil {
			return err
		}
		return p.Change(func(now definition.Pins) definition.Pins { return now.Approve(tool(t, `{"name":"b"}`)) })
	}
	p := pinFile(t)
	if err := filled(p); err != nil {
		t.Fatal(err)
	}
	if got := states(read(t, p)); got != "a seen ; b approved " {
		t.Fatalf("kept: %s", got)
	}
	if err := p.Forget(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{p.File, p.Seen} {
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", file, err)
		}
	}
	if got := states(read(t, p)); got != "" {
		t.Errorf("remembered: %s", got)
	}
	if err := p.Forget(); err != nil {
		t.Errorf("there is nothing to forget, and that is an error: %v", err)
	}
	// Unreadable files are forgotten too.
	for _, file := range []string{p.File, p.Seen} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("no TOML ["), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Read(); err == nil {
		t.Error("what is no TOML is read")
	}
	if err := p.Forget(); err != nil {
		t.Error(err)
	}
	if got := states(read(t, p)); got != "" {
		t.Errorf("remembered: %s", got)
	}
	// A removal that the kernel refuses is reported: here, that of a directory.
	for _, file := range []string{p.Seen, p.File} {
		if err := os.MkdirAll(filepath.Join(file, "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := p.Forget(); err == nil {
			t.Errorf("%s is still there, and nothing is said", file)
		}
		if err := os.RemoveAll(file); err != nil {
			t.Fatal(err)
		}
	}
}
