package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/audit"
)

var logNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// newLog writes a log of two servers: one looked up a name an hour ago, the
// other called a tool a minute ago, with an escape sequence in its name.
func newLog(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	for server, e := range map[string]audit.Event{
		"a": {Time: logNow.Add(-time.Hour), Kind: audit.KindName, Verdict: audit.Refused, Subject: "evil.example"},
		"b": {Time: logNow.Add(-time.Minute), Kind: audit.KindTool, Verdict: audit.Allowed, Subject: "t\x1b[2J"},
	} {
		l, err := audit.Open(dir, audit.Options{Server: server})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(l.Write(e), l.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLogShows(t *testing.T) {
	dir := newLog(t)
	const a, b = "2026-11-22 11:00:00.000 a refused name evil.example\n", "2026-11-22 11:59:00.000 b allowed tool t\\x1b[2J\n"
	for name, c := range map[string]struct {
		options logOptions
		want    string
	}{
		"everything":   {logOptions{}, a + b},
		"one server":   {logOptions{Server: "b"}, b},
		"the network":  {logOptions{Net: true}, a},
		"since":        {logOptions{Since: "10m"}, b},
		"another zone": {logOptions{Server: "a", Zone: time.FixedZone("", 3600)}, strings.Replace(a, "11:00", "12:00", 1)},
		"JSON": {logOptions{Server: "b", JSON: true},
			`{"time":"2026-11-22T11:59:00Z","session":"","server":"b","kind":"tool","verdict":"allowed","subject":"t\u001b[2J"}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			c.options.Dir, c.options.Now = dir, logNow
			if err := runLog(t.Context(), c.options, &out); err != nil || out.String() != c.want {
				t.Errorf("got %q, %v\nwant %q", out.String(), err, c.want)
			}
		})
	}
}

func TestLogTellsWhatItLeftOut(t *testing.T) {
	dir := newLog(t)
	f, err := os.OpenFile(filepath.Join(dir, "a.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	io.WriteString(f, "not an event\n")
	var out strings.Builder
	err = runLog(t.Context(), logOptions{Dir: dir, Now: logNow}, &out)
	var note noteError
	if !errors.As(err, &note) || !strings.HasPrefix(err.Error(), "1 lines") || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("error %v, output %q", err, out.String())
	}
	if err := runLog(t.Context(), logOptions{Dir: dir + "/none"}, io.Discard); err == nil || errors.As(err, &note) {
		t.Errorf("no log: %v", err)
	}
}

func TestLogFollows(t *testing.T) {
	dir := newLog(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	tick, done := make(chan time.Time), make(chan error)
	go func() {
		done <- runLog(ctx, logOptions{Dir: dir, Now: logNow, JSON: true, Follow: true, Tick: tick}, w)
	}()
	lines := bufio.NewScanner(r)
	want := func(subject string) {
		t.Helper()
		var e audit.Event
		if !lines.Scan() || json.Unmarshal(lines.Bytes(), &e) != nil || e.Subject != subject {
			t.Fatalf("got %q, want %q", lines.Text(), subject)
		}
	}
	want("evil.example")
	want("t\x1b[2J")
	l, err := audit.Open(dir, audit.Options{Server: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Write(audit.Event{Kind: audit.KindName, Subject: "later"}); err != nil {
		t.Fatal(err)
	}
	go func() { // it may have been seen without a tick
		select {
		case tick <- time.Time{}:
		case <-ctx.Done():
		}
	}()
	want("later")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestParseSince(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	for in, want := range map[string]string{
		"90m":                  "2026-11-22T12:30:00+02:00",
		"13:30":                "2026-11-22T13:30:00+02:00",
		"2026-11-20":           "2026-11-20T00:00:00+02:00",
		"2026-11-20 15:04":     "2026-11-20T15:04:00+02:00",
		"2026-11-20T15:04:05Z": "2026-11-20T17:04:05+02:00",
		"yesterday":            "",
		"-5m":                  "",
	} {
		got, err := audit.ParseSince(in, logNow, zone)
		if (err != nil) != (want == "") || err == nil && got.In(zone).Format(time.RFC3339) != want {
			t.Errorf("ParseSince(%q) = %v, %v, want %q", in, got.In(zone), err, want)
		}
	}
}
