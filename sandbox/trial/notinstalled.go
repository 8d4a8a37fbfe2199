package trial

import (
	"fmt"
	"strings"
	"time"
)

// Install is the install of a package that failed. No code of the package ran in it, but
// that of a build which a profile allows.
type Install struct {
	Failed   string   `json:"failed"`            // why
	Hostile  bool     `json:"hostile,omitempty"` // an archive would write outside of its package
	Words    string   `json:"words,omitempty"`   // the installer's last
	Asked    []string `json:"asked"`             // the first packages that it looked up at the registry
	Archives int      `json:"archives"`          // that it fetched
	Bytes    int64    `json:"bytes"`             // of them
	Refused  []string `json:"refused,omitempty"` // what it reached for beside the registry, and was refused
}

// Bounds of an installer's words, and of the packages that a report names.
const (
	maxWords = 24 // lines
	maxNames = 64
)

// NotInstalled makes the report of a package that did not install.
func NotInstalled(mcpen string, s Subject, in Install) *Report {
	r := &Report{Version: ReportVersion, Mcpen: mcpen, Time: time.Now(), Subject: s, Install: &in}
	in.Failed = visible(in.Failed)
	in.Words = lastLines(in.Words)
	in.Asked = append([]string{}, in.Asked[:min(len(in.Asked), maxNames)]...)
	for i, name := range in.Asked {
		in.Asked[i] = visible(name)
	}
	switch {
	case in.Hostile:
		r.because(Red, "hostile-archive", "", "its archive would write outside of its package: %s", in.Failed)
	case s.Malicious == "":
		r.because(Amber, "no-install", "", "it did not install: %s", in.Failed)
	default:
		r.because(Amber, "no-install", "", "it was not installed")
	}
	for _, what := range in.Refused {
		r.because(Amber, "install-reach", "", "its install reached for %s, and was refused", what)
	}
	r.judgeSubject(nil)
	r.settle()
	r.NotSeen = []string{"what it does: nothing of it ran"}
	return r
}

// lastLines are the last lines of an installer that say something, visible.
func lastLines(s string) string {
	var out []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "Log files were not written") { // npm, which is told to keep none
			out = append(out, visible(line))
		}
	}
	return strings.Join(out[max(0, len(out)-maxWords):], "\n")
}

// reached says in lines what the install had of the registry, and what it was refused.
func (in *Install) reached() []string {
	text := "its registry, for " + plural(len(in.Asked), "package")
	if n := len(in.Asked); n == maxNames {
		text = fmt.Sprintf("its registry, for %d packages and more", n)
	}
	if in.Archives > 0 {
		text += fmt.Sprintf(" and %s (%s)", plural(in.Archives, "archive"), size(in.Bytes))
	}
	if len(in.Asked) == 0 {
		text = "its registry"
	}
	out := []string{text}
	for _, what := range in.Refused {
		out = append(out, what+", refused")
	}
	return out
}

// installRow holds the installer's last lines, the newest of which fit.
func (r *Report) installRow() row {
	if r.Install == nil || r.Install.Words == "" {
		return row{}
	}
	lines := strings.Split(r.Install.Words, "\n")
	return row{"installer", lines[max(0, len(lines)-maxShownWords):]}
}

// maxShownWords is how many of the installer's lines the screen shows.
const maxShownWords = 6
