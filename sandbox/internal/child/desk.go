package child

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// arrange writes the desk's files into the private home, and sends the home and the
// folder for temporary files to the launcher, which examines their content after the
// program's end: a file system lives as long as one of its directories is open in any
// process.
func arrange(ctl *Control, d *plan.Desk) error {
	if d == nil {
		return nil
	}
	for _, f := range d.Files {
		if err := lay(f); err != nil {
			return step("lay out the desk", err)
		}
	}
	// Set the times of folders after their last file is made.
	for i := len(d.Files) - 1; i >= 0; i-- {
		f := d.Files[i]
		for dir := filepath.Dir(f.Path); dir != filepath.Dir(d.Home) && dir != "/"; dir = filepath.Dir(dir) {
			if err := date(dir, f.Time); err != nil {
				return step("lay out the desk", err)
			}
		}
	}
	m := Message{Kind: Laid}
	for _, dir := range []string{d.Home, "/tmp"} {
		f, err := os.Open(dir)
		if err != nil {
			return step("lay out the desk", err)
		}
		defer f.Close()
		m.Files = append(m.Files, f)
	}
	return step("lay out the desk", ctl.Send(m))
}

// lay makes one file. Its last access lies before its last change, so that the first
// read updates the access time (relatime, mount(8)).
func lay(f plan.DeskFile) error {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(f.Path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|unix.O_NOFOLLOW, os.FileMode(f.Mode))
	if err != nil {
		return err
	}
	_, err = out.WriteString(f.Content)
	if e := out.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", f.Path, err)
	}
	if private := filepath.Dir(f.Path); f.Mode&0o077 == 0 {
		if err := os.Chmod(private, 0o700); err != nil {
			return err
		}
	}
	return date(f.Path, f.Time)
}

func date(path string, at int64) error {
	changed := time.Unix(at, 0)
	return os.Chtimes(path, changed.Add(-time.Hour), changed)
}
