package trial

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// ReportVersion is the version of the report's JSON form.
const ReportVersion = 1

// Report is the result of a trial for a person, or another program. Strangers' text in
// it is visible and bounded.
type Report struct {
	Version int       `json:"version"`
	Mcpen   string    `json:"mcpen"`
	Time    time.Time `json:"time"`
	Seconds float64   `json:"seconds"`

	Subject Subject  `json:"subject"`
	Install *Install `json:"install,omitempty"` // if it failed: then nothing of the package ran
	Verdict struct {
		Level   Level    `json:"level"`
		Reasons []Reason `json:"reasons"`
	} `json:"verdict"`
	Conversation Conversation `json:"conversation"`
	Hosts        []Host       `json:"hosts"`
	Names        []string     `json:"names"` // names that were looked up and not contacted
	Requests     []Request    `json:"requests"`
	Dialled      []Dial       `json:"dialled"`
	Decoys       []Touched    `json:"decoys"`
	Leaks        []Leak       `json:"leaks"`
	Files        []File       `json:"files"`
	Written      []Written    `json:"written"`
	Processes    []Process    `json:"processes"`
	Listens      []string     `json:"listens"`
	Signals      []string     `json:"signals"`
	Refused      []string     `json:"refused"` // system calls
	Start        struct {
		Seconds float64 `json:"seconds"` // until the first answer
		Memory  int64   `json:"memory"`  // bytes
		Stops   string  `json:"stops"`
		Exit    string  `json:"exit"`
		Words   string  `json:"words,omitempty"` // the end of its stderr
	} `json:"start"`
	Desk struct {
		User      string `json:"user"`
		Host      string `json:"host"`
		Home      string `json:"home"`
		Workspace string `json:"workspace"`
	} `json:"desk"`
	NotSeen []string       `json:"not_seen"`
	Over    map[string]int `json:"over,omitempty"` // number of events beyond the bounds, by kind
	Profile string         `json:"profile,omitempty"`
	Replay  string         `json:"replay,omitempty"` // the result of a replay with that profile
	// ProfileFile is where the profile was written.
	ProfileFile string `json:"-"`
}

// Conversation is the program's side of the conversation.
type Conversation struct {
	Opened    bool           `json:"opened"`
	Revision  string         `json:"revision,omitempty"`
	Server    string         `json:"server,omitempty"`
	Tools     []*Tool        `json:"tools"`
	Prompts   int            `json:"prompts"`
	Resources int            `json:"resources"`
	Findings  []Finding      `json:"findings"`
	Asked     map[string]int `json:"asked,omitempty"` // its requests to the client
}

// The uses of a host.
const (
	telemetry = "telemetry"
	chosen    = "the tool was told to"
	declared  = "declared"
)

// NewReport makes the report of a run.
func NewReport(mcpen string, s Subject, run *Run, cfg Config) *Report {
	run.mu.Lock()
	defer run.mu.Unlock()
	r := &Report{Version: ReportVersion, Mcpen: mcpen, Time: run.Started, Seconds: run.Took.Seconds(), Subject: s, Requests: run.requests, Leaks: run.leaks,
		Processes: run.processes, Signals: run.signals, Written: run.left.written, Over: run.over}
	d := run.desk
	r.Desk.User, r.Desk.Host, r.Desk.Home, r.Desk.Workspace = d.User, d.Host, d.Home, d.Workspace
	r.Conversation = Conversation{Opened: run.Opened, Revision: run.Revision, Server: run.Server, Tools: run.Tools, Prompts: run.Prompts, Resources: run.Resources, Findings: run.Findings, Asked: run.Asked}
	for _, t := range run.Tools {
		t.Name = visible(t.Name)
	}
	r.Start.Seconds, r.Start.Memory, r.Start.Stops, r.Start.Exit, r.Start.Words = run.OpenAfter.Seconds(), run.Memory, run.Stops, run.Exit, run.Words
	r.hosts(run)
	r.files(run)
	for _, k := range slices.Sorted(maps.Keys(run.dialled)) {
		r.Dialled = append(r.Dialled, run.dialled[k])
	}
	r.Listens = append(r.Listens, slices.Sorted(maps.Keys(run.listens))...)
	r.Refused = append(r.Refused, slices.Sorted(maps.Keys(run.refused))...)
	r.NotSeen = notSeen(cfg, run)
	r.judge(run)
	return r
}

// notSeen lists the things that this trial could not see.
func notSeen(cfg Config, run *Run) []string {
	var out []string
	if !cfg.Plan.Seccomp.Trace {
		out = append(out, "which files it opens and which programs it runs: this machine's system call filter cannot tell")
	}
	called := 0
	for _, t := range run.Tools {
		if t.Calls > 0 {
			called++
		}
	}
	if n := len(run.Tools) - called; n > 0 {
		out = append(out, "what "+plural(n, "tool")+" would do, not called (--call all)")
	}
	for _, h := range run.hosts {
		if h.Unseen != "" && len(out) < 8 {
			out = append(out, "what it says to "+place(*h)+": "+h.Unseen)
		}
	}
	if len(run.Tools) > 0 {
		out = append(out, fmt.Sprintf("what it does later than %v after the last call, or with your data", cfg.Watch))
	}
	return out
}

