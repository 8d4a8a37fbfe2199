package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/profiles"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/lockfile"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// Evidence is the subject of a person's trust: a profile, everything that it extends,
// its lock, the approved definitions of its server, and the targets of symlinks that it
// names.
type Evidence struct {
	File    string // of the profile, without symlinks
	Why     string // why it has to be trusted; "": it is the person's own
	Profile *policy.Profile
	Lock    string   // its file; "" if there is none
	Links   []string // "path -> target", sorted
	digest  string
	Use     Use // additions to the profile's own words at the start; only for a profile that is not the person's own
}

// Gather collects the evidence for trusting a profile. It does not read the profile
// again: the person trusts the parsed one.
func Gather(at user.Dirs, p *policy.Profile) (Evidence, error) {
	e := Evidence{Profile: p}
	name, err := catalog.Identity(at, p, true)
	if err != nil {
		return e, err
	}
	lock := catalog.LockBeside(at, "", name)
	e.File = lock
	if len(p.Sources) > 0 {
		lock = catalog.LockBeside(at, p.Sources[0].File, name)
		e.File = origin.RealFile(at, p.Sources[0].File)
	}
	files := []string{lock, strings.TrimSuffix(lock, ".lock") + ".pins"}
	if e.Why = whyTrust(at, p, files); e.Why == "" {
		return e, nil
	}
	h := sha256.New()
	line := func(words ...string) { fmt.Fprintf(h, "%q\n", words) }
	for _, s := range p.Sources {
		line("source", origin.RealFile(at, s.File), s.SHA256)
	}
	for _, file := range files {
		data, err := wholefile.Read(file, lockfile.Max)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return e, fmt.Errorf("cannot read what is to be trusted: %w", err)
		}
		head, _ := lockfile.Split(data)
		if file == lock {
			e.Lock = lock
			line("lock", hex.EncodeToString(sum(head)))
		}
		decided, err := Decisions(launch.PinFile{Name: p.Name, File: file})
		if err != nil {
			return e, err
		}
		for _, d := range decided {
			line("decided", d)
		}
	}
	e.Links = namedLinks(at, e)
	line(append([]string{"links"}, e.Links...)...)
	e.digest = hex.EncodeToString(h.Sum(nil))
	return e, nil
}

// whyTrust says why a person has to trust a profile, or the files beside it; "" if all
// of it is the person's own.
func whyTrust(at user.Dirs, p *policy.Profile, beside []string) string {
	for _, s := range p.Sources {
		if why := origin.Foreign(at, s.File); why != "" {
			return why
		}
	}
	for _, file := range beside {
		if wholefile.Exists(file) {
			if why := origin.Foreign(at, file); why != "" {
				return why
			}
		}
	}
	if slices.ContainsFunc(p.Said(), func(s policy.Said) bool { return runsHere(at, s) }) {
		return "it runs a command with all of your rights"
	}
	return ""
}

func sum(data []byte) []byte {
	s := sha256.Sum256(data)
	return s[:]
}

// Decisions lists the approved and rejected definitions, one word each, sorted. A
// definition that was only seen decides nothing.
func Decisions(f launch.PinFile) ([]string, error) {
	pins, err := f.Read()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, d := range pins.Definitions {
		if d.State != definition.Seen {
			out = append(out, strings.Join([]string{string(d.State), string(d.Kind), d.Name, d.SHA256}, "\x00"))
		}
	}
	slices.Sort(out)
	return out, nil
}

// runsHere reports whether a word of a profile is a command that runs outside the
// sandbox, and the profile is not in the person's own configuration.
func runsHere(at user.Dirs, s policy.Said) bool {
	if !strings.HasPrefix(s.Key, "env.secret.") || !strings.HasPrefix(s.Text, "command:") || profiles.Ships(s.At.File) {
		return false
	}
	file := origin.RealFile(at, s.At.File)
	for _, own := range []string{at.Config, at.Login.Config, at.Machine} {
		if real := host.Look(own).Real; real != "" && strings.HasPrefix(file, real+"/") {
			return false
		}
	}
	return true
}

// namedLinks are the symlinks to which the paths of a profile lead, where the
// workspace is the project that it lies in. Paths with other parameters are not
// known yet, and are looked at when it runs.
func namedLinks(at user.Dirs, e Evidence) []string {
	top := origin.Project(at, e.File)
	var out []string
	for _, s := range e.Profile.Said() {
		text := strings.TrimPrefix(strings.TrimPrefix(s.Text, "?"), "file:")
		if rest, ok := strings.CutPrefix(text, "~"); ok {
			text = at.Home + rest
		}
		text = strings.NewReplacer("${workspace}", top, "${home}", at.Home).Replace(text)
		if !filepath.IsAbs(text) || strings.Contains(text, "${") {
			continue
		}
		for _, l := range host.Look(text).Links {
			if strings.HasPrefix(l.Path, top+"/") {
				out = append(out, l.Path+" -> "+origin.RealFile(at, text))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Hint is the command that has a person trust a profile and its use.
func (e Evidence) Hint() string {
	if e.Use.adds() {
		return e.Use.hint()
	}
	return "mcpen trust " + audit.Command(e.File)
}

// Starts reports whether the profile itself names the program to start.
func (e Evidence) Starts() bool {
	return len(SaidWords(e.Profile, "server.command", "server.package")) > 0
}
