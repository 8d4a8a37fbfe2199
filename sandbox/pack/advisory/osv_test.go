package advisory

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/pack"
)

func osvLock(e pack.Ecosystem, deps ...pack.Dependency) pack.Lock {
	l := pack.Lock{Form: pack.LockVersion, Package: string(e) + ":" + deps[0].PackageName(), Version: deps[0].Version, Locked: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	for i := range deps {
		if deps[i].Integrity == "" {
			deps[i].Integrity = "sha512-" + strings.Repeat("A", 86) + "=="
		}
	}
	l.Integrity, l.Dependencies = deps[0].Integrity, deps
	return l
}

func TestOSVRanges(t *testing.T) {
	for _, tc := range []struct {
		e       pack.Ecosystem
		version string
		affects string // the affected entry without its package
		want    bool
	}{
		{pack.NPM, "1.2.3", `"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.4"}]}]`, true},
		{pack.NPM, "1.2.4", `"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.4"}]}]`, false},
		{pack.NPM, "1.2.4-rc.1", `"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.4"}]}]`, true},
		{pack.NPM, "1.10.0", `"ranges":[{"type":"SEMVER","events":[{"introduced":"1.9.0"},{"fixed":"1.11.0"}]}]`, true},
		{pack.NPM, "2.0.0", `"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"last_affected":"2.0.0"}]}]`, true},
		{pack.NPM, "2.0.1", `"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"last_affected":"2.0.0"}]}]`, false},
		{pack.NPM, "1.5.0", `"ranges":[{"type":"SEMVER","events":[{"fixed":"2.1.0"},{"introduced":"2.0.0"},{"fixed":"1.4.0"},{"introduced":"1.0.0"}]}]`, false},
		{pack.NPM, "2.0.5", `"ranges":[{"type":"SEMVER","events":[{"fixed":"2.1.0"},{"introduced":"2.0.0"},{"fixed":"1.4.0"},{"introduced":"1.0.0"}]}]`, true},
		{pack.NPM, "1.0.0", `"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.0"},{"introduced":"1.0.0"},{"fixed":"2.0.0"}]}]`, true},
		{pack.NPM, "1.0.0", `"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"last_affected":"1.0.0"}]}]`, true},
		{pack.NPM, "1.0.0", `"versions":["1.0.0"]`, true},
		{pack.NPM, "1.0.1", `"versions":["1.0.0"]`, false},
		{pack.NPM, "1.0.1", `"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]`, false},
		{pack.NPM, "9.9.9", `"x":1`, true},
		{pack.PyPI, "1.0.post1", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.0"}]}]`, false},
		{pack.PyPI, "1.0rc1", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.0"}]}]`, true},
		{pack.PyPI, "1!0.5", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.0"}]}]`, false},
		{pack.PyPI, "1.0.0", `"versions":["1.0"]`, true},
	} {
		text := fmt.Sprintf(`{"id":"X-1","affected":[{"package":{"ecosystem":%q,"name":"a"},%s}]}`, ecosystemName(tc.e), tc.affects)
		var a record
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatal(err)
		}
		got, err := a.match(tc.e, map[string][]pack.Dependency{"a": {{Path: "a", Version: tc.version}}})
		if err != nil || (len(got) == 1) != tc.want {
			t.Errorf("%s %s in %s: %v, %v", tc.e, tc.version, tc.affects, got, err)
		}
	}
}

const advisories = `{"id":"GHSA-1","aliases":["CVE-1"],"summary":"bad\u001b[31m thing","database_specific":{"severity":"HIGH"},"affected":[{"package":{"ecosystem":"npm","name":"left"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.5.0"}]}]}]}
{"id":"MAL-2","summary":"steals","affected":[{"package":{"ecosystem":"npm","name":"@demo\/right"},"versions":["2.0.0"]}]}
{"id":"GHSA-3","withdrawn":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"left"},"versions":["1.0.0"]}]}
{"id":"GHSA-4","affected":[{"package":{"ecosystem":"PyPI","name":"left"},"versions":["1.0.0"]}]}
{"id":"GHSA-5","affected":[{"package":{"ecosystem":"npm","name":"elsewhere"},"versions":["1.0.0"]}]}`

func writeDB(t *testing.T) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	os.Mkdir(filepath.Join(dir, "npm"), 0o755)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, line := range strings.Split(advisories, "\n") {
		os.WriteFile(filepath.Join(dir, "npm", fmt.Sprintf("%d.json", i)), []byte(line), 0o600)
		w, _ := z.Create(fmt.Sprintf("%d.json", i))
		w.Write([]byte(line))
	}
	z.Close()
	file = filepath.Join(t.TempDir(), "all.zip")
	os.WriteFile(file, b.Bytes(), 0o600)
	return dir, file
}

func demoLock() pack.Lock {
	return osvLock(pack.NPM, pack.Dependency{Path: "node_modules/left", Version: "1.0.0"}, pack.Dependency{Path: "node_modules/@demo/right", Version: "2.0.0"},
		pack.Dependency{Path: "node_modules/@demo/right/node_modules/left", Version: "1.5.0"})
}

func TestFindAdvisories(t *testing.T) {
	dir, file := writeDB(t)
	l := demoLock()
	for _, db := range []string{dir, file} {
		all, unread, err := Find(db, []pack.Lock{l, osvLock(pack.PyPI, pack.Dependency{Path: "left", Version: "1.0.0"})})
		if err != nil || unread.Count != 0 || len(all) != 2 || len(all[0]) != 2 || len(all[1]) != 1 || all[1][0].ID != "GHSA-4" {
			t.Fatalf("%s: %+v, %v, %v", db, all, unread, err)
		}
		found := all[0]
		if f := found[0]; f.ID != "MAL-2" || !f.Malicious || f.Package != "@demo/right" {
			t.Errorf("first: %+v", f)
		}
		if f := found[1]; f.ID != "GHSA-1" || f.Severity != "high" || f.Fixed[0] != "1.5.0" || f.Path != "node_modules/left" || strings.Contains(f.Summary, "\x1b") {
			t.Errorf("second: %+v", f)
		}
	}
	// A database that is unreadable as a whole must not look like good news. Its
	// readable part counts.
	bad := map[string]string{"torn.json": `{"id":"GHSA-9","affected":[{"package":{"name":"left"`, "about-nobody.json": `{"id":`,
		"odd.json": `{"id":"GHSA-8","affected":[{"package":{"ecosystem":"npm","name":"left"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"soon"}]}]}]}`}
	for name, text := range bad {
		os.WriteFile(filepath.Join(dir, "npm", name), []byte(text), 0o600)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "npm", "fifo.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "npm", "zero.json")); err != nil {
		t.Fatal(err)
	}
	all, unread, err := Find(dir, []pack.Lock{l})
	if err != nil || unread.Count != 5 || len(all[0]) != 2 {
		t.Errorf("%+v, %v, %v", all, unread, err)
	}
	said := fmt.Sprint(unread.First)
	for _, name := range []string{"torn.json", "about-nobody.json", "odd.json", "fifo.json", "zero.json"} {
		if !strings.Contains(said, name) {
			t.Errorf("%s is not named: %s", name, said)
		}
	}
	if _, _, err := Find(t.TempDir(), []pack.Lock{l}); err == nil {
		t.Error("an empty database says that all is well")
	}
	if _, _, err := Find(filepath.Join(dir, "none"), []pack.Lock{l}); err == nil {
		t.Error("a missing database says that all is well")
	}
}

// The author of an advisory cannot write lines of their own or move the cursor. If an
// advisory has no word for its severity, a vector gives it.
func TestFindingsAreShownAsTheyAre(t *testing.T) {
	const bad = "\x1b]0;owned\x07\x1b[2K\r\nmcpen: left: ok\u202e"
	found := []Finding{{ID: "GHSA-1" + bad, Aliases: []string{"CVE-1" + bad}, Summary: "s" + bad, Ecosystem: "npm", Package: "left" + bad, Version: "1.0.0" + bad, Fixed: []string{"2" + bad}}}
	var text, log bytes.Buffer
	if err := errors.Join(WriteText(&text, found), WriteSARIF(&log, found, "x.lock", nil, "1")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{"\x1b", "\x07", "\r", "\u202e", "\nmcpen:"} {
		if strings.Contains(text.String(), c) {
			t.Errorf("the text has %q: %q", c, text.String())
		}
	}
	if s := log.String(); strings.Contains(s, `\u001b`) || strings.Contains(s, `\r`) || strings.Contains(s, "\u202e") {
		t.Errorf("the log has it: %s", s)
	}
	for vector, want := range map[string]string{"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H": "critical", "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N": "low",
		"CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H": "high", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N": "critical",
		"AV:N/AC:M/Au:N/C:P/I:N/A:N": "moderate", "CVSS:3.1/nonsense": "", "": ""} {
		a := record{Severity: []osvSeverity{{Score: vector}}}
		if word, _ := a.severity(); word != want {
			t.Errorf("%s is %q, want %q", vector, word, want)
		}
	}
	for file, want := range map[string]string{"/r/a b/x.lock": "a%20b/x.lock", "x.lock": "x.lock", "/other/#x.lock": "file:///other/%23x.lock", "../x.lock": "file:///x.lock"} {
		if got := FileURI(file, "/r"); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
}

func TestFindingsAsTextJSONAndSARIF(t *testing.T) {
	_, file := writeDB(t)
	l := demoLock()
	all, _, err := Find(file, []pack.Lock{l})
	if err != nil {
		t.Fatal(err)
	}
	found := all[0]
	var text, list, sarif bytes.Buffer
	if err := WriteText(&text, found); err != nil || !strings.Contains(text.String(), "MALICIOUS: npm:@demo/right 2.0.0: MAL-2") {
		t.Errorf("text %q, %v", text.String(), err)
	}
	var none bytes.Buffer
	if err := WriteJSON(&none, nil); err != nil || strings.TrimSpace(none.String()) != "[]" {
		t.Errorf("no findings: %q", none.String())
	}
	if err := WriteJSON(&list, found); err != nil || !json.Valid(list.Bytes()) {
		t.Error(err)
	}
	lockText, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteSARIF(&sarif, found, "profiles/demo.lock", lockText, "1.0.0"); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID    string
				RuleIndex int
				Level     string
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(sarif.Bytes(), &log); err != nil || log.Version != "2.1.0" || len(log.Runs) != 1 || len(log.Runs[0].Results) != 2 {
		t.Fatalf("sarif %s, %v", sarif.String(), err)
	}
	lines := strings.Split(string(lockText), "\n")
	for i, r := range log.Runs[0].Results {
		at := r.Locations[0].PhysicalLocation
		if r.Level != "error" || log.Runs[0].Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID || at.ArtifactLocation.URI != "profiles/demo.lock" {
			t.Errorf("result %+v", r)
		}
		if want := fmt.Sprintf("path = %q", found[i].Path); lines[at.Region.StartLine-1] != want {
			t.Errorf("line %d is %q, want %q", at.Region.StartLine, lines[at.Region.StartLine-1], want)
		}
	}
}

func TestOSVService(t *testing.T) {
	records := map[string]string{}
	for _, line := range strings.Split(advisories, "\n") {
		var a record
		json.Unmarshal([]byte(line), &a)
		records[a.ID] = line
	}
	pages := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, ok := strings.CutPrefix(r.URL.Path, "/v1/vulns/"); ok {
			fmt.Fprint(w, records[id])
			return
		}
		var q struct{ Queries []osvQuery }
		json.NewDecoder(r.Body).Decode(&q)
		var results []string
		for _, one := range q.Queries {
			switch {
			case one.Package.Name == "left" && one.Version == "1.0.0" && one.Page == "":
				pages++
				results = append(results, `{"vulns":[{"id":"GHSA-3"}],"next_page_token":"more"}`)
			case one.Package.Name == "left" && one.Page == "more":
				results = append(results, `{"vulns":[{"id":"GHSA-1"}]}`)
			case one.Package.Name == "@demo/right":
				results = append(results, `{"vulns":[{"id":"MAL-2"}]}`)
			default:
				results = append(results, `{}`)
			}
		}
		fmt.Fprintf(w, `{"results":[%s]}`, strings.Join(results, ","))
	}))
	defer srv.Close()
	found, err := Service{URL: srv.URL}.Find(context.Background(), demoLock())
	if err != nil || len(found) != 2 || found[0].ID != "MAL-2" || found[1].ID != "GHSA-1" || pages != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := (Service{}).Find(context.Background(), demoLock()); err == nil {
		t.Error("asked a service that nobody named")
	}
	for _, answer := range []string{"<html>", `{"results":[]}`, `{"results":[{"vulns":[{"id":"../x"}]},{},{}]}`} {
		bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, answer) }))
		if _, err := (Service{URL: bad.URL}).Find(context.Background(), demoLock()); err == nil {
			t.Errorf("%s passed for an answer", answer)
		}
		bad.Close()
	}
}

func BenchmarkFindAdvisories(b *testing.B) {
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for i := range 20_000 {
		w, _ := z.Create(fmt.Sprintf("%d.json", i))
		fmt.Fprintf(w, `{"id":"MAL-%d","details":%q,"affected":[{"package":{"ecosystem":"npm","name":"pkg%d"},"versions":["1.0.0"]}]}`, i, strings.Repeat("x", 1500), i)
	}
	z.Close()
	file := filepath.Join(b.TempDir(), "all.zip")
	os.WriteFile(file, buf.Bytes(), 0o600)
	start := time.Now()
	for b.Loop() {
		if _, _, err := Find(file, []pack.Lock{demoLock()}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(20_000*b.N)/time.Since(start).Seconds(), "records/s")
}
