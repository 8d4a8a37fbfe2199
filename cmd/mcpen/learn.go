package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
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
	lessons, sessions, err := trial.Lessons(user.LogDir(at), n.Name, at.Home, since)
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
func (a *app) merge(at user.Dirs, file string, text []byte, l *trial.Lesson, baseline string) ([]byte, error) {
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
	beyond, err := a.beyond(at, file, next, baseline)
	if err != nil {
		return nil, err
	}
	if beyond != nil {
		l.Not = "the baseline does not give it"
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
func (a *app) tellLessons(lessons []trial.Lesson, sessions int) {
	fmt.Fprintf(a.out, "%s recorded\n", user.Count(sessions, "session"))
	for _, l := range lessons {
		why := fmt.Sprintf("%s, %s", user.Count(len(l.Sessions), "session"), strings.Join(l.By[:min(2, len(l.By))], ", "))
		if l.Not != "" {
			fmt.Fprintf(a.out, "not learned: %s: %s (%s)\n", audit.Visible(l.What), audit.Visible(l.Not), audit.Visible(why))
			continue
		}
		fmt.Fprintf(a.out, "learned: %s (%s)\n", audit.Visible(l.What), audit.Visible(why))
	}
}
