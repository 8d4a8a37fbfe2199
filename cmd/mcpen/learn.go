package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/trial"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

func (a *app) learnCommand() *cli.Command {
	return &cli.Command{
		Name: "learn", Usage: "write into a server's profile what its sessions lacked", ArgsUsage: "SERVER",
		Description: "The rights are those that the log names: hosts and files of yours that the server was refused\n" +
			"while you used it. Never learned are hidden files, protected places, folders, files of the\n" +
			"machine's, telemetry, bare addresses and what a baseline forbids; they are listed. The lines\n" +
			"that change are shown first.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "since", Usage: "sessions from a `TIME` on, or how long ago: 2026-01-31, 15m, 2h, 3d"},
			&cli.StringFlag{Name: "baseline", Usage: "a profile `FILE` that no other may go beyond, besides " + filepath.Join(machine, catalog.BaselineName) + " where that exists"},
			&cli.BoolFlag{Name: "repository", Usage: "change a profile that others share, too: everybody is asked to trust it again"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usage("mcpen learn NAME", "no server named")
			}
			return a.learn(c.Context, c.Args().First(), c)
		},
	}
}

// lesson is a right that sessions lacked.
type lesson struct {
	grant    audit.Grant
	what     string // as the log has it
	sessions []string
	by       []string // tools that were being called, or when else
	not      string   // why it is not learned; "": it is
}

// learn adds the rights that a server's sessions lacked to its profile.
func (a *app) learn(ctx context.Context, word string, c *cli.Context) error {
	at, err := a.Dirs()
	if err != nil {
		return err
	}
	n, err := a.Named(at, word)
	if err != nil {
		return err
	}
	file, old, err := a.WritableProfile(at, word, c.Bool("repository"))
	if err != nil {
		return err
	}
	since, err := parseSince(c.String("since"), time.Now(), time.Local)
	if err != nil {
		return usage("mcpen learn "+word+" --since 3d", "%v", err)
	}
	lessons, sessions, err := lessonsOf(user.LogDir(at), n.Name, at.Home, since)
	if err != nil {
		return err
	}
	if sessions == 0 {
		return &launch.Error{Code: 1, Err: fmt.Errorf("nothing was recorded of %q", n.Name), Hint: "mcpen run " + word + ", use it, and then: mcpen learn " + word}
	}
	text := old
	for i := range lessons {
		if text, err = a.merge(at, file, text, &lessons[i], c.String("baseline")); err != nil {
			return err
		}
	}
	a.tellLessons(lessons, sessions)
	if r, err := a.Resolve(server.Choice{Words: server.Words{Profile: cmp.Or(n.Profile, word), Look: true}}, at); err == nil && !r.Policy.Log.Files {
		fmt.Fprintln(a.out, "files were not recorded: that needs [log] files = true in the profile")
	}
	if string(text) == string(old) {
		fmt.Fprintf(a.out, "%s: nothing to add\n", file)
		return ctx.Err()
	}
	return a.writeProfile(file, old, text, c)
}

// merge adds one right, where it may be learned and no baseline forbids it.
func (a *app) merge(at user.Dirs, file string, text []byte, l *lesson, baseline string) ([]byte, error) {
	if l.not != "" {
		return text, nil
	}
	next, err := policy.Insert(text, l.grant)
	switch {
	case errors.Is(err, policy.ErrGranted):
		l.not = "the profile gives it by now"
		return text, nil
	case err != nil:
		l.not = "it cannot be written by a command: " + err.Error()
		return text, nil
	}
	if _, err := policy.Parse(file, next, catalog.Loader(at)); err != nil {
		l.not = "no profile may give it: " + oneLine(err.Error())
		return text, nil
	}
	beyond, err := a.beyond(at, file, next, baseline)
	if err != nil {
		return nil, err
	}
	if beyond != nil {
		l.not = "the baseline does not give it"
		return text, nil
	}
	return next, nil
}

// beyond says why a baseline does not allow a profile of this text, or nil. The text
// lies beside the profile for a moment, so that it finds the profiles that it extends.
func (a *app) beyond(at user.Dirs, file string, text []byte, baseline string) (refusal, err error) {
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
	_, err = a.Resolve(server.Choice{Words: server.Words{Profile: f.Name(), Baseline: baseline, Look: true}}, at)
	var own *launch.Error
	if errors.As(err, &own) && own.Code == exitRefused {
		return own, nil
	}
	return nil, nil // any other fault was there before
}

