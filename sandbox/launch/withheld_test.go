package launch

import (
	"strings"
	"testing"

	"mcpen/sandbox/audit"
)

// A person whose server asks for a variable that is set finds that it was kept from it,
// once, and never reads a value.
func TestWithheldVariablesAreSaid(t *testing.T) {
	var log []audit.Event
	w := newWithheld([]string{"NOTES_API_KEY", "OTHER_KEY"}, "notes", func(e audit.Event) error { log = append(log, e); return nil })
	for _, e := range []audit.Event{
		{Kind: audit.KindStderr, Session: "s", Server: "notes", Subject: "MY_NOTES_API_KEY and NOTES_API_KEYS are others, notes_api_key too"},
		{Kind: audit.KindStdout, Session: "s", Server: "notes", Subject: "NOTES_API_KEY on stdout"},
		{Kind: audit.KindStderr, Session: "s", Server: "notes", Subject: "Error: NOTES_API_KEY is missing"},
		{Kind: audit.KindStderr, Session: "s", Server: "notes", Subject: "set $NOTES_API_KEY"},
	} {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	var said []audit.Event
	for _, e := range log {
		if e.Kind == audit.KindVariable {
			said = append(said, e)
		}
	}
	if len(log) != 5 || len(said) != 1 || said[0].Subject != "NOTES_API_KEY" || said[0].Session != "s" || said[0].Verdict != audit.Refused || said[0].Hint != "mcpen allow notes env:NOTES_API_KEY" {
		t.Errorf("the log has %+v", log)
	}
	var out strings.Builder
	w.tell(&out)
	if want := "mcpen: notes: refused variable NOTES_API_KEY: the server names it, and it is set outside, but not passed on; to allow it: mcpen allow notes env:NOTES_API_KEY\n"; out.String() != want {
		t.Errorf("the person reads %q, want %q", out.String(), want)
	}
}
