package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
)

func TestDoctorLines(t *testing.T) {
	checks := []host.Check{
		{ID: "a", Name: "first", State: host.OK, Detail: "all of it"},
		{ID: "b", Name: "the second", State: host.Missing, Detail: "odd\x1b[31m name", Consequence: "nothing starts", Fix: []string{"sudo tee x <<'EOF'", "  text", "EOF"}},
		{ID: "c", Name: "third", State: host.Untold},
	}
	var out bytes.Buffer
	if err := writeChecks(&out, checks); err != nil {
		t.Fatal(err)
	}
	want := `ok       first       all of it
missing  the second  odd\x1b[31m name
         nothing starts

sudo tee x <<'EOF'
  text
EOF

unknown  third
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

// A script in front of a client asks doctor whether servers can run at all.
func TestDoctorFailsWhereRunWouldRefuse(t *testing.T) {
	ctx := context.Background()
	var out bytes.Buffer
	if err := runDoctor(ctx, doctorOptions{JSON: true, Recipe: func(context.Context) (string, error) { return "", nil }}, &out); err != nil {
		t.Fatalf("on a machine where it works: %v\n%s", err, out.String())
	}
	var checks []host.Check
	if err := json.Unmarshal(out.Bytes(), &checks); err != nil || len(checks) < 10 {
		t.Fatalf("%d checks, %v", len(checks), err)
	}
	out.Reset()
	err := runDoctor(ctx, doctorOptions{Recipe: func(context.Context) (string, error) { return "", errors.New("cannot mount proc") }}, &out)
	var coded *launch.Error
	if !errors.As(err, &coded) || coded.Code != exitSandbox || coded.Hint == "" {
		t.Errorf("%#v", err)
	}
	if !strings.Contains(out.String(), "cannot mount proc") {
		t.Errorf("the reason is not there:\n%s", out.String())
	}
}

func TestDoctorEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out bytes.Buffer
	if err := runDoctor(ctx, doctorOptions{}, &out); !errors.Is(err, context.Canceled) || out.Len() > 0 {
		t.Errorf("%v, %q", err, out.String())
	}
}