// telemetries are domains of services that count users and errors.
var telemetries = []string{"posthog.com", "sentry.io", "segment.io", "segment.com", "amplitude.com", "mixpanel.com", "google-analytics.com", "googletagmanager.com", "datadoghq.com", "statsig.com",
	"statsigapi.net", "rudderstack.com", "plausible.io", "applicationinsights.azure.com", "visualstudio.com", "heap.io", "heapanalytics.com", "bugsnag.com", "rollbar.com", "honeycomb.io",
	"scarf.sh", "umami.is", "countly.com", "pendo.io", "fullstory.com", "newrelic.com", "nr-data.net", "telemetry.nextjs.org", "logrocket.io", "june.so", "highlight.io", "axiom.co", "openpanel.dev",
	"agnost.ai", "bigbrain.me", "stats.comet.com", "events.mapbox.com", "bf.dynatrace.com", "events.data.microsoft.com", "chromeuxreport.googleapis.com"}

func (r *Report) hosts(run *Run) {
	connected := map[string]bool{}
	for _, k := range slices.Sorted(maps.Keys(run.hosts)) {
		h := *run.hosts[k]
		connected[h.Name] = true
		switch {
		case Telemetry(h.Name):
			h.Use = telemetry
		case h.Name == "www.example.com" || h.Name == "example.com":
			h.Use = chosen
		case names(r.Subject.Declared, place(h)):
			h.Use = declared
		}
		r.Hosts = append(r.Hosts, h)
	}
	slices.SortFunc(r.Hosts, func(a, b Host) int { return a.First.Compare(b.First) })
	for _, n := range slices.Sorted(maps.Keys(run.names)) {
		if !connected[n] && !run.sentTo(n) {
			r.Names = append(r.Names, visible(n))
		}
	}
}

// names reports whether a list of rules names a host.
func names(rules []string, at string) bool {
	for _, rule := range rules {
		if rule == at {
			return true
		}
		if suffix, ok := strings.CutPrefix(rule, "*."); ok && strings.HasSuffix(at, "."+suffix) {
			return true
		}
	}
	return false
}

// The owners of files.
const (
	OwnerDecoy     = "decoy"
	OwnerPackage   = "package"
	OwnerSystem    = "system"
	OwnerWorkspace = "workspace"
	OwnerHome      = "home"
	OwnerTemporary = "temporary"
)

func (r *Report) owner(p string, d *Desk) string {
	in := func(dir string) bool { return dir != "" && (p == dir || strings.HasPrefix(p, dir+"/")) }
	_, decoy := d.lures[p]
	switch {
	case decoy:
		return OwnerDecoy
	case in(r.Subject.Root):
		return OwnerPackage
	case in(d.Workspace):
		return OwnerWorkspace
	case in(d.Home):
		return OwnerHome
	case in("/tmp"), in("/dev/shm"), in("/var/tmp"):
		return OwnerTemporary
	}
	return OwnerSystem
}

// files merges the opened files, and finds the decoys among them.
func (r *Report) files(run *Run) {
	d := run.desk
	seen := map[string]bool{}
	for _, k := range slices.Sorted(maps.Keys(run.files)) {
		f := *run.files[k]
		f.Owner = r.owner(f.Path, d)
		if l, ok := d.lures[f.Path]; ok && !f.Missing && run.left.touched[f.Path] != "changed" {
			seen[f.Path] = true
			r.touch(f.Path, "read", f.When, f.Program, l)
		}
		if f.Owner != OwnerSystem && f.Owner != OwnerPackage || f.Write {
			r.Files = append(r.Files, f)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(run.left.touched)) {
		if how := run.left.touched[p]; !seen[p] {
			f := run.files["w"+p]
			if f == nil {
				f = &File{}
			}
			r.touch(p, how, f.When, f.Program, d.lures[p])
		}
	}
	slices.SortStableFunc(r.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
}

func (r *Report) touch(p, how, when, program string, l lure) {
	t := Touched{Path: p, What: l.what, How: how, When: when, Program: program, Quiet: l.quiet && (len(l.tools) == 0 || r.depends(l.tools) != "")}
	if how == "read" {
		if t.Expected = r.depends(l.tools); t.Expected == "" && slices.ContainsFunc(l.tools, func(tool string) bool { return strings.HasPrefix(path.Base(program), tool) }) {
			t.Expected = program
		}
	}
	for _, have := range r.Decoys {
		if have.Path == p && have.How == how {
			return
		}
	}
	r.Decoys = append(r.Decoys, t)
}

// WriteJSON writes the report as JSON, in a versioned form.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Telemetry reports whether a host is known to count users or to collect errors.
func Telemetry(name string) bool {
	return strings.HasPrefix(name, "telemetry.") || slices.ContainsFunc(telemetries, func(t string) bool { return name == t || strings.HasSuffix(name, "."+t) })
}
