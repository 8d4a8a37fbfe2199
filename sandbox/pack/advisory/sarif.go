package advisory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"mcpen/sandbox/audit"
)

// WriteText writes findings for people, one paragraph each.
func WriteText(w io.Writer, found []Finding) error {
	var b strings.Builder
	for _, f := range found {
		mark := "vulnerable"
		if f.Malicious {
			mark = "MALICIOUS"
		}
		fmt.Fprintf(&b, "%s: %s:%s %s: %s", mark, f.Ecosystem, audit.Visible(f.Package), audit.Visible(f.Version), audit.Visible(f.ID))
		if len(f.Aliases) > 0 {
			fmt.Fprintf(&b, " (%s)", audit.Visible(strings.Join(f.Aliases, ", ")))
		}
		if f.Severity != "" {
			fmt.Fprintf(&b, ", %s", f.Severity)
		}
		fmt.Fprintf(&b, "\n  %s\n", audit.Visible(f.Summary))
		if len(f.Fixed) > 0 {
			fmt.Fprintf(&b, "  fixed in %s\n", audit.Visible(strings.Join(f.Fixed, ", ")))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJSON writes findings as a JSON array, which is empty for none.
func WriteJSON(w io.Writer, found []Finding) error {
	if found == nil {
		found = []Finding{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(found)
}

// sarifText is SARIF's message object.
type sarifText struct {
	Text string `json:"text"`
}

type sarifRule struct {
	ID         string         `json:"id"`
	Short      sarifText      `json:"shortDescription"`
	Properties map[string]any `json:"properties,omitempty"`
}

type sarifLocation struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region struct {
			Line int `json:"startLine"`
		} `json:"region"`
	} `json:"physicalLocation"`
}

type sarifResult struct {
	RuleID    string            `json:"ruleId"`
	RuleIndex int               `json:"ruleIndex"`
	Level     string            `json:"level"`
	Message   sarifText         `json:"message"`
	Locations []sarifLocation   `json:"locations"`
	Prints    map[string]string `json:"partialFingerprints"`
}

// WriteSARIF writes findings as a SARIF 2.1.0 log whose places are lines of the lock.
// lockURI is the lock's address (FileURI); text is the lock's content and version is
// mcpen's. WriteSARIF makes strangers' text visible.
func WriteSARIF(w io.Writer, found []Finding, lockURI string, text []byte, version string) error {
	rules, results := []sarifRule{}, []sarifResult{}
	index := map[string]int{}
	for _, f := range found {
		if _, ok := index[f.ID]; !ok {
			index[f.ID] = len(rules)
			rule := sarifRule{ID: audit.Visible(f.ID), Short: sarifText{audit.Visible(f.Summary)}, Properties: map[string]any{"tags": []string{"security"}}}
			if f.Summary == "" {
				rule.Short.Text = rule.ID
			}
			if f.Score > 0 {
				rule.Properties["security-severity"] = fmt.Sprintf("%.1f", f.Score)
			}
			rules = append(rules, rule)
		}
		r := sarifResult{RuleID: rules[index[f.ID]].ID, RuleIndex: index[f.ID], Level: f.level(), Prints: map[string]string{"advisory/v1": audit.Visible(f.ID + "|" + f.Path + "|" + f.Version)}}
		r.Message.Text = fmt.Sprintf("%s:%s %s: %s", f.Ecosystem, f.Package, f.Version, f.Summary)
		if len(f.Fixed) > 0 {
			r.Message.Text += "; fixed in " + strings.Join(f.Fixed, ", ")
		}
		r.Message.Text = audit.Visible(r.Message.Text)
		var at sarifLocation
		at.Physical.Artifact.URI = lockURI
		at.Physical.Region.Line = lineOf(text, f.Path)
		r.Locations = []sarifLocation{at}
		results = append(results, r)
	}
	driver := map[string]any{"name": "mcpen", "version": version, "rules": rules}
	log := map[string]any{"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
		"runs": []any{map[string]any{"tool": map[string]any{"driver": driver}, "results": results}}}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(log)
}

// level is SARIF's word for a severity. One that nobody rated is a warning.
func (f Finding) level() string {
	switch {
	case f.Malicious || f.Severity == "critical" || f.Severity == "high":
		return "error"
	case f.Severity == "low":
		return "note"
	}
	return "warning"
}

// FileURI is the address of a file in a SARIF log: relative to a directory that it
// is in, which for a reader is the repository's root, and else absolute.
func FileURI(file, dir string) string {
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	if rel, err := filepath.Rel(dir, file); dir != "" && err == nil && filepath.IsLocal(rel) {
		return (&url.URL{Path: filepath.ToSlash(rel)}).String()
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(file)}).String()
}

// lineOf is the line of a lock in which a dependency's path stands; 1 if none.
func lineOf(text []byte, path string) int {
	i := bytes.Index(text, fmt.Appendf(nil, "\npath = %q\n", path))
	return bytes.Count(text[:max(i, -1)+1], []byte("\n")) + 1
}
