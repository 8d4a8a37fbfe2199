package main

import (
	"bufio"
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

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/guard"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/lockfile"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/wholefile"
)

// evidence is what a person trusts: a profile, everything that it extends, its lock,
// what was approved of what its server says, and where symlinks lead that it names.
type evidence struct {
	file    string // of the profile, without symlinks
	why     string // why it has to be trusted; "": it is the person's own
	profile *policy.Profile
	lock    string   // its file; "" where there is none
	links   []string // "path -> where it leads", sorted
	digest  string
	use     use // what it is started with beyond what it says; of a profile that is not the person's own
}

// gather reads what a profile is to be trusted by. The profile is not read again: what
// was parsed is what is trusted.
func (a *app) gather(at place, p *policy.Profile) (evidence, error) {
	e := evidence{profile: p}
	name, err := server(at, p, true)
	if err != nil {
		return e, err
	}
	lock := lockBeside(at, "", name)
	e.file = lock
	if len(p.Sources) > 0 {
		lock = lockBeside(at, p.Sources[0].File, name)
		e.file = realFile(at, p.Sources[0].File)
	}
	files := []string{lock, strings.TrimSuffix(lock, ".lock") + ".pins"}
	if e.why = whyTrust(at, p, files); e.why == "" {
		return e, nil
	}
	h := sha256.New()
	line := func(words ...string) { fmt.Fprintf(h, "%q\n", words) }
	for _, s := range p.Sources {
		line("source", realFile(at, s.File), s.SHA256)
	}
	for _, file := range files {
		data, err := readRegular(file, maxLock)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return e, fmt.Errorf("cannot read what is to be trusted: %w", err)
		}
		head, _ := lockfile.Split(data)
		if file == lock {
			e.lock = lock
			line("lock", hex.EncodeToString(sum(head)))
		}
		decided, err := decisions(launch.PinFile{Name: p.Name, File: file})
		if err != nil {
			return e, err
		}
		for _, d := range decided {
			line("decided", d)
		}
	}
	e.links = a.namedLinks(at, e)
	line(append([]string{"links"}, e.links...)...)
	e.digest = hex.EncodeToString(h.Sum(nil))
	return e, nil
}

