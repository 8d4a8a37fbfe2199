// Package proofread finds the mistakes in profiles, and rights that deserve a remark. Each
// has its file, line and column.
package proofread

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"mcpen/cmd/mcpen/document"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

// Write reads each profile, with the profiles that it extends, and writes every
// mistake to out: one on a line with its place, and below it a hint if there is one. It
// does not check parts that depend on the parameters of a run. It reads a file named
// baseline.toml as a baseline. single reports whether a rule's path is one file here:
// such a rule allows less than a person may think, and Write says so.
//
// The error gives the number of mistakes, after Write has written all of them; it is
// also an error if it cannot read a profile, or if none was named.
func Write(paths []string, load policy.Loader, readFile func(string) ([]byte, error), single func(string) bool, out io.Writer) error {
	return checkEach(paths, load, readFile, single, func(c checked) error { return c.write(out) })
}

// WriteJSON is Write, and writes an array.
func WriteJSON(paths []string, load policy.Loader, readFile func(string) ([]byte, error), single func(string) bool, out io.Writer) error {
	all := []checked{}
	err := checkEach(paths, load, readFile, single, func(c checked) error {
		all = append(all, c)
		return nil
	})
	return errors.Join(document.WriteJSON(out, all), err)
}

func checkEach(paths []string, load policy.Loader, readFile func(string) ([]byte, error), single func(string) bool, tell func(checked) error) error {
	if len(paths) == 0 {
		return errors.New("no profile to check")
	}
	wrong, bad := 0, 0
	for _, path := range paths {
		profile, found := checkFile(path, load, readFile)
		c := checked{Profile: path, OK: len(found) == 0, Mistakes: []remark{}, Notes: append(without(profile), singles(profile, single)...)}
		for _, m := range found {
			c.Mistakes = append(c.Mistakes, remark{m.Pos, m.Key, m.Text, m.Hint, m.Error()})
		}
		if err := tell(c); err != nil {
			return err
		}
		if !c.OK {
			wrong, bad = wrong+len(found), bad+1
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%s in %s", user.Count(wrong, "mistake"), user.Count(bad, "profile"))
	}
	return nil
}

// checked holds the findings of one profile.
type checked struct {
	Profile  string   `json:"profile"`
	OK       bool     `json:"ok"`
	Mistakes []remark `json:"mistakes"`
	Notes    []remark `json:"notes"` // notes for a person about it
}

// remark is one of those things, at its place.
type remark struct {
	policy.Pos
	Key  string `json:"key,omitempty"`
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`

	line string // for a person
}

// write prints the findings for a person. Layers that the profile goes without come first.
func (c checked) write(out io.Writer) error {
	var b strings.Builder
	for _, r := range append(append([]remark{}, c.Notes...), c.Mistakes...) {
		line := r.line
		if r.Key == keyWithout {
			line = launch.Red(out, line)
		}
		b.WriteString(line + "\n")
		if r.Hint != "" {
			b.WriteString("\thint: " + r.Hint + "\n")
		}
	}
	if c.OK {
		b.WriteString(c.Profile + ": ok\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

const keyWithout = "require.without"

// without names the layers that a profile goes without.
func without(p *policy.Profile) []remark {
	out := []remark{}
	if p == nil {
		return out
	}
	for _, s := range p.Said() {
		if s.Key == keyWithout {
			text := fmt.Sprintf("WITHOUT %s: the server runs without this layer", s.Text)
			out = append(out, remark{s.At, s.Key, text, "", fmt.Sprintf("%s: %s", s.At, text)})
		}
	}
	return out
}

// singles names the rules that make one file writable.
func singles(p *policy.Profile, single func(string) bool) (out []remark) {
	if p == nil {
		return nil
	}
	for _, s := range p.Said() {
		if s.Key != "filesystem.write" || !single(s.Text) {
			continue
		}
		text := audit.Visible(s.Text) + " is one file: nothing is made beside it or renamed over it, as an atomic save and a database's journal do"
		r := remark{s.At, s.Key, text, "", fmt.Sprintf("%s: %s", s.At, text)}
		if dir := path.Dir(s.Text); dir != "~" { // which no rule may name
			r.Hint = "write = [" + audit.TOMLString(dir) + "]"
		}
		out = append(out, r)
	}
	return out
}

// Single reports whether a path as a profile spells it is one file, for a workspace
// and a home. Other parameters are known to a run alone.
func Single(workspace, home string) func(string) bool {
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
	baseline := filepath.Base(path) == catalog.BaselineName
	if baseline {
		parse = policy.ParseBaseline
	}
	profile, err := parse(path, data, load)
	var found policy.Mistakes
	if err != nil && !errors.As(err, &found) {
		found = policy.Mistakes{{Pos: policy.Pos{File: path}, Text: err.Error()}}
	}
	if baseline {
		return nil, found // it lists the layers that others may go without
	}
	return profile, found
}
