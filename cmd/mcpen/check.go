package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
)

// runCheck reads each profile, with what it extends, and writes every mistake to
// out: one on a line with its place, and below it a hint where there is one.
// What depends on parameters that only a run has is not checked. A file that is
// called baseline.toml is read as a baseline. single reports whether a path of a rule
// is one file here, of which a rule holds less than a person may think: that is said.
//
// The error says how many mistakes there were, after all of them were written;
// it is also an error where a profile cannot be read, or none was named.
func runCheck(paths []string, load policy.Loader, readFile func(string) ([]byte, error), single func(string) bool, out io.Writer) error {
	if len(paths) == 0 {
		return errors.New("no profile to check")
	}
	wrong, bad := 0, 0
	for _, path := range paths {
		profile, found := checkFile(path, load, readFile)
		if err := tellWithout(out, profile); err != nil {
			return err
		}
		if err := tellSingles(out, profile, single); err != nil {
			return err
		}
		for _, m := range found {
			if _, err := fmt.Fprintln(out, m.Error()); err != nil {
				return err
			}
			if m.Hint == "" {
				continue
			}
			if _, err := fmt.Fprintf(out, "\thint: %s\n", m.Hint); err != nil {
				return err
			}
		}
		if len(found) > 0 {
			wrong, bad = wrong+len(found), bad+1
		} else if _, err := fmt.Fprintf(out, "%s: ok\n", path); err != nil {
			return err
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%s in %s", server.Count(wrong, "mistake"), server.Count(bad, "profile"))
	}
	return nil
}

// tellWithout says which layers a profile goes without, before all else of it.
func tellWithout(out io.Writer, p *policy.Profile) error {
	if p == nil {
		return nil
	}
	for _, s := range p.Said() {
		if s.Key != "require.without" {
			continue
		}
		line := launch.Red(out, fmt.Sprintf("%s: WITHOUT %s: the server runs without this layer", s.At, s.Text))
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

// tellSingles names the rules that make one file writable.
func tellSingles(out io.Writer, p *policy.Profile, single func(string) bool) error {
	if p == nil {
		return nil
	}
	for _, s := range p.Said() {
		if s.Key != "filesystem.write" || !single(s.Text) {
			continue
		}
		line := fmt.Sprintf("%s: %s is one file: nothing is made beside it or renamed over it, as an atomic save and a database's journal do\n", s.At, audit.Visible(s.Text))
		if dir := path.Dir(s.Text); dir != "~" { // which no rule may name
			line += fmt.Sprintf("\thint: write = [%q]\n", dir)
		}
		_, err := io.WriteString(out, line)
		if err != nil {
			return err
		}
	}
	return nil
}

// isSingle reports whether a path as a profile spells it is one file, for a workspace
// and a home. Other parameters are known to a run alone.
func isSingle(workspace, home string) func(string) bool {
	return func(text string) bool {
		if rest, ok := strings.CutPrefix(text, "~/"); ok {
			text = filepath.Join(home, rest)
		}
		st, err := os.Stat(strings.ReplaceAll(text, "${workspace}", workspace))
		return err == nil && st.Mode().IsRegular()
	}
}

func checkFile(path string, load policy.Loader, readFile func(string) ([]byte, error)) (*policy.Profile, policy.Mistakes) {
	data, err := readFile(path)
	if err != nil {
		return nil, policy.Mistakes{{Pos: policy.Pos{File: path}, Text: "cannot read it: " + err.Error()}}
	}
	parse := policy.Parse
	baseline := filepath.Base(path) == server.BaselineName
	if baseline {
		parse = policy.ParseBaseline
	}
	profile, err := parse(path, data, load)
	var found policy.Mistakes
	if err != nil && !errors.As(err, &found) {
		found = policy.Mistakes{{Pos: policy.Pos{File: path}, Text: err.Error()}}
	}
	if baseline {
		return nil, found // it lists what others may go without
	}
	return profile, found
}
