package interview

import (
	"fmt"
	"slices"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
)

// Finding is a passage of a server's texts that a person should read.
type Finding struct {
	Server   string          `json:"server"`
	Kind     definition.Kind `json:"kind"` // of the definition
	Name     string          `json:"name,omitempty"`
	Finding  finding.Kind    `json:"finding"`
	Severity string          `json:"severity"` // hold or note
	Words    string          `json:"words"`
	Path     string          `json:"path"`
	Why      string          `json:"why"`
}

// Inspect searches a server's texts. They may mention its own tools, also if another
// server has one of the same name.
func Inspect(d Described, others []finding.Other) []Finding {
	found := []Finding{}
	tools, names := d.Tools()
	strangers := make([]finding.Other, len(others))
	for i, o := range others {
		foreign := slices.DeleteFunc(slices.Clone(o.Tools), func(t string) bool { return slices.Contains(names, t) })
		strangers[i] = finding.Other{Server: o.Server, Tools: foreign}
	}
	for _, def := range d.Definitions {
		var all []finding.Finding
		switch def.Kind {
		case definition.KindTool:
			all = finding.ScanAmong(def.Kind, def.Raw, tools, others...)
		case definition.KindPrompt:
			all = finding.ScanAmong(def.Kind, def.Raw, tools, strangers...)
		default:
			all = finding.Scan(def.Kind, def.Raw, strangers...)
		}
		for _, f := range all {
			found = append(found, Finding{Server: d.Server, Kind: def.Kind, Name: def.Name, Finding: f.Kind,
				Severity: f.Severity.String(), Words: f.Words, Path: f.Path, Why: f.Why})
		}
	}
	return found
}

// Text is a finding for a person, on two lines.
func (f Finding) Text() string {
	what := string(f.Kind)
	if f.Name != "" {
		what += " " + audit.Visible(f.Name)
	}
	return fmt.Sprintf("%s: %s: %s: %s: %s\n  %s: %q\n", f.Severity, f.Server, what, f.Finding, audit.Visible(f.Why), audit.Visible(f.Path), audit.Visible(f.Words))
}
