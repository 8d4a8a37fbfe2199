package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/cmd/mcpen/document"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/interview"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack/advisory"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// countsAt reports whether a finding counts at a level: one that would hold a
// definition back counts as an advisory of the level high does. Honest servers
// have the others.
func countsAt(f interview.Finding, level string) bool {
	return f.Severity == finding.Hold.String() && level != "malicious" && slices.Index(advisory.Levels, level) <= slices.Index(advisory.Levels, "high")
}

// scanDescriptions starts servers, one after the other, and writes the findings in
// their texts. It reports a server that it cannot ask, and asks the others all the
// same. Without names it asks the servers that have a lock.
func (a *app) scanDescriptions(ctx context.Context, at user.Dirs, names []string, params map[string][]string, level string, docs *document.Set) (counted, failed int, err error) {
	if err := launch.HideDescriptors(); err != nil {
		return 0, 0, err
	}
	if len(names) == 0 {
		files, _ := filepath.Glob(filepath.Join(at.Config, "profiles", "*.lock")) // the pattern is good
		for _, f := range files {
			names = append(names, strings.TrimSuffix(filepath.Base(f), ".lock"))
		}
	}
	var all []interview.Described
	for _, name := range names {
		d, err := a.interviewNamed(ctx, at, name, params)
		if ctx.Err() != nil {
			return 0, 0, ctx.Err()
		}
		if err != nil {
			failed++
			a.Warn("%s: what it says was not looked at: %v", name, err)
			continue
		}
		all = append(all, d)
	}
	for _, d := range all {
		found := interview.Inspect(d, a.neighbours(at, d, all))
		fmt.Fprintf(a.Err, "mcpen: %s: %s looked through\n", d.Server, user.Count(len(d.Definitions), "definition"))
		for _, f := range found {
			if countsAt(f, level) {
				counted++
			}
		}
		if err := docs.Descriptions(d, found); err != nil {
			return 0, 0, err
		}
	}
	return counted, failed, nil
}

// interviewNamed asks a server by its name, by a path or by a reference. It asks a
// server with a lock and no profile as its package.
func (a *app) interviewNamed(ctx context.Context, at user.Dirs, word string, params map[string][]string) (interview.Described, error) {
	n, err := a.Named(at, word)
	if err != nil {
		return interview.Described{}, err
	}
	w, file := server.Words{Profile: n.Profile, Params: params}, ""
	l, err := locked.Read(n.Lock)
	if err == nil {
		file = n.Lock
	}
	if w.Profile == "" {
		w.Profile = cmp.Or(l.Package, word)
	}
	return interview.Ask(ctx, &a.Caller, release, w, file)
}

// withLock returns the words whose server has a lock.
func (a *app) withLock(at user.Dirs, words []string) ([]string, error) {
	var out []string
	for _, w := range words {
		n, err := a.Named(at, w)
		if err != nil {
			return nil, err
		}
		if wholefile.Exists(n.Lock) {
			out = append(out, w)
		}
	}
	return out, nil
}

// neighbours are a client's other servers: their definitions as seen in runs, and their
// present ones.
func (a *app) neighbours(at user.Dirs, self interview.Described, all []interview.Described) []finding.Other {
	var out []finding.Other
	for _, d := range all {
		if _, names := d.Tools(); d.Server != self.Server && len(names) > 0 {
			out = append(out, finding.Other{Server: d.Server, Tools: names})
		}
	}
	for _, o := range launch.Others(at.Config, at.State, self.Server) {
		if !slices.ContainsFunc(out, func(have finding.Other) bool { return have.Server == o.Server }) {
			out = append(out, o)
		}
	}
	return out
}
