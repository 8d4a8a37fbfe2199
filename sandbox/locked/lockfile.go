package locked

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"mcpen/sandbox/launch"
	"mcpen/sandbox/lockfile"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/wholefile"
)

// Read reads a lock file.
func Read(file string) (pack.Lock, error) {
	data, err := wholefile.Read(file, lockfile.Max)
	if err != nil {
		return pack.Lock{}, err
	}
	l, err := pack.ParseLock(data)
	if err != nil {
		code := launch.ExitUsage
		if refusal := (*pack.Refusal)(nil); errors.As(err, &refusal) {
			code = launch.ExitRefused
		}
		return l, &launch.Error{Code: code, Err: fmt.Errorf("%s: %w", file, err)}
	}
	return l, nil
}

// writeLock writes a lock file in one step.
func writeLock(file string, l pack.Lock) error {
	data, err := l.Encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot write the lock: %w", err)
	}
	return wholefile.Replace(file, data, 0o644)
}

// Create writes a lock file that must not exist yet, in one step. If it does, the
// error wraps fs.ErrExist.
func Create(file string, l pack.Lock) error {
	data, err := l.Encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot write the lock: %w", err)
	}
	return wholefile.Create(file, data, 0o644)
}

// Replace overwrites a lock that is unchanged since it was read: a server may have been
// pinned meanwhile, or another update may have finished.
func Replace(l Lock, fresh pack.Lock) error {
	now, err := Read(l.File)
	if err != nil {
		return err
	}
	if now.Version != l.Lock.Version {
		return launch.Usage("mcpen update "+l.Name, "nothing was changed: %s was locked anew meanwhile", l.File)
	}
	fresh.Pins = now.Pins
	return writeLock(l.File, fresh)
}
