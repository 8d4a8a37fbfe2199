package launch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/guard"
	"mcpen/sandbox/lockfile"
)

// PinFile keeps what a person approved of one server: in the lock of a package,
// or, for a server that is no package, in a file of its own beside it.
type PinFile struct {
	Name string `json:"name"`
	File string `json:"file"`
}

// pinned is the part of a file that holds pins.
type pinned struct {
	Pins guard.Pins `toml:"pins"`
}

// Read returns the pins; a file that does not exist holds none. Pins that were
// tampered with are an error: a hash that does not fit is approval of nothing.
func (p PinFile) Read() (guard.Pins, error) {
	data, err := os.ReadFile(p.File)
	if errors.Is(err, fs.ErrNotExist) {
		return guard.Pins{}, nil
	}
	if err != nil {
		return guard.Pins{}, fmt.Errorf("cannot read the pins: %w", err)
	}
	var all pinned
	if _, err := toml.Decode(string(data), &all); err != nil {
		return guard.Pins{}, &Error{Code: ExitUsage, Err: fmt.Errorf("%s: cannot read the pins: %w", p.File, err)}
	}
	if err := all.Pins.Check(); err != nil {
		return guard.Pins{}, &Error{Code: ExitRefused, Err: fmt.Errorf("%s: %w", p.File, err), Hint: "mcpen review --forget " + p.Name}
	}
	return all.Pins, nil
}

// Change reads, changes and writes the pins, one process at a time. What else
// stands in the file stays as it is.
func (p PinFile) Change(f func(guard.Pins) guard.Pins) error {
	return p.locked(func() error {
		old, err := p.Read()
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := toml.NewEncoder(&text).Encode(pinned{f(old)}); err != nil {
			return fmt.Errorf("internal error: cannot encode pins: %w", err)
		}
		return p.write(text.Bytes())
	})
}

// Forget drops all pins, also those that cannot be read.
func (p PinFile) Forget() error {
	if p.alone() {
		return os.Remove(p.File)
	}
	return p.locked(func() error { return p.write(nil) })
}

// alone reports whether the file holds nothing but pins.
func (p PinFile) alone() bool { return filepath.Ext(p.File) == ".pins" }

// locked keeps other processes from changing the file meanwhile.
func (p PinFile) locked(f func() error) error {
	if err := os.MkdirAll(filepath.Dir(p.File), 0o700); err != nil {
		return fmt.Errorf("cannot write the pins: %w", err)
	}
	dir, err := os.Open(filepath.Dir(p.File))
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

// remember keeps what a run saw for the first time.
func (p PinFile) remember(before, after guard.Pins) error {
	if len(after.Definitions) == len(before.Definitions) {
		return nil
	}
	return p.Change(func(now guard.Pins) guard.Pins {
		for _, d := range after.Definitions {
			now = now.See(d)
		}
		return now
	})
}

// Others are the tools that the user's other servers define, for shadowing: those
// with pins below config, by an index that is kept below state.
func Others(config, state, self string) []guard.Other {
	var out []guard.Other
	for _, pattern := range []string{"*.lock", "*.pins"} {
		files, _ := filepath.Glob(filepath.Join(config, "profiles", pattern)) // the pattern is good
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
			if name == self {
				continue
			}
			o := guard.Other{Server: name, Tools: toolsOf(state, PinFile{name, file})}
			if len(o.Tools) > 0 {
				out = append(out, o)
			}
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

// toolIndex is what toolsOf keeps of a pin file, as long as the file is the one
// it was made of.
type toolIndex struct {
	Size  int64     `json:"size"`
	Time  time.Time `json:"time"`
	Tools []string  `json:"tools"`
}

// toolsOf lists the tools that a pin file knows, from an index where that is
// fresh: reading every server's definitions at every start would take longer than
// the start. A file that cannot be read knows none; its own run says so.
func toolsOf(state string, p PinFile) []string {
	st, err := os.Stat(p.File)
	if err != nil {
		return nil
	}
	file := filepath.Join(state, "tools", filepath.Base(p.File)+".json")
	var index toolIndex
	if data, err := os.ReadFile(file); err == nil && json.Unmarshal(data, &index) == nil && index.Size == st.Size() && index.Time.Equal(st.ModTime()) {
		return index.Tools
	}
	pins, err := p.Read()
	if err != nil {
		return nil
	}
	index = toolIndex{Size: st.Size(), Time: st.ModTime()}
	for _, d := range pins.Definitions {
		if d.Kind == guard.KindTool && d.State != guard.Rejected {
			index.Tools = append(index.Tools, d.Name)
		}
	}
	if data, err := json.Marshal(index); err == nil && state != "" && os.MkdirAll(filepath.Dir(file), 0o700) == nil {
		_ = ReplaceFile(file, data) // it is read from the definitions again otherwise
	}
	return index.Tools
}
