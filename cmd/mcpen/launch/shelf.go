package launch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/guard"
)

// seenFolder is where the shelves are, below the state directory: a folder for each
// server, and beside it a file that says whose it is, which no launcher can write to
// that runs.
const seenFolder = "seen"

// shelf is the server's folder. It is named by the file that its pins are in, which
// is another one for another server of the same name.
func (p PinFile) shelf() string {
	sum := sha256.Sum256([]byte(p.File))
	return filepath.Join(p.State, seenFolder, hex.EncodeToString(sum[:16]))
}

func (p PinFile) seen() string     { return filepath.Join(p.shelf(), "seen.pins") }
func (p PinFile) reviewed() string { return filepath.Join(p.shelf(), "reviewed.pins") }

// Prepare makes the shelf, and says whose it is.
func (p PinFile) Prepare() error {
	if p.State == "" {
		return nil
	}
	if err := os.MkdirAll(p.shelf(), 0o700); err != nil {
		return fmt.Errorf("cannot make a place for what the server says: %w", err)
	}
	owner := p.shelf() + ".json"
	if _, err := os.Lstat(owner); err == nil {
		return nil
	}
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("internal error: cannot encode whose pins they are: %w", err)
	}
	return ReplaceFile(owner, data)
}

// clear leaves nothing that was only seen, and the pins as they are now for the
// server's launchers that run. The shelf is locked.
func (p PinFile) clear(pins []byte) error {
	if p.State == "" {
		return nil
	}
	if err := ReplaceFile(p.reviewed(), pins); err != nil {
		return err
	}
	if err := os.Remove(p.seen()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot write the pins: %w", err)
	}
	return nil
}

// remember keeps what a run saw for the first time.
func (p PinFile) remember(before, after guard.Pins) error {
	if len(after.Definitions) == len(before.Definitions) {
		return nil
	}
	if p.State == "" {
		return p.Change(func(now guard.Pins) guard.Pins { return see(now, after) })
	}
	return lockedIn(p.shelf(), func() error {
		now, err := p.decode(p.seen())
		if err != nil {
			return err
		}
		for _, d := range after.Definitions {
			if d.State == guard.Seen {
				now = now.See(d)
			}
		}
		text, err := encoded(now)
		if err != nil {
			return err
		}
		return ReplaceFile(p.seen(), text)
	})
}

// PinFiles are those of the servers below config, and of all others whose
// definitions were seen.
func PinFiles(config, state string) []PinFile {
	var out []PinFile
	for _, pattern := range []string{"*.lock", "*.pins"} {
		files, _ := filepath.Glob(filepath.Join(config, "profiles", pattern)) // the pattern is good
		for _, file := range files {
			out = append(out, PinFile{Name: strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), File: file, State: state})
		}
	}
	if state == "" {
		return out
	}
	owners, _ := filepath.Glob(filepath.Join(state, seenFolder, "*.json"))
	for _, owner := range owners {
		p := PinFile{}
		if data, err := os.ReadFile(owner); err != nil || json.Unmarshal(data, &p) != nil {
			continue
		}
		p.State = state
		if p.shelf()+".json" != owner || !p.known() || slices.ContainsFunc(out, func(o PinFile) bool { return o.File == p.File }) {
			continue
		}
		out = append(out, p)
	}
	return out
}

// known reports whether anything is kept of the server.
func (p PinFile) known() bool {
	for _, file := range []string{p.File, p.seen()} {
		if _, err := os.Lstat(file); err == nil {
			return true
		}
	}
	return false
}
