package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// cost is the cost of connections for all processes that take part: the client, the
// peer and everything in between.
type cost struct {
	cpu      time.Duration
	switches int64 // of contexts
}

// spent is the cost of this process, which is the peer, and its ended descendants.
func spent() (c cost, err error) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			return c, err
		}
		c.cpu += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		c.switches += u.Nvcsw + u.Nivcsw
	}
	return c, nil
}

// costs prints the cost of a connection by each way. Other work on the machine only adds
// to it, and adds less than to the time: so the least counts.
func costs(runs []*way, dir string, rounds int) {
	const what = "connect, processor time"
	took := make([][]cost, len(runs))
	for range rounds {
		for i, w := range runs {
			if w.broken != nil {
				continue
			}
			var c cost
			if c, w.broken = w.cost(dir); w.broken == nil {
				took[i] = append(took[i], c)
			}
		}
	}
	for i, w := range runs {
		if w.broken != nil {
			fmt.Printf("%-24s %-13s not measured: %v\n", what, w.name, w.broken)
			continue
		}
		least := slices.MinFunc(took[i], func(a, b cost) int { return cmp.Compare(a.cpu, b.cpu) })
		fmt.Printf("%-24s %-13s %10v   %6d switches of contexts\n", what, w.name, least.cpu.Round(100*time.Nanosecond), least.switches)
	}
}

// cost is that of one connection: of many without that of a start, which is measured
// with few.
func (w *way) cost(dir string) (cost, error) {
	const few, many = 20, 2020
	var at [3]cost
	for i, n := range []int{0, few, many} {
		if n > 0 {
			if err := w.run(strconv.Itoa(n), filepath.Join(dir, "results", w.name)); err != nil {
				return cost{}, err
			}
		}
		var err error
		if at[i], err = spent(); err != nil {
			return cost{}, err
		}
	}
	return cost{
		cpu:      (at[2].cpu - 2*at[1].cpu + at[0].cpu) / (many - few),
		switches: (at[2].switches - 2*at[1].switches + at[0].switches) / (many - few),
	}, nil
}