// whyTrust says why a profile, or what lies beside it, has to be trusted; "" where all
// of it is the person's own.
func whyTrust(at place, p *policy.Profile, beside []string) string {
	for _, s := range p.Sources {
		if why := foreign(at, s.File); why != "" {
			return why
		}
	}
	for _, file := range beside {
		if exists(file) {
			if why := foreign(at, file); why != "" {
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

// decisions are what a person approved and rejected, one word each, sorted. What was
// only seen decides nothing.
func decisions(f launch.PinFile) ([]string, error) {
	pins, err := f.Read()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, d := range pins.Definitions {
		if d.State != guard.Seen {
			out = append(out, strings.Join([]string{string(d.State), string(d.Kind), d.Name, d.SHA256}, "\x00"))
		}
	}
	slices.Sort(out)
	return out, nil
}

// runsHere reports whether a word of a profile is a command that runs outside the
// sandbox, and the profile is not in the person's own configuration.
func runsHere(at place, s policy.Said) bool {
	if !strings.HasPrefix(s.Key, "env.secret.") || !strings.HasPrefix(s.Text, "command:") || ships(s.At.File) {
		return false
	}
	file := realFile(at, s.At.File)
	for _, own := range []string{at.config, at.login.Config, machine} {
		if real := host.Look(own).Real; real != "" && strings.HasPrefix(file, real+"/") {
			return false
		}
	}
	return true
}

// namedLinks are the symlinks to which the paths of a profile lead, where the
// workspace is the project that it lies in. Paths with other parameters are not
// known yet, and are looked at when it runs.
func (a *app) namedLinks(at place, e evidence) []string {
	top := projectOf(at, e.file)
	var out []string
	for _, s := range e.profile.Said() {
		text := strings.TrimPrefix(strings.TrimPrefix(s.Text, "?"), "file:")
		if rest, ok := strings.CutPrefix(text, "~"); ok {
			text = at.home + rest
		}
		text = strings.NewReplacer("${workspace}", top, "${home}", at.home).Replace(text)
		if !filepath.IsAbs(text) || strings.Contains(text, "${") {
			continue
		}
		for _, l := range host.Look(text).Links {
			if strings.HasPrefix(l.Path, top+"/") {
				out = append(out, l.Path+" -> "+realFile(at, text))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// trusted is what is kept of one decision.
type trusted struct {
	Path   string    `json:"path"`
	Digest string    `json:"digest"`
	At     time.Time `json:"at"`
	Uses   []string  `json:"uses,omitempty"` // digests of what it may be started with beyond what it says
}

// maxUses bounds the uses of one profile. The oldest is forgotten.
const maxUses = 256

// holds reports whether a decision is about what was gathered, and about its use.
func (t trusted) holds(e evidence) (content, use bool) {
	content = t.Digest == e.digest
	return content, content && (e.use.digest() == "" || slices.Contains(t.Uses, e.use.digest()))
}

// digest tells one use of a profile from another; it is "" for the one that adds
// nothing.
func (u use) digest() string {
	if !u.adds() {
		return ""
	}
	return hex.EncodeToString(sum(fmt.Appendf(nil, "%q", append([]string{u.dir}, u.words()...))))
}

// trustFile is where it is kept: in the home of the password database, which no
// environment moves.
func trustFile(at place, file string) (string, error) {
	if at.login.State == "" {
		return "", &launch.Error{Code: exitRefused, Err: errors.New("cannot keep what is trusted: this user has no home")}
	}
	return filepath.Join(at.login.State, "trust", hex.EncodeToString(sum([]byte(file)))+".json"), nil
}

// known is what was decided of a file before; the zero value where nothing was.
func known(at place, file string) (trusted, error) {
	var t trusted
	name, err := trustFile(at, file)
	if err != nil {
		return t, err
	}
	data, err := readRegular(name, policy.MaxFile)
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

// trust keeps the decision for what was gathered and its use. Uses that were trusted
// with the same content before stay.
func trust(at place, e evidence) error {
	t, err := known(at, e.file)
	if err != nil {
		return err
	}
	if t.Digest != e.digest {
		t.Uses = nil
	}
	return keepTrusted(at, e, t.Uses)
}

// keepTrusted writes a decision, with the uses that hold besides that of the evidence.
func keepTrusted(at place, e evidence, uses []string) error {
	name, err := trustFile(at, e.file)
	if err != nil {
		return err
	}
	if u := e.use.digest(); u != "" && !slices.Contains(uses, u) {
		uses = append(uses, u)
	}
	uses = uses[max(0, len(uses)-maxUses):]
	data, err := json.Marshal(trusted{Path: e.file, Digest: e.digest, At: time.Now().UTC(), Uses: uses})
	if err != nil {
		return fmt.Errorf("internal error: cannot encode a decision: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("cannot keep what is trusted: %w", err)
	}
	return wholefile.Replace(name, append(data, '\n'), 0o644)
}

// gate lets nothing start from a profile, a lock or a baseline that is not the
// person's own until they have trusted it as it is, and what it is started with. At a
// terminal they may be asked; elsewhere it is refused. It reports whether anything had
// to be trusted.
func (a *app) gate(at place, ask bool, ch choice, r resolved) (asked bool, err error) {
	for _, p := range append(slices.Clone(r.baselines), r.profile) {
		e, err := a.gather(at, p)
		if err == nil && e.why != "" {
			if p == r.profile {
				e.use = useOf(at, ch, p)
			}
			asked, err = true, a.gateOne(at, ask, e)
		}
		if err != nil {
			return asked, err
		}
	}
	return asked, nil
}

// notYet says why nothing starts, to somebody who only looks.
func (a *app) notYet(why error) {
	a.warn("nothing starts from it yet: %v", why)
	var coded *launch.Error
	if errors.As(why, &coded) && coded.Hint != "" {
		launch.Say(a.err, "hint", coded.Hint)
	}
}

// gateOf is gate for a look at one profile.
func (a *app) gateOf(at place, p *policy.Profile) error {
	_, err := a.gate(at, false, choice{}, resolved{profile: p})
	return err
}

// hint is the command that has a person trust a profile and its use.
func (e evidence) hint() string {
	if e.use.adds() {
		return e.use.hint()
	}
	return "mcpen trust " + audit.Command(e.file)
}

// starts reports whether the profile says itself what it starts.
func (e evidence) starts() bool {
	return len(saidWords(e.profile, "server.command", "server.package")) > 0
}

// gateOne is gate for one profile that is not the person's own.
func (a *app) gateOne(at place, ask bool, e evidence) error {
	was, err := known(at, e.file)
	if err != nil {
		return err
	}
	content, used := was.holds(e)
	if content && used {
		return nil
	}
	no := &launch.Error{Code: exitRefused, Err: fmt.Errorf("%q is not trusted: %s", e.file, e.why), Hint: e.hint()}
	switch {
	case content:
		no.Err = fmt.Errorf("%q is trusted, but not with what it is started with here: %s; %s", e.file, audit.Visible(short(strings.Join(e.use.says(e.starts()), ", "), 300)), e.why)
	case was.Digest != "":
		no.Err = fmt.Errorf("%q is not trusted: it, its lock, or what it names changed since it was trusted; %s", e.file, e.why)
	}
	if !ask || !a.terminal(a.in) || !a.terminal(a.err) {
		return no
	}
	a.showEvidence(a.err, at, e)
	if !a.yes("trust it as it is, and start it?") {
		return no
	}
	return trust(at, e)
}

// keepTrust runs what changes the lock or the pins of a profile at the person's word,
// and trusts the outcome where it trusted what was there before.
func (a *app) keepTrust(at place, p *policy.Profile, change func() error) error {
	before, err := a.gather(at, p)
	if err != nil || before.why == "" {
		return change() // whatever is wrong, who starts it is told
	}
	was, err := known(at, before.file)
	if err != nil {
		return change()
	}
	if err := change(); err != nil {
		return err
	}
	after, err := a.gather(at, p)
	if err != nil || was.Digest != before.digest || after.digest == before.digest {
		return err
	}
	return keepTrusted(at, after, was.Uses)
}

// keepTrustBeside is keepTrust for the profile that a lock or pins lie beside.
func (a *app) keepTrustBeside(at place, file string, change func() error) error {
	profile := strings.TrimSuffix(file, filepath.Ext(file)) + ".toml"
	data, err := readProfile(profile)
	if err != nil {
		return change()
	}
	p, err := policy.Parse(fileName(profile), data, a.loader(at))
	if err != nil {
		return change()
	}
	return a.keepTrust(at, p, change)
}

// yes asks a person at a terminal.
func (a *app) yes(question string) bool {
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(a.in).ReadString('\n') // no answer is no
	s := strings.ToLower(strings.TrimSpace(answer))
	return s == "y" || s == "yes"
}

func (a *app) trustCommand(words []string) *cli.Command {
	return &cli.Command{
		Name: "trust", Usage: "show what profiles of a repository ask for, and trust them as they are", ArgsUsage: "[PATH…] | SERVER -- ARGS… | --profile P -- COMMAND…",
		Description: "PATH is a profile, or a folder with profiles or with a .mcpen of them (default:\nthe folder where mcpen was started). What is trusted is the content: of the\nprofile, of all that it extends, of its lock and of what was approved; any change\nasks again. What a command line adds to it (a command, arguments, --set, --without,\na workspace outside of the project) is trusted with the same words as in run.\nProfiles of your own configuration need no trust.",
		Flags: append(serverFlags(),
			&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
			&cli.BoolFlag{Name: "revoke", Usage: "trust it no longer, however it is used"},
		),
		Action: func(c *cli.Context) error {
			at, err := a.place()
			if err != nil {
				return err
			}
			do := func(file string, ch choice) error { return a.trustOne(at, file, ch, c.Bool("yes")) }
			if c.Bool("revoke") {
				do = func(file string, _ choice) error { return a.revoke(at, file) }
			}
			if used(c, words) {
				ch, err := choose(c, words)
				if err != nil {
					return err
				}
				if ch.unwritten() {
					return usage("mcpen trust --profile PATH -- COMMAND", "no profile named: what has none needs no trust")
				}
				return do(ch.profile, ch)
			}
			files, err := profilesAt(at, c.Args().Slice())
			if err != nil {
				return err
			}
			for _, f := range files {
				if err := do(f, choice{profile: f}); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// used reports whether a command line says how a profile is used.
func used(c *cli.Context, words []string) bool {
	return slices.Contains(words, "--") || slices.ContainsFunc(serverFlags(), func(f cli.Flag) bool { return c.IsSet(f.Names()[0]) })
}

// profilesAt are the profiles that paths name.
func profilesAt(at place, paths []string) ([]string, error) {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	var out []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil || !info.IsDir() {
			out = append(out, p)
			continue
		}
		var found []string
		for _, pattern := range []string{".mcpen/*.toml", "*.toml"} {
			if found, _ = filepath.Glob(filepath.Join(p, pattern)); len(found) > 0 { // the pattern is good
				break
			}
		}
		if len(found) == 0 {
			return nil, usage("mcpen trust PATH", "there is no profile in %q, and none in a .mcpen there", realFile(at, p))
		}
		out = append(out, found...)
	}
	return out, nil
}

// trustOne shows one profile and how it is used, and asks.
func (a *app) trustOne(at place, file string, ch choice, yes bool) error {
	p, err := a.toTrust(at, file)
	if err != nil {
		return err
	}
	e, err := a.gather(at, p)
	if err != nil {
		return err
	}
	e.use = useOf(at, ch, p)
	if e.why == "" {
		fmt.Fprintf(a.out, "%s needs no trust: it is yours\n", audit.Visible(file))
		return nil
	}
	was, err := known(at, e.file)
	if err != nil {
		return err
	}
	if _, held := was.holds(e); held {
		fmt.Fprintf(a.out, "%s is trusted as it is\n", audit.Visible(file))
		return nil
	}
	a.showEvidence(a.out, at, e)
	if !yes {
		if !a.terminal(a.in) {
			return usage(strings.Replace(e.hint(), "mcpen trust ", "mcpen trust --yes ", 1), "nothing was trusted: there is nobody to ask")
		}
		if !a.yes("trust it as it is?") {
			fmt.Fprintln(a.out, "nothing was trusted")
			return nil
		}
	}
	if err := trust(at, e); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "trusted %s, until anything of it changes\n", audit.Visible(e.file))
	return nil
}

// toTrust reads a profile, or a baseline, of a path or a name.
func (a *app) toTrust(at place, file string) (*policy.Profile, error) {
	load := a.loader(at)
	if !strings.Contains(file, "/") && exists(file) {
		file = "./" + file
	}
	name, data, err := load(file, "")
	if err != nil {
		return nil, usage("mcpen trust PATH", "cannot read the profile: %v", err)
	}
	if filepath.Base(file) == filepath.Base(baselineFile()) {
		return policy.ParseBaseline(name, data, load)
	}
	return policy.Parse(name, data, load)
}

// revoke forgets what was decided of a profile.
func (a *app) revoke(at place, file string) error {
	name, err := trustFile(at, realFile(at, file))
	if err != nil {
		return err
	}
	err = os.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return usage("mcpen trust "+file, "%q was not trusted", file)
	}
	if err != nil {
		return fmt.Errorf("cannot revoke the trust: %w", err)
	}
	fmt.Fprintf(a.out, "%s is no longer trusted\n", audit.Visible(file))
	return nil
}
