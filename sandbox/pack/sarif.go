package pack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// WriteText writes findings for people, one paragraph each.
func WriteText(w io.Writer, found []Finding) error {
	var b strings.Builder
	for _, f := range found {
		mark := "vulnerable"
		if f.Malicious {
			mark = "MALICIOUS"
		}
		fmt.Fprintf(&b, "%s: %s:%s %s: %s", mark, f.Ecosystem, f.Package, f.Version, f.ID)
		if len(f.Aliases) > 0 {
			fmt.Fprintf(&b, " (%s)", strings.Join(f.Aliases, ", "))
		}
		if f.Severity != "" {
			fmt.Fprintf(&b, ", %s", f.Severity)
		}
		fmt.Fprintf(&b, "\n  %s\n", f.Summary)
		if len(f.Fixed) > 0 {
			fmt.Fprintf(&b, "  fixed in %s\n", strings.Join(f.Fixed, ", "))
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

// WriteSARIF writes findings as a SARIF 2.1.0 log whose places are lines of the
// lock. lockURI is how the log names the lock file, relative to the repository;
// text is its content and version that of mcpen.
func WriteSARIF(w io.Writer, found []Finding, lockURI string, text []byte, version string) error {
	rules, results := []sarifRule{}, []sarifResult{}
	index := map[string]int{}
	for _, f := range found {
		if _, ok := index[f.ID]; !ok {
			index[f.ID] = len(rules)
			rule := sarifRule{ID: f.ID, Short: sarifText{f.Summary}, Properties: map[string]any{"tags": []string{"security"}}}
			if f.Summary == "" {
				rule.Short.Text = f.ID
			}
			rules = append(rules, rule)
		}
		r := sarifResult{RuleID: f.ID, RuleIndex: index[f.ID], Level: "warning", Prints: map[string]string{"advisory/v1": f.ID + "|" + f.Path + "|" + f.Version}}
		if f.Malicious || f.Severity == "critical" || f.Severity == "high" {
			r.Level = "error"
		}
		r.Message.Text = fmt.Sprintf("%s:%s %s: %s", f.Ecosystem, f.Package, f.Version, f.Summary)
		if len(f.Fixed) > 0 {
			r.Message.Text += "; fixed in " + strings.Join(f.Fixed, ", ")
		}
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

// lineOf is the line of a lock in which a dependency's path stands; 1 if none.
func lineOf(text []byte, path string) int {
	i := bytes.Index(text, fmt.Appendf(nil, "\npath = %q\n", path))
	return bytes.Count(text[:max(i, -1)+1], []byte("\n")) + 1
}
