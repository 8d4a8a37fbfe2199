package advisory

import (
	"bytes"
	"strings"
	"testing"

	"mcpen/sandbox/pack/packtest"
)

const sarifSchema = "testdata/sarif-schema-2.1.0.json"

// A code host takes in no log that its schema refuses, and shows no result whose
// place is no file of the repository.
func TestSARIFMeetsItsSchema(t *testing.T) {
	bad := "\x1b]0;x\x07\u202e \"<>\n"
	for name, found := range map[string][]Finding{
		"none": nil,
		"some": {
			{ID: "MAL-1", Summary: "steals", Malicious: true, Ecosystem: "npm", Package: "left", Version: "1.0.0", Path: "node_modules/left"},
			{ID: "GHSA-1", Aliases: []string{"CVE-1"}, Severity: "moderate", Score: 5.3, Ecosystem: "npm", Package: "@a/b", Version: "1.0.0", Path: "node_modules/@a/b", Fixed: []string{"1.0.1"}},
			{ID: "GHSA-1", Severity: "moderate", Score: 5.3, Ecosystem: "npm", Package: "@a/b", Version: "2.0.0", Path: "node_modules/c/node_modules/@a/b"},
			{ID: "X" + bad, Summary: "s" + bad, Ecosystem: "pypi", Package: "p" + bad, Version: "1" + bad, Path: "p"},
			{ID: "", Summary: "", Ecosystem: "pypi", Package: "q", Version: "1", Path: "q"},
		},
	} {
		for _, place := range []string{FileURI("/r/a b#/ü%.lock", "/r"), FileURI("/elsewhere/x y.lock", "/r"), FileURI("a:b.lock", "/r")} {
			var log bytes.Buffer
			if err := WriteSARIF(&log, found, place, []byte("lock = 2\n"), "1.0"); err != nil {
				t.Fatal(err)
			}
			packtest.WantSARIF(t, sarifSchema, log.Bytes())
			// The schema can fail: it refuses the same log with a forbidden value.
			for was, is := range map[string]string{`"version": "2.1.0"`: `"version": "2.0.0"`, `"results": [`: `"result": [`, `"level": "error"`: `"level": "high"`, `"startLine": 1`: `"startLine": 0`} {
				if spoilt := strings.ReplaceAll(log.String(), was, is); spoilt != log.String() && packtest.SARIF(sarifSchema, []byte(spoilt)) == nil {
					t.Errorf("%s: a log with %s meets the schema", name, is)
				}
			}
		}
	}
}
