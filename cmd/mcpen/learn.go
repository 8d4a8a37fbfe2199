package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/lesson"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
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
	since, err := audit.ParseSince(c.String("since"), time.Now(), time.Local)
	if err != nil {
		return usage("mcpen learn "+word+" --since 3d", "%v", err)
	}
	lessons, sessions, err := lesson.Read(user.LogDir(at), n.Name, at.Home, since)
	if err != nil {
		return err
	}
	if sessions == 0 {
		return &launch.Error{Code: 1, Err: fmt.Errorf("nothing was recorded of %q", n.Name), Hint: "mcpen run " + word + ", use it, and then: mcpen learn " + word}
	}
	text := old
	for i := range lessons {
		if text, err = lessons[i].Merge(&a.Caller, at, file, text, c.String("baseline")); err != nil {
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

// tellLessons lists the lessons.
func (a *app) tellLessons(lessons []lesson.Lesson, sessions int) {
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
