package main

import (
	"fmt"
	"syscall"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
)

func (a *app) stopCommand() *cli.Command {
	return &cli.Command{
		Name:      "stop",
		Usage:     "end running servers, in order, as a client would",
		ArgsUsage: "SERVER|SESSION…",
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usage("mcpen ps", "no server named")
			}
			at, err := a.Dirs()
			if err != nil {
				return err
			}
			records, err := sandbox.Sessions(at.Runtime)
			if err != nil {
				return err
			}
			var servers []string
			for _, r := range records {
				servers = append(servers, r.Server)
			}
			for _, name := range c.Args().Slice() {
				n := 0
				named, err := a.Named(at, name)
				if err != nil {
					return err
				}
				if name, err = catalog.Meant(servers, named.Name); err != nil {
					return err
				}
				for _, r := range records {
					if r.Server != name && r.Session != name {
						continue
					}
					if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
						return fmt.Errorf("cannot stop %q (process %d): %w", name, r.PID, err)
					}
					fmt.Fprintf(a.out, "told %s (process %d) to end\n", audit.Visible(r.Server), r.PID)
					n++
				}
				if n == 0 {
					return usage("mcpen ps", "nothing runs as %q", name)
				}
			}
			return nil
		},
	}
}
