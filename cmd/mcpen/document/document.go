// Package document writes the one document that a command answers a program with: JSON, or
// one text, JSON array or SARIF log made of those about several servers (Set).
package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"mcpen/sandbox/finding"
	"mcpen/sandbox/interview"
	"mcpen/sandbox/pack/advisory"
)

// Set gathers the documents about each server, and makes one of them.
type Set struct {
	Format  string
	Version string // of mcpen
	parts   []*part
}

// part is a document about one server.
type part struct {
	category string // such as advisories/github, for a reader of SARIF that keeps them apart
	bytes.Buffer
}

// Add begins the next document.
func (d *Set) Add(category string) io.Writer {
	p := &part{category: category}
	d.parts = append(d.parts, p)
	return p
}

// Len is how many documents there are.
func (d *Set) Len() int { return len(d.parts) }

// Descriptions adds the findings in one server's texts.
func (d *Set) Descriptions(about interview.Described, found []interview.Finding) error {
	w := d.Add("descriptions/" + about.Server)
	switch d.Format {
	case "json":
		return json.NewEncoder(w).Encode(found)
	case "sarif":
		return json.NewEncoder(w).Encode(sarifLog{Runs: []map[string]any{sarifRun(d.Version, about, found)}})
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
func sarifRun(version string, about interview.Described, found []interview.Finding) map[string]any {
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
	return map[string]any{"tool": map[string]any{"driver": map[string]any{"name": "mcpen", "version": version, "rules": rules}}, "results": results}
}

// Write writes everything as one document: a text, an array, or a log with a run
// for each part.
func (d *Set) Write(w io.Writer) error {
	switch d.Format {
	case "json":
		all := []json.RawMessage{}
		for _, p := range d.parts {
			var some []json.RawMessage
			if err := json.Unmarshal(p.Bytes(), &some); err != nil {
				return fmt.Errorf("internal error: cannot join findings: %w", err)
			}
			all = append(all, some...)
		}
		return WriteJSON(w, all)
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
		return WriteJSON(w, all)
	}
	for _, p := range d.parts {
		if _, err := w.Write(p.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON writes a value as indented JSON.
func WriteJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
