package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/BurntSushi/toml"
	"golang.org/x/sys/unix"

	"mcpen/sandbox"
	"mcpen/sandbox/guard"
	"mcpen/sandbox/policy"
)

// pinFile keeps what a person approved of one server: in the lock of a package,
// or, for a server that is no package, in a file of its own beside it.
type pinFile struct {
	name string
	file string
}

// pinsBeside is the pin file of a server.
func pinsBeside(at place, pol policy.Policy, isPackage bool) pinFile {
	file := ""
	if len(pol.Sources) > 0 {
		file = pol.Sources[0].File
	}
	lock := lockBeside(at, file, pol.Name)
	if !isPackage {
		lock = strings.TrimSuffix(lock, ".lock") + ".pins"
	}
	return pinFile{pol.Name, lock}
}

// pinned is the part of a file that holds pins.
type pinned struct {
	Pins guard.Pins `toml:"pins"`
}

// read returns the pins; a file that does not exist holds none. Pins that were
// tampered with are an error: a hash that does not fit is approval of nothing.
func (p pinFile) read() (guard.Pins, error) {
	data, err := os.ReadFile(p.file)
	if errors.Is(err, fs.ErrNotExist) {
		return guard.Pins{}, nil
	}
	if err != nil {
		return guard.Pins{}, fmt.Errorf("cannot read the pins: %w", err)
	}
	var all pinned
	if _, err := toml.Decode(string(data), &all); err != nil {
		return guard.Pins{}, &codeError{code: exitUsage, err: fmt.Errorf("%s: cannot read the pins: %w", p.file, err)}
	}
	if err := all.Pins.Check(); err != nil {
		return guard.Pins{}, &codeError{code: exitRefused, err: fmt.Errorf("%s: %w", p.file, err), hint: "mcpen review --forget " + p.name}
	}
	return all.Pins, nil
}

// change reads, changes and writes the pins, one process at a time.
func (p pinFile) change(f func(guard.Pins) guard.Pins) error {
	if err := os.MkdirAll(filepath.Dir(p.file), 0o700); err != nil {
		return fmt.Errorf("cannot write the pins: %w", err)
	}
	dir, err := os.Open(filepath.Dir(p.file))
	if err != nil {
		return fmt.Errorf("cannot write the pins: %w", err)
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("cannot write the pins: %w", os.NewSyscallError("flock", err))
	}
	old, err := p.read()
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(pinned{f(old)}); err != nil {
		return fmt.Errorf("internal error: cannot encode pins: %w", err)
	}
	if filepath.Ext(p.file) == ".pins" {
		return replaceFile(p.file, append([]byte("# What "+p.name+" says, and what a person approved of it: mcpen review "+p.name+"\n\n"), text.Bytes()...))
	}
	l, err := readLock(p.file)
	if err != nil {
		return err
	}
	l.Pins = text.String()
	return writeLock(p.file, l)
}

// remember keeps what a run saw for the first time.
func (p pinFile) remember(before, after guard.Pins) error {
	if len(after.Definitions) == len(before.Definitions) {
		return nil
	}
	return p.change(func(now guard.Pins) guard.Pins {
		for _, d := range after.Definitions {
			now = now.See(d)
		}
		return now
	})
}

// follow gives the running server's guard the pins anew whenever a review says
// so, until ctx is done.
func (a *app) follow(ctx context.Context, p pinFile, box *sandbox.Box, again <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-box.Done():
			return
		case <-again:
			pins, err := p.read()
			if err == nil {
				err = box.Reload(pins)
			}
			if err != nil {
				a.warn("cannot take over the review: %v", err)
			}
		}
	}
}

// reviewed is the signal with which a review tells running servers.
const reviewed = syscall.SIGUSR1

// listenForReviews is called before anybody can know of this run: the signal
// would end it otherwise.
func listenForReviews() (again <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, reviewed)
	return c, func() { signal.Stop(c) }
}

// others are the tools that the user's other servers define, for shadowing.
func (a *app) others(at place, self string) []guard.Other {
	var out []guard.Other
	for _, pattern := range []string{"*.lock", "*.pins"} {
		files, _ := filepath.Glob(filepath.Join(at.config, "profiles", pattern)) // the pattern is good
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
			if name == self {
				continue
			}
			o := guard.Other{Server: name, Tools: toolsOf(at, pinFile{name, file})}
			if len(o.Tools) > 0 {
				out = append(out, o)
			}
		}
	}
	return out
}

// replaceFile writes a file in one step.
func replaceFile(file string, data []byte) error {
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

// forget drops all pins, also those that cannot be read.
func (p pinFile) forget() error {
	if filepath.Ext(p.file) == ".pins" {
		return os.Remove(p.file)
	}
	l, err := readLock(p.file)
	if err != nil {
		return err
	}
	l.Pins = ""
	return writeLock(p.file, l)
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
func toolsOf(at place, p pinFile) []string {
	st, err := os.Stat(p.file)
	if err != nil {
		return nil
	}
	file := filepath.Join(at.state, "tools", filepath.Base(p.file)+".json")
	var index toolIndex
	if data, err := os.ReadFile(file); err == nil && json.Unmarshal(data, &index) == nil && index.Size == st.Size() && index.Time.Equal(st.ModTime()) {
		return index.Tools
	}
	pins, err := p.read()
	if err != nil {
		return nil
	}
	index = toolIndex{Size: st.Size(), Time: st.ModTime()}
	for _, d := range pins.Definitions {
		if d.Kind == guard.KindTool && d.State != guard.Rejected {
			index.Tools = append(index.Tools, d.Name)
		}
	}
	if data, err := json.Marshal(index); err == nil && at.state != "" && os.MkdirAll(filepath.Dir(file), 0o700) == nil {
		_ = replaceFile(file, data) // it is read from the definitions again otherwise
	}
	return index.Tools
}
