package policy

import (
	"reflect"
	"testing"
)

// A list that is fetched for a review shows all that models would see: any guard in
// between would hide from the reviewer what it is about. Nothing else changes.
func TestUnguardedHidesNothing(t *testing.T) {
	full := Closed("demo")
	full.Tools.Filter.Allow, full.Tools.Filter.Deny = []Glob{{Pattern: "a"}}, []Glob{{Pattern: "b"}}
	full.Tools.Rules = []ToolRule{{Tool: "a", PerMinute: 1}}
	full.Prompts.Deny, full.Resources.Allow = []Glob{{Pattern: "*"}}, []Glob{{Pattern: "x"}}
	got := full.Unguarded()
	if want := (Tools{Pins: PinOff, Findings: FindingWarn, Results: TextPass}); !reflect.DeepEqual(got.Tools, want) {
		t.Errorf("tools: %+v", got.Tools)
	}
	if !reflect.DeepEqual(got.Prompts, Filter{}) || !reflect.DeepEqual(got.Resources, Filter{}) || !reflect.DeepEqual(got.Client, Client{}) {
		t.Errorf("prompts %+v, resources %+v, client %+v", got.Prompts, got.Resources, got.Client)
	}
	got.Tools, got.Prompts, got.Resources, got.Client = full.Tools, full.Prompts, full.Resources, full.Client
	if !reflect.DeepEqual(got, full) {
		t.Errorf("%+v, was %+v", got, full)
	}
}
