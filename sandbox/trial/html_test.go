package trial

import (
	"strings"
	"testing"
)

// A page on which one request stands thirty times, or the theft looks like the rest, is
// read by nobody.
func TestPageFoldsAndMarks(t *testing.T) {
	r := &Report{}
	r.Requests = []Request{{When: "in tool look", Method: "POST", URL: "https://a.example/in", Body: "x"}, {When: "in tool look", Method: "POST", URL: "https://a.example/in", Body: "x"}, {When: "in tool look", Method: "POST", URL: "https://a.example/in", Body: "another"}}
	r.Decoys = []Touched{{Path: "/home/w/.aws/credentials", What: "AWS keys", How: "read", When: "in tool look"}, {Path: "/home/w/.netrc", What: "passwords", How: "read", When: "in tool look", Quiet: true}}
	var b strings.Builder
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for words, n := range map[string]int{"<summary><code>POST https://a.example/in": 2, "in tool look, 2 times</span></summary>": 1, `POST https://a.example/in <span class="dim">(3 times)</span></li>`: 1,
		`<li class="grave">read /home/w/.aws/credentials`: 1, `<li class="grave">`: 1, "<li>read /home/w/.netrc": 1, "<h2>What it says": 1, "<h2>What its install did": 0} {
		if got := strings.Count(page, words); got != n {
			t.Errorf("%q is there %d times, want %d", words, got, n)
		}
	}
}

// Strangers' words in the report of an install that failed stay text, and are few.
func TestNotInstalled(t *testing.T) {
	r := NotInstalled("v", Subject{Name: "npm:x", Scripts: []string{"x"}}, Install{Failed: "npm failed: \x1b[2J<b>", Words: strings.Repeat("a line\n", 500) + "the <i>last</i>\u202e\n", Refused: []string{"evil.example:443"}})
	var page, screen strings.Builder
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteText(&screen, nil, "more"); err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Level != Amber || strings.Count(r.Install.Words, "\n") >= maxWords || strings.ContainsAny(page.String()+screen.String(), "\x1b\u202e") || strings.Contains(page.String(), "<i>last") || strings.Contains(page.String(), "What it says") || strings.Contains(page.String(), "not real") {
		t.Errorf("%+v\n%s", r, page.String())
	}
	for _, words := range []string{"! it did not install: npm failed: ", "evil.example:443, refused", "install scripts, which did not run: x", "the <i>last</i>", "not seen  what it does: nothing of it ran"} {
		if !strings.Contains(screen.String(), words) {
			t.Errorf("%q is not in\n%s", words, screen.String())
		}
	}
	if lines := strings.Split(strings.TrimSuffix(screen.String(), "\n"), "\n"); len(lines) > screenLines {
		t.Errorf("%d lines", len(lines))
	}
}
