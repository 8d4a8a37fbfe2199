package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/user"
)

func (a *app) psCommand() *cli.Command {
	return &cli.Command{
		Name:  "ps",
		Usage: "list the servers that run now",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print them as JSON"}},
		Action: func(c *cli.Context) error {
			at, err := a.Dirs()
			if err != nil {
				return err
			}
			records, err := sandbox.Sessions(at.Runtime)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return a.psJSON(records)
			}
			if len(records) == 0 {
				fmt.Fprintln(a.Err, "mcpen: note: no server runs")
			}
			var list strings.Builder
			w := tabwriter.NewWriter(&list, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "SERVER\tSESSION\tPID\tSINCE\tPLAN\tCOMMAND")
			for _, r := range records {
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%.12s\t%s\n", r.Server, r.Session, r.PID, user.Age(time.Since(r.Started)), r.Plan,
					audit.Visible(strings.Join(audit.RedactArgs(r.Args), " ")))
			}
			if err := w.Flush(); err != nil {
				return err
			}
			for line := range strings.Lines(list.String()) {
				if n := a.columns(); n > 0 {
					line = shorten(strings.TrimSuffix(line, "\n"), n) + "\n"
				}
				if _, err := fmt.Fprint(a.out, line); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// running is a server in the list of those that run.
type running struct {
	Server  string    `json:"server"`
	Session string    `json:"session"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Plan    string    `json:"plan"`
	Args    []string  `json:"args"` // without likely secrets
}

func (a *app) psJSON(records []sandbox.Record) error {
	all := []running{}
	for _, r := range records {
		all = append(all, running{r.Server, r.Session, r.PID, r.Started, r.Plan, audit.RedactArgs(r.Args)})
	}
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(all)
}

// tellRunning has the running servers of a name read their pins again.
func (a *app) tellRunning(at user.Dirs, name string) {
	records, err := sandbox.Sessions(at.Runtime)
	if err != nil {
		a.Warn("cannot tell running servers: %v", err)
		return
	}
	for _, r := range records {
		if r.Server == name {
			if err := syscall.Kill(r.PID, launch.Reviewed); err != nil {
				a.Warn("cannot tell process %d: %v", r.PID, err)
			}
		}
	}
}
