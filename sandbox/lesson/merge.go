package lesson

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// Merge adds the right to the text of a profile file, where it may be learned and no baseline forbids it.
func (l *Lesson) Merge(c *server.Caller, at user.Dirs, file string, text []byte, baseline string) ([]byte, error) {
	if l.Not != "" {
		return text, nil
	}
	next, err := policy.Insert(text, l.Grant)
	switch {
	case errors.Is(err, policy.ErrGranted):
		l.Not = "the profile gives it by now"
		return text, nil
	case err != nil:
		l.Not = "it cannot be written by a command: " + err.Error()
		return text, nil
	}
	if _, err := policy.Parse(file, next, catalog.Loader(at)); err != nil {
		l.Not = "no profile may give it: " + oneLine(err.Error())
		return text, nil
	}
	beyond, err := beyond(c, at, file, next, baseline)
	if err != nil {
		return nil, err
	}
	if beyond != nil {
		l.Not = "the baseline does not give it"
		return text, nil
	}
	return next, nil
}

// beyond returns the reason why a baseline refuses a profile of this text, or nil. It
// writes the text to a temporary file beside the profile, where extends resolves.
func beyond(c *server.Caller, at user.Dirs, file string, text []byte, baseline string) (refusal, err error) {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot write %q: %w", file, err)
	}
	f, err := os.CreateTemp(dir, ".learn-*.toml")
	if err != nil {
		return nil, fmt.Errorf("cannot try what was learned: %w", err)
	}
	f.Close()
	defer os.Remove(f.Name())
	if err := wholefile.Replace(f.Name(), text, 0o600); err != nil {
		return nil, err
	}
	_, err = c.Resolve(server.Choice{Words: server.Words{Profile: f.Name(), Baseline: baseline, Look: true}}, at)
	var own *launch.Error
	if errors.As(err, &own) && own.Code == launch.ExitRefused {
		return own, nil
	}
	return nil, nil // any other fault was there before
}

// oneLine is the first line of a text.
func oneLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
