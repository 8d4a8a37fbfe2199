package server

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/lockfile"
	"mcpen/sandbox/policy"
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
	Use     use // additions to the profile's own words at the start; only for a profile that is not the person's own
}

// Gather collects the evidence for trusting a profile. It does not read the profile
// again: the person trusts the parsed one.
func (c *Caller) Gather(at Dirs, p *policy.Profile) (Evidence, error) {
	e := Evidence{Profile: p}
	name, err := identity(at, p, true)
	if err != nil {
		return e, err
	}
	lock := LockBeside(at, "", name)
	e.File = lock
	if len(p.Sources) > 0 {
		lock = LockBeside(at, p.Sources[0].File, name)
		e.File = RealFile(at, p.Sources[0].File)
	}
	files := []string{lock, strings.TrimSuffix(lock, ".lock") + ".pins"}
	if e.Why = whyTrust(at, p, files); e.Why == "" {
		return e, nil
	}
	h := sha256.New()
	line := func(words ...string) { fmt.Fprintf(h, "%q\n", words) }
	for _, s := range p.Sources {
		line("source", RealFile(at, s.File), s.SHA256)
	}
	for _, file := range files {
		data, err := ReadRegular(file, maxLock)
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
	e.Links = c.namedLinks(at, e)
	line(append([]string{"links"}, e.Links...)...)
	e.digest = hex.EncodeToString(h.Sum(nil))
	return e, nil
}

// whyTrust says why a person has to trust a profile, or the files beside it; "" if all
// of it is the person's own.
func whyTrust(at Dirs, p *policy.Profile, beside []string) string {
	for _, s := range p.Sources {
		if why := Foreign(at, s.File); why != "" {
			return why
		}
	}
	for _, file := range beside {
		if Exists(file) {
			if why := Foreign(at, file); why != "" {
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
func runsHere(at Dirs, s policy.Said) bool {
	if !strings.HasPrefix(s.Key, "env.secret.") || !strings.HasPrefix(s.Text, "command:") || Ships(s.At.File) {
		return false
	}
	file := RealFile(at, s.At.File)
	for _, own := range []string{at.Config, at.login.Config, at.Machine} {
		if real := host.Look(own).Real; real != "" && strings.HasPrefix(file, real+"/") {
			return false
		}
	}
	return true
}

// namedLinks are the symlinks to which the paths of a profile lead, where the
// workspace is the project that it lies in. Paths with other parameters are not
// known yet, and are looked at when it runs.
func (c *Caller) namedLinks(at Dirs, e Evidence) []string {
	top := ProjectOf(at, e.File)
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
				out = append(out, l.Path+" -> "+RealFile(at, text))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// trusted is the record of one decision.
type trusted struct {
	Path   string    `json:"path"`
	Digest string    `json:"digest"`
	At     time.Time `json:"at"`
	Uses   []string  `json:"uses,omitempty"` // digests of trusted additions at the start
}

// maxUses bounds the uses of one profile. The oldest is forgotten.
const maxUses = 256

// Holds reports whether a decision is about this evidence, and about its use.
func (t trusted) Holds(e Evidence) (content, use bool) {
	content = t.Digest == e.digest
	return content, content && (e.Use.digest() == "" || slices.Contains(t.Uses, e.Use.digest()))
}

// digest tells one use of a profile from another; it is "" for the one that adds
// nothing.
func (u use) digest() string {
	if !u.adds() {
		return ""
	}
	return hex.EncodeToString(sum(fmt.Appendf(nil, "%q", append([]string{u.dir}, u.words()...))))
}

// TrustFile is the file of a decision: in the home of the password database, which no
// environment moves.
func TrustFile(at Dirs, file string) (string, error) {
	if at.login.State == "" {
		return "", &launch.Error{Code: launch.ExitRefused, Err: errors.New("cannot keep what is trusted: this user has no home")}
	}
	return filepath.Join(at.login.State, "trust", hex.EncodeToString(sum([]byte(file)))+".json"), nil
}

// Decided returns the earlier decision about a file; the zero value if there is none.
func Decided(at Dirs, file string) (trusted, error) {
	var t trusted
	name, err := TrustFile(at, file)
	if err != nil {
		return t, err
	}
	data, err := ReadRegular(name, policy.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	if err != nil {
		return trusted{}, fmt.Errorf("cannot read what is trusted: %w", err)
	}
	if t.Path != file {
		return trusted{}, nil
	}
	return t, nil
}

// Trust keeps the decision for the evidence and its use. Uses that were trusted with
// the same content before stay.
func Trust(at Dirs, e Evidence) error {
	t, err := Decided(at, e.File)
	if err != nil {
		return err
	}
	if t.Digest != e.digest {
		t.Uses = nil
	}
	return keepTrusted(at, e, t.Uses)
}

// keepTrusted writes a decision, with the uses that hold in addition to the evidence's.
func keepTrusted(at Dirs, e Evidence, uses []string) error {
	name, err := TrustFile(at, e.File)
	if err != nil {
		return err
	}
	if u := e.Use.digest(); u != "" && !slices.Contains(uses, u) {
		uses = append(uses, u)
	}
	uses = uses[max(0, len(uses)-maxUses):]
	data, err := json.Marshal(trusted{Path: e.File, Digest: e.digest, At: time.Now().UTC(), Uses: uses})
	if err != nil {
		return fmt.Errorf("internal error: cannot encode a decision: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("cannot keep what is trusted: %w", err)
	}
	return wholefile.Replace(name, append(data, '\n'), 0o644)
}

// gate starts nothing from a profile, a lock or a baseline that is not the person's own
// until the person has trusted it as it is, together with its use. At a terminal it may
// ask the person; elsewhere it refuses. It reports whether anything needed trust.
func (c *Caller) gate(at Dirs, ask bool, w Words, r Resolved) (asked bool, err error) {
	for _, p := range append(slices.Clone(r.baselines), r.profile) {
		e, err := c.Gather(at, p)
		if err == nil && e.Why != "" {
			if p == r.profile {
				e.Use = UseOf(at, w, p)
			}
			asked, err = true, c.gateOne(at, ask, e)
		}
		if err != nil {
			return asked, err
		}
	}
	return asked, nil
}

// GateOf is gate for a look at one profile.
func (c *Caller) GateOf(at Dirs, p *policy.Profile) error {
	_, err := c.gate(at, false, Words{}, Resolved{profile: p})
	return err
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

// gateOne is gate for one profile that is not the person's own.
func (c *Caller) gateOne(at Dirs, ask bool, e Evidence) error {
	was, err := Decided(at, e.File)
	if err != nil {
		return err
	}
	content, used := was.Holds(e)
	if content && used {
		return nil
	}
	no := &launch.Error{Code: launch.ExitRefused, Err: fmt.Errorf("%q is not trusted: %s", e.File, e.Why), Hint: e.Hint()}
	switch {
	case content:
		no.Err = fmt.Errorf("%q is trusted, but not with what it is started with here: %s; %s", e.File, audit.Visible(Short(strings.Join(e.Use.Says(e.Starts()), ", "), 300)), e.Why)
	case was.Digest != "":
		no.Err = fmt.Errorf("%q is not trusted: it, its lock, or what it names changed since it was trusted; %s", e.File, e.Why)
	}
	if !ask || c.Confirm == nil || !c.Confirm(at, e) {
		return no
	}
	return Trust(at, e)
}

// keepTrust runs a change of a profile's lock or pins at the person's word. It trusts
// the outcome if the person trusted the state before.
func (c *Caller) keepTrust(at Dirs, p *policy.Profile, change func() error) error {
	before, err := c.Gather(at, p)
	if err != nil || before.Why == "" {
		return change() // the next start reports any error
	}
	was, err := Decided(at, before.File)
	if err != nil {
		return change()
	}
	if err := change(); err != nil {
		return err
	}
	after, err := c.Gather(at, p)
	if err != nil || was.Digest != before.digest || after.digest == before.digest {
		return err
	}
	return keepTrusted(at, after, was.Uses)
}

// KeepTrustBeside is keepTrust for the profile that a lock or pins lie beside.
func (c *Caller) KeepTrustBeside(at Dirs, file string, change func() error) error {
	profile := strings.TrimSuffix(file, filepath.Ext(file)) + ".toml"
	data, err := ReadProfile(profile)
	if err != nil {
		return change()
	}
	p, err := policy.Parse(fileName(profile), data, c.Loader(at))
	if err != nil {
		return change()
	}
	return c.keepTrust(at, p, change)
}

// ToTrust reads a profile, or a baseline, of a path or a name.
func (c *Caller) ToTrust(at Dirs, file string) (*policy.Profile, error) {
	load := c.Loader(at)
	if !strings.Contains(file, "/") && Exists(file) {
		file = "./" + file
	}
	name, data, err := load(file, "")
	if err != nil {
		return nil, launch.Usage("mcpen trust PATH", "cannot read the profile: %v", err)
	}
	if filepath.Base(file) == BaselineName {
		return policy.ParseBaseline(name, data, load)
	}
	return policy.Parse(name, data, load)
}
