package launch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/BurntSushi/toml"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/lockfile"
	"mcpen/sandbox/wholefile"
)

// PinFile names the files with a person's decisions about one server's definitions, and
// with the definitions that mcpen has seen.
type PinFile struct {
	Name string `json:"name"`
	File string `json:"file"`           // approvals and rejections; only a review writes it
	Lock string `json:"lock,omitempty"` // for a package: the older place of the decisions; it counts until there is a File
	Seen string `json:"seen,omitempty"` // definitions that were seen, in the state directory; "": they are not stored

	// copied is the copy of the decisions for a running launcher; see shelve.
	copied string
}

// pinned is the part of a file that holds pins.
type pinned struct {
	Pins definition.Pins `toml:"pins"`
}

// maxPins bounds the files, in bytes.
const maxPins = 8 << 20

// Read returns the pins; files that do not exist hold none. It returns an error for
// pins that were tampered with: a wrong hash approves nothing.
func (p PinFile) Read() (definition.Pins, error) {
	decided, err := p.decided()
	if err != nil {
		return definition.Pins{}, err
	}
	seen, err := p.seen()
	if err != nil {
		return definition.Pins{}, err
	}
	return decided.With(seen), nil
}

// decided reads people's decisions. An older mcpen stored the seen definitions there as
// well.
func (p PinFile) decided() (definition.Pins, error) {
	file := p.File
	if p.copied != "" {
		file = p.copied
	}
	data, err := readFile(file, maxPins)
	if errors.Is(err, fs.ErrNotExist) && p.Lock != "" && p.copied == "" {
		file = p.Lock
		data, err = readFile(file, maxPins)
		_, data = lockfile.Split(data)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return definition.Pins{}, nil
	}
	if err != nil {
		return definition.Pins{}, fmt.Errorf("cannot read the pins: %w", err)
	}
	var all pinned
	if _, err := toml.Decode(string(data), &all); err != nil {
		return definition.Pins{}, &Error{Code: ExitUsage, Err: fmt.Errorf("%s: cannot read the pins: %w", file, err)}
	}
	if err := all.Pins.Check(); err != nil {
		return definition.Pins{}, &Error{Code: ExitRefused, Err: fmt.Errorf("%s: %w", file, err), Hint: "mcpen review --forget " + p.Name}
	}
	return all.Pins, nil
}

// readFile reads a file of at most the given number of bytes.
func readFile(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Size() <= most {
		b.Grow(int(info.Size()) + bytes.MinRead) // a growing buffer leaves several times its size as garbage
	}
	_, err = b.ReadFrom(io.LimitReader(f, most+1))
	if err == nil && int64(b.Len()) > most {
		err = fmt.Errorf("%s is longer than %d bytes", file, most)
	}
	return b.Bytes(), err
}

// Change reads, changes and writes the pins, one process at a time.
func (p PinFile) Change(f func(definition.Pins) definition.Pins) error {
	return locked(filepath.Dir(p.File), func() error {
		old, err := p.Read()
		if err != nil {
			return err
		}
		now := f(old)
		if err := p.writeSeen(now.Undecided()); err != nil {
			return err
		}
		if now := now.Decided(); !slices.Equal(now.Definitions, old.Decided().Definitions) {
			return errors.Join(p.write(now), p.copyDecided(now))
		}
		return nil
	})
}

// write writes people's decisions.
func (p PinFile) write(decided definition.Pins) error { return p.writeTo(p.File, decided) }

func (p PinFile) writeTo(file string, decided definition.Pins) error {
	var text bytes.Buffer
	text.WriteString("# What a person decided about what " + p.Name + " says: mcpen review " + p.Name + "\n\n")
	if err := toml.NewEncoder(&text).Encode(pinned{decided}); err != nil {
		return fmt.Errorf("internal error: cannot encode pins: %w", err)
	}
	if text.Len() > maxPins {
		return fmt.Errorf("cannot write the pins: they would have more than %d bytes", maxPins)
	}
	return wholefile.Replace(file, text.Bytes(), 0o644)
}

// Forget removes all seen and decided definitions, unreadable ones too. If a package's
// lock holds older pins, an empty file overrides them.
func (p PinFile) Forget() error {
	return locked(filepath.Dir(p.File), func() error {
		var err error
		if p.Seen != "" {
			err = os.Remove(p.Seen)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot forget what was seen: %w", err)
		}
		if err := p.copyDecided(definition.Pins{}); err != nil {
			return err
		}
		if data, err := os.ReadFile(p.Lock); err == nil {
			if _, pins := lockfile.Split(data); len(pins) > 0 {
				return p.write(definition.Pins{})
			}
		}
		if err := os.Remove(p.File); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot forget the pins: %w", err)
		}
		return nil
	})
}

// locked holds a lock on a directory while f runs, so that no other process changes its
// files.
func locked(dir string, f func() error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot write the pins: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot write the pins: %w", err)
	}
	defer d.Close()
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("cannot write the pins: %w", os.NewSyscallError("flock", err))
	}
	return f()
}
