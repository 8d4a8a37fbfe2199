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

// PinFile says where it is kept what a person decided about what one server says,
// and what was seen of it.
type PinFile struct {
	Name string `json:"name"`
	File string `json:"file"`           // what was approved and rejected, which a review alone writes
	Lock string `json:"lock,omitempty"` // of a package: where that was kept before; it counts until there is a File
	Seen string `json:"seen,omitempty"` // what was seen, in the state directory; "": it is not kept

	// copied is where a running launcher reads what a person decided; see Shelve.
	copied string
}

// pinned is the part of a file that holds pins.
type pinned struct {
	Pins definition.Pins `toml:"pins"`
}

// maxPins bounds the files that are read, in bytes.
const maxPins = 8 << 20

// Read returns the pins; files that do not exist hold none. Pins that were
// tampered with are an error: a hash that does not fit is approval of nothing.
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

// decided reads what people decided. An older mcpen kept what it had seen there as
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

// readFile reads a file that is not longer than so many bytes.
func readFile(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Size() <= most {
		b.Grow(int(info.Size()) + bytes.MinRead) // what grows leaves several times its size behind
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

// write writes what people decided.
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

// Forget drops everything that was seen and decided, also what cannot be read. Of
// a package whose lock holds older pins, an empty file takes their place.
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

// locked keeps other processes from changing the files of a directory meanwhile.
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
