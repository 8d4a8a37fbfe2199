package launch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/BurntSushi/toml"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/guard"
	"mcpen/sandbox/lockfile"
)

// PinFile keeps what a person approved of one server: in the lock of a package,
// or, for a server that is no package, in a file of its own beside it. What was only
// seen is no decision of anybody's: it is kept below the state directory, on the
// server's shelf, which is all of it that a running launcher can write to.
type PinFile struct {
	Name  string `json:"name"`
	File  string `json:"file"`
	State string `json:"state,omitempty"` // of mcpen; "": what was seen is kept in File, too
}

// pinned is the part of a file that holds pins.
type pinned struct {
	Pins guard.Pins `toml:"pins"`
}

// Read returns the pins, with what was seen since they were written; a file that
// does not exist holds none. Pins that were tampered with are an error: a hash that
// does not fit is approval of nothing.
func (p PinFile) Read() (guard.Pins, error) {
	pins, err := p.decode(p.File)
	if err != nil || p.State == "" {
		return pins, err
	}
	seen, err := p.decode(p.seen())
	if err != nil {
		return guard.Pins{}, err
	}
	return see(pins, seen), nil
}

// Reviewed returns the pins as a review left them, for a running launcher.
func (p PinFile) Reviewed() (guard.Pins, error) {
	if p.State == "" {
		return p.Read()
	}
	return p.decode(p.reviewed())
}

func (p PinFile) decode(file string) (guard.Pins, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return guard.Pins{}, nil
	}
	if err != nil {
		return guard.Pins{}, fmt.Errorf("cannot read the pins: %w", err)
	}
	var all pinned
	if _, err := toml.Decode(string(data), &all); err != nil {
		return guard.Pins{}, &Error{Code: ExitUsage, Err: fmt.Errorf("%s: cannot read the pins: %w", file, err)}
	}
	if err := all.Pins.Check(); err != nil {
		return guard.Pins{}, &Error{Code: ExitRefused, Err: fmt.Errorf("%s: %w", file, err), Hint: "mcpen review --forget " + p.Name}
	}
	return all.Pins, nil
}

// see adds what was seen, whatever state the other pins give it: nothing is approved
// by it.
func see(to, seen guard.Pins) guard.Pins {
	for _, d := range seen.Definitions {
		to = to.See(d)
	}
	return to
}

// Change reads, changes and writes the pins, one process at a time. What else
// stands in the file stays as it is. All of them are decided about then, or wait in
// the file.
func (p PinFile) Change(f func(guard.Pins) guard.Pins) error {
	return p.locked(func() error {
		old, err := p.Read()
		if err != nil {
			return err
		}
		text, err := encoded(f(old))
		if err != nil {
			return err
		}
		if err := p.write(text); err != nil {
			return err
		}
		return p.clear(text)
	})
}

// Forget drops all pins, also those that cannot be read.
func (p PinFile) Forget() error {
	return p.locked(func() error {
		var err error
		if p.alone() {
			if err = os.Remove(p.File); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		} else {
			err = p.write(nil)
		}
		return errors.Join(err, p.clear(nil))
	})
}

// alone reports whether the file holds nothing but pins.
func (p PinFile) alone() bool { return filepath.Ext(p.File) == ".pins" }

// locked keeps other processes from changing the file and the shelf meanwhile.
func (p PinFile) locked(f func() error) error {
	if err := os.MkdirAll(filepath.Dir(p.File), 0o700); err != nil {
		return fmt.Errorf("cannot write the pins: %w", err)
	}
	if p.State == "" {
		return lockedIn(filepath.Dir(p.File), f)
	}
	if err := p.Prepare(); err != nil {
		return err
	}
	return lockedIn(filepath.Dir(p.File), func() error { return lockedIn(p.shelf(), f) })
}

// lockedIn keeps other processes that ask for the same folder waiting meanwhile.
func lockedIn(folder string, f func() error) error {
	dir, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("cannot write the pins: %w", err)
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("cannot write the pins: %w", os.NewSyscallError("flock", err))
	}
	return f()
}

// write puts the text of pins into the file.
func (p PinFile) write(text []byte) error {
	if p.alone() {
		return ReplaceFile(p.File, append([]byte("# What "+p.Name+" says, and what a person approved of it: mcpen review "+p.Name+"\n\n"), text...))
	}
	data, err := os.ReadFile(p.File)
	if err != nil {
		return fmt.Errorf("cannot write the pins: %w", err)
	}
	head, _ := lockfile.Split(data)
	return ReplaceFile(p.File, lockfile.Join(head, text))
}

func encoded(p guard.Pins) ([]byte, error) {
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(pinned{p}); err != nil {
		return nil, fmt.Errorf("internal error: cannot encode pins: %w", err)
	}
	return text.Bytes(), nil
}

// Others are the tools that the user's other servers define, for shadowing: those
// with pins below config, by an index that is kept below state.
func Others(config, state, self string) []guard.Other {
	var out []guard.Other
	for _, p := range PinFiles(config, state) {
		if p.Name == self || filepath.Dir(p.File) != filepath.Join(config, "profiles") {
			continue
		}
		o := guard.Other{Server: p.Name, Tools: toolsOf(p)}
		if len(o.Tools) > 0 {
			out = append(out, o)
		}
	}
	return out
}

// ReplaceFile writes a file in one step.
func ReplaceFile(file string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".mcpen-*")
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", file, err)
	}
	defer os.Remove(f.Name()) // it was renamed, or is not wanted
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", file, err)
	}
	return nil
}

// toolIndex is what toolsOf keeps of a server's pins, as long as their files are
// those that it was made of.
type toolIndex struct {
	Of    [2]fileState `json:"of"` // what was decided about, what was seen
	Tools []string     `json:"tools"`
}

// fileState tells one writing of a file from the next. The zero one is no file.
type fileState struct {
	Size int64     `json:"size"`
	Time time.Time `json:"time"`
}

func stateOf(file string) fileState {
	st, err := os.Stat(file)
	if err != nil {
		return fileState{}
	}
	return fileState{st.Size(), st.ModTime().UTC()}
}

// toolsOf lists the tools that a server's pins know, from an index where that is
// fresh: reading every server's definitions at every start would take longer than
// the start. Pins that cannot be read know none; its own run says so.
func toolsOf(p PinFile) []string {
	of := [2]fileState{stateOf(p.File)}
	if p.State != "" {
		of[1] = stateOf(p.seen())
	}
	file := filepath.Join(p.State, toolsFolder, filepath.Base(p.File)+".json")
	var index toolIndex
	if data, err := os.ReadFile(file); err == nil && json.Unmarshal(data, &index) == nil && index.Of == of {
		return index.Tools
	}
	pins, err := p.Read()
	if err != nil {
		return nil
	}
	index = toolIndex{Of: of}
	for _, d := range pins.Definitions {
		if d.Kind == guard.KindTool && d.State != guard.Rejected {
			index.Tools = append(index.Tools, d.Name)
		}
	}
	if data, err := json.Marshal(index); err == nil && p.State != "" && os.MkdirAll(filepath.Dir(file), 0o700) == nil {
		_ = ReplaceFile(file, data) // it is read from the definitions again otherwise
	}
	return index.Tools
}

// toolsFolder is where those indexes are, below the state directory.
const toolsFolder = "tools"
