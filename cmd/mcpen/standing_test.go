package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mcpen/cmd/mcpen/document"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/interview"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/pack/advisory"
	"mcpen/sandbox/pack/packtest"
	"mcpen/sandbox/user"
)

// writeAdvisories writes an export with so many records, about nobody.
func writeAdvisories(t testing.TB, file string, records int) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for i := range records {
		w, err := z.Create(fmt.Sprintf("MAL-2026-%d.json", i))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(w, `{"id":"MAL-2026-%d","details":%q,"affected":[{"package":{"ecosystem":"npm","name":"pkg-%d"},"versions":["1.0.0"]}]}`, i, strings.Repeat("x", 600), i)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// The cost of a start with as many advisories as OSV has of npm.
func BenchmarkStandingWithAdvisories(b *testing.B) {
	at := user.Dirs{State: b.TempDir()}
	writeAdvisories(b, locked.Advisories(at), 200_000)
	locked.Standing{Lock: "l t", Database: locked.Stamp(locked.Advisories(at), time.Now())}.Keep(at, "x.lock")
	for b.Loop() {
		if s := locked.ReadStanding(at, "x.lock"); s.Database != locked.Stamp(locked.Advisories(at), time.Now()) {
			b.Fatal("it would be judged again")
		}
	}
}

// A code host accepts the one log of a scan, of packages and of servers' texts.
func TestScanWritesSARIF(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a b.lock")
	if err := os.WriteFile(file, []byte("lock = 2\n\npath = \"node_modules/left\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	docs := &document.Set{Format: "sarif", Version: release}
	found := []advisory.Finding{{ID: "GHSA-1", Summary: "bad", Severity: "low", Score: 2, Ecosystem: "npm", Package: "left", Version: "1.0.0", Path: "node_modules/left"}}
	for name, some := range map[string][]advisory.Finding{"a": found, "b": nil} {
		if err := writeFindings(docs.Add("advisories/"+name), "sarif", user.Dirs{Cwd: dir}, locked.Lock{Name: name, File: file}, some); err != nil {
			t.Fatal(err)
		}
	}
	about := interview.Described{Server: "a", File: filepath.Join(dir, "ü #.toml")}
	if err := docs.Descriptions(about, []interview.Finding{{Server: "a", Kind: definition.KindTool, Name: "t\x1b", Finding: "hidden", Severity: finding.Hold.String(), Words: "\u202e", Path: "/description", Why: "x"}}); err != nil {
		t.Fatal(err)
	}
	if err := docs.Descriptions(interview.Described{Server: "b", File: about.File}, nil); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if err := docs.Write(&log); err != nil {
		t.Fatal(err)
	}
	packtest.WantSARIF(t, "../../sandbox/pack/advisory/testdata/sarif-schema-2.1.0.json", log.Bytes())
	if !strings.Contains(log.String(), `"uri": "a%20b.lock"`) {
		t.Errorf("the lock's address is not one within the folder: %s", log.String())
	}
}
