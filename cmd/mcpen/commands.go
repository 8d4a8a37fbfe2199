package main

import (
	"time"

	"github.com/urfave/cli/v2"
)

func (a *app) logCommand() *cli.Command {
	return &cli.Command{
		Name:      "log",
		Usage:     "show what was decided: what ran, what was refused and which line would allow it",
		ArgsUsage: "[SERVER]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "f", Usage: "go on as events come"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line"},
			&cli.BoolFlag{Name: "net", Usage: "names and connections only"},
			&cli.StringFlag{Name: "since", Usage: "a `TIME` or how long ago: 2026-01-31, 15m, 2h, 3d"},
		},
		Action: func(c *cli.Context) error {
			at, err := a.place()
			if err != nil {
				return err
			}
			o := logOptions{Dir: logDir(at), Server: c.Args().First(), Since: c.String("since"), Net: c.Bool("net"), JSON: c.Bool("json"),
				Follow: c.Bool("f"), Now: time.Now(), Zone: time.Local}
			if o.Follow {
				tick := time.NewTicker(250 * time.Millisecond)
				defer tick.Stop()
				o.Tick = tick.C
			}
			return runLog(c.Context, o, a.out)
		},
	}
}
