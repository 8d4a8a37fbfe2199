package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
	return f.Severity == finding.Hold.String() && level != "malicious" && slices.Index(levels, level) <= slices.Index(levels, "high")
}

// scanDescriptions starts servers, one after the other, and writes the findings in
// their texts. It reports a server that it cannot ask, and asks the others all the
// same. Without names it asks the servers that have a lock.
func (a *app) scanDescriptions(ctx context.Context, at user.Dirs, names []string, params map[string][]string, level string, docs *documents) (counted, failed int, err error) {
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
		if err := docs.addDescriptions(d, found); err != nil {
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

// withLock are those of the words whose server has a lock.
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

// documents gathers the documents about each server, and makes one of them.
type documents struct {
	format string
	parts  []*part
}

// part is a document about one server.
type part struct {
	category string // such as advisories/github, for a reader of SARIF that keeps them apart
	bytes.Buffer
}

// add begins the next document.
func (d *documents) add(category string) io.Writer {
	p := &part{category: category}
	d.parts = append(d.parts, p)
	return p
}

func (d *documents) addDescriptions(about interview.Described, found []interview.Finding) error {
	w := d.add("descriptions/" + about.Server)
	switch d.format {
	case "json":
		return json.NewEncoder(w).Encode(found)
	case "sarif":
		return json.NewEncoder(w).Encode(sarifLog{Runs: []map[string]any{sarifRun(about, found)}})
	}
	for _, f := range found {
		if _, err := io.WriteString(w, f.Text()); err != nil {
			return err
		}
	}
	return nil
}

// sarifLog is a log in SARIF 2.1.0.
type sarifLog struct {
	Schema  string           `json:"$schema"`
	Version string           `json:"version"`
	Runs    []map[string]any `json:"runs"`
}

// sarifRun holds the findings in one server's texts. Its place is the file that names
// the server.
func sarifRun(about interview.Described, found []interview.Finding) map[string]any {
	dir, _ := os.Getwd() // where it is gone, addresses are absolute
	uri := advisory.FileURI(about.File, dir)
	rules, results := []any{}, []any{}
	index := map[finding.Kind]int{}
	message := func(text string) map[string]string { return map[string]string{"text": text} }
	for _, f := range found {
		id := "description/" + string(f.Finding)
		if _, ok := index[f.Finding]; !ok {
			index[f.Finding] = len(rules)
			rules = append(rules, map[string]any{"id": id, "shortDescription": message("words for the model in what a server says: " + string(f.Finding)),
				"properties": map[string]any{"tags": []string{"security"}}})
		}
		level := "note"
		if f.Severity == finding.Hold.String() {
			level = "error"
		}
		results = append(results, map[string]any{"ruleId": id, "ruleIndex": index[f.Finding], "level": level, "message": message(strings.TrimSpace(f.Text())),
			"locations": []any{map[string]any{"physicalLocation": map[string]any{
				"artifactLocation": map[string]string{"uri": uri}, "region": map[string]int{"startLine": 1}}}},
			"partialFingerprints": map[string]string{"description/v1": strings.Join([]string{f.Server, string(f.Kind), f.Name, string(f.Finding), f.Path}, "|")}})
	}
	return map[string]any{"tool": map[string]any{"driver": map[string]any{"name": "mcpen", "version": release, "rules": rules}}, "results": results}
}

// write writes everything as one document: a text, an array, or a log with a run
// for each part.
func (d *documents) write(w io.Writer) error {
	switch d.format {
	case "json":
		all := []json.RawMessage{}
		for _, p := range d.parts {
			var some []json.RawMessage
			if err := json.Unmarshal(p.Bytes(), &some); err != nil {
				return fmt.Errorf("internal error: cannot join findings: %w", err)
			}
			all = append(all, some...)
		}
		return encode(w, all)
	case "sarif":
		all := sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []map[string]any{}}
		for _, p := range d.parts {
			var one sarifLog
			if err := json.Unmarshal(p.Bytes(), &one); err != nil {
				return fmt.Errorf("internal error: cannot join findings: %w", err)
			}
			for _, run := range one.Runs {
				run["automationDetails"] = map[string]string{"id": p.category + "/"}
				all.Runs = append(all.Runs, run)
			}
		}
		return encode(w, all)
	}
	for _, p := range d.parts {
		if _, err := w.Write(p.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