// oneLine is the first line of a text.
func oneLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// tellLessons lists the lessons.
func (a *app) tellLessons(lessons []lesson, sessions int) {
	fmt.Fprintf(a.out, "%s recorded\n", user.Count(sessions, "session"))
	for _, l := range lessons {
		why := fmt.Sprintf("%s, %s", user.Count(len(l.sessions), "session"), strings.Join(l.by[:min(2, len(l.by))], ", "))
		if l.not != "" {
			fmt.Fprintf(a.out, "not learned: %s: %s (%s)\n", audit.Visible(l.what), audit.Visible(l.not), audit.Visible(why))
			continue
		}
		fmt.Fprintf(a.out, "learned: %s (%s)\n", audit.Visible(l.what), audit.Visible(why))
	}
}

// maxLessons limits the rights that one profile learns: a server chooses its requests.
const maxLessons = 200

// lessonsOf reads the rights that a server's sessions lacked, each once, the one that
// most sessions lacked first.
func lessonsOf(dir, name, home string, since time.Time) (lessons []lesson, sessions int, err error) {
	r, err := audit.OpenReader(dir, audit.Filter{Server: name, Since: since})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read the log: %w", err)
	}
	defer r.Close()
	seen := map[string]bool{}
	byText := map[string]*lesson{}
	err = r.Read(func(e audit.Event) error {
		seen[e.Session] = true
		if e.Verdict != audit.Refused || e.Grant == nil || len(e.Grant.Values) != 1 {
			return nil
		}
		g := withPort(*e.Grant)
		key := g.TOML()
		l := byText[key]
		if l == nil {
			if len(byText) >= maxLessons {
				return nil
			}
			l = &lesson{grant: g, what: g.Values[0].Text, not: unlearned(g, e, home)}
			byText[key] = l
		}
		l.sessions = added(l.sessions, e.Session)
		l.by = added(l.by, when(e))
		return nil
	})
	for _, l := range byText {
		lessons = append(lessons, *l)
	}
	slices.SortFunc(lessons, func(a, b lesson) int {
		return cmp.Or(cmp.Compare(len(b.sessions), len(a.sessions)), cmp.Compare(a.grant.TOML(), b.grant.TOML()))
	})
	return lessons, len(seen), err
}

func added(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// when says in which situation an event came.
func when(e audit.Event) string {
	switch {
	case e.Request == nil:
		return "before any call"
	case e.Request.Name != "":
		return "in " + e.Request.Name
	}
	return "in " + e.Request.Method
}

// withPort is the grant of a name that was only looked up: its port is that of HTTPS
// until a session shows another.
func withPort(g audit.Grant) audit.Grant {
	if name, ok := strings.CutSuffix(g.Values[0].Text, ":PORT"); ok && g.Table == "network" {
		g.Values = []audit.GrantValue{{Text: name + ":443"}}
	}
	return g
}

// unlearned returns the reason why a profile must not gain a right from a server's
// deed, or "".
func unlearned(g audit.Grant, e audit.Event, home string) string {
	text := g.Values[0].Text
	switch g.Table + "." + g.Key {
	case "network.allow":
		name := text[:max(0, strings.LastIndexByte(text, ':'))]
		if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
			return "an address without a name"
		}
		if trial.Telemetry(name) {
			return "telemetry"
		}
		return ""
	case "filesystem.read":
		return unlearnedPath(e.Subject, home)
	case "filesystem.unprotect":
		return "a protected place"
	case "sockets.connect":
		return "a socket: what answers there decides what it gives"
	}
	return "no right that is learned"
}

// machines are the folders of the machine's own.
var machines = []string{"/proc", "/sys", "/dev", "/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/run", "/var", "/tmp", "/boot", "/opt"}

// unlearnedPath is unlearned for a path.
func unlearnedPath(path, home string) string {
	rest, own := strings.CutPrefix(path, home+"/")
	for part := range strings.SplitSeq(rest, "/") {
		if strings.HasPrefix(part, ".") || slices.Contains(plan.Protected, part) {
			return "a hidden or protected name: keys and settings lie in such"
		}
	}
	for _, m := range machines {
		if !own && (path == m || strings.HasPrefix(path, m+"/")) {
			return "the machine's own"
		}
	}
	f := host.Look(path)
	switch {
	case !f.Exists:
		return "it is not there any more"
	case f.Dir:
		return "a folder: mcpen allow gives the whole of it"
	case f.Socket:
		return "a socket: what answers there decides what it gives"
	}
	if f.Real != "" && f.Real != path {
		return unlearnedPath(f.Real, home)
	}
	return ""
}
