package trial

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"

	"mcpen/sandbox/finding"
)

// Level is the result of a trial.
type Level string

// The levels.
const (
	Green Level = "green" // nothing to report
	Amber Level = "amber" // something to know before use
	Red   Level = "red"   // something that no honest program does
)

var rank = map[Level]int{Green: 0, Amber: 1, Red: 2}

// Reason is one reason for a verdict.
type Reason struct {
	Level Level  `json:"level"`
	Code  string `json:"code"` // stable, for other programs
	Text  string `json:"text"`
	When  string `json:"when,omitempty"`
}

// order lists the codes of reasons, the gravest first.
var order = []string{"canary-sent", "canary-shown", "canary-written", "decoy-read", "decoy-changed", "trap", "runs-own", "metadata", "scan", "orphan", "listens", "words", "debugs",
	"malicious", "hostile-archive", "no-install", "install-reach", "flood", "secret-elsewhere", "address", "secret-sent", "host", "telemetry", "name", "udp", "order", "fetched", "decoy-expected", "workspace-secret", "settings", "listens-loopback", "loopback", "tool-program", "scripts", "script-failed", "script-cut", "deprecated", "young", "lookalike",
	"no-conversation", "no-answer", "garbage", "stops", "trial-cut"}

// Subject is the program on trial.
type Subject struct {
	Name         string   `json:"name"` // as the person named it
	Version      string   `json:"version,omitempty"`
	Publisher    string   `json:"publisher,omitempty"`
	Published    string   `json:"published,omitempty"` // a date
	License      string   `json:"license,omitempty"`
	Deprecated   string   `json:"deprecated,omitempty"`
	Scripts      []string `json:"scripts,omitempty"`      // packages with install scripts
	ScriptsRan   bool     `json:"scripts_ran,omitempty"`  // on the desk; else they did not run
	Dependencies []string `json:"dependencies,omitempty"` // each name once
	Packages     int      `json:"packages,omitempty"`     // number installed; several may have the same name
	Bytes        int64    `json:"bytes,omitempty"`
	Notes        []string `json:"notes,omitempty"`
	Malicious    string   `json:"malicious,omitempty"`
	Lookalike    string   `json:"lookalike,omitempty"`
	Young        bool     `json:"young,omitempty"`
	Declared     []string `json:"declared,omitempty"`  // hosts that its profile names
	Variables    []string `json:"variables,omitempty"` // variables that it reads, and was given
	Command      []string `json:"command,omitempty"`
	Root         string   `json:"root,omitempty"` // of the package, inside
}

// judge collects the reasons for the verdict.
func (r *Report) judge(run *Run) {
	for _, f := range []func(*Run){r.judgeLeaks, r.judgeDecoys, r.judgeFiles, r.judgeProcesses, r.judgeNetwork, r.judgeWords, r.judgeSubject, r.judgeEnd} {
		f(run)
	}
	r.settle()
}

// settle orders the reasons, and takes the gravest for the verdict.
func (r *Report) settle() {
	slices.SortStableFunc(r.Verdict.Reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(rank[b.Level], rank[a.Level]), cmp.Compare(slices.Index(order, a.Code), slices.Index(order, b.Code)))
	})
	r.Verdict.Level = Green
	for _, one := range r.Verdict.Reasons {
		if rank[one.Level] > rank[r.Verdict.Level] {
			r.Verdict.Level = one.Level
		}
	}
}

func (r *Report) because(l Level, code, when, format string, args ...any) {
	one := Reason{Level: l, Code: code, Text: fmt.Sprintf(format, args...), When: when}
	if len(r.Verdict.Reasons) < 256 && !slices.Contains(r.Verdict.Reasons, one) {
		r.Verdict.Reasons = append(r.Verdict.Reasons, one)
	}
}

// tilde formats a path of the desk for a person.
func (r *Report) tilde(p string) string {
	if rest, ok := strings.CutPrefix(p, r.Desk.Home); ok && r.Desk.Home != "" && (rest == "" || rest[0] == '/') {
		return "~" + rest
	}
	return p
}

// judgeLeaks merges the leaks of one file to one place into one reason.
func (r *Report) judgeLeaks(run *Run) {
	var done []Leak
	for _, l := range r.Leaks {
		if slices.ContainsFunc(done, func(d Leak) bool { return d.File == l.File && d.Where == l.Where }) {
			continue
		}
		done = append(done, l)
		var kinds []string
		for _, m := range r.Leaks {
			if m.File == l.File && m.Where == l.Where && !slices.Contains(kinds, m.Kind) {
				kinds = append(kinds, m.Kind)
			}
		}
		what := fmt.Sprintf("%s (%s)", r.tilde(l.File), strings.Join(kinds, ", "))
		if l.How != "as it is" {
			what = fmt.Sprintf("%s (%s, %s)", r.tilde(l.File), strings.Join(kinds, ", "), l.How)
		}
		r.judgeLeak(run.desk.lures[l.File], l, what)
	}
}

func (r *Report) judgeLeak(lure lure, l Leak, what string) {
	switch {
	case l.Given && l.Out && elsewhere(l):
		r.because(Amber, "secret-elsewhere", l.When, "%s goes to %s, which is not whose key it is", r.tilde(l.File), l.Where)
	case l.Given && l.Out:
		r.because(Green, "secret-sent", l.When, "%s goes to %s", r.tilde(l.File), l.Where)
	case l.Given:
	case l.Out:
		r.because(Red, "canary-sent", l.When, "SENDS %s to %s", what, l.Where)
	case lure.own && strings.HasPrefix(l.When, "in tool "):
		r.because(Amber, "workspace-secret", l.When, "%s is in %s", what, l.Where)
	case strings.HasPrefix(l.File, "$") && l.Where == "stderr", strings.HasPrefix(l.File, "$") && strings.HasPrefix(l.When, "in tool ") && !strings.HasPrefix(l.Where, "/"):
		r.because(Amber, "canary-shown", l.When, "%s is in %s", what, l.Where)
	case strings.HasPrefix(l.Where, "/"):
		r.because(Red, "canary-written", "", "%s is in %s, which it wrote", what, r.tilde(l.Where))
	default:
		r.because(Red, "canary-shown", l.When, "%s is in %s", what, l.Where)
	}
}

// services are the prefixes of variables that hold a service's key, and the domains of
// its hosts.
var services = []struct {
	variables, hosts []string
}{
	{[]string{"GITHUB_", "GH_"}, []string{"github.com", "githubusercontent.com", "githubcopilot.com", "ghcr.io"}},
	{[]string{"GITLAB_"}, []string{"gitlab.com"}},
	{[]string{"AWS_"}, []string{"amazonaws.com", "amazonaws.com.cn", "api.aws", "aws.dev"}},
	{[]string{"OPENAI_"}, []string{"openai.com", "azure.com"}},
	{[]string{"ANTHROPIC_"}, []string{"anthropic.com"}},
	{[]string{"SLACK_"}, []string{"slack.com"}},
	{[]string{"NOTION_"}, []string{"notion.com", "notion.so"}},
	{[]string{"STRIPE_"}, []string{"stripe.com"}},
	{[]string{"GOOGLE_", "GEMINI_"}, []string{"googleapis.com", "google.com"}},
	{[]string{"HUGGINGFACE_", "HF_"}, []string{"huggingface.co", "hf.co"}},
}

// elsewhere reports whether the key of a well-known service went to another host.
func elsewhere(l Leak) bool {
	host := l.Where[:max(0, strings.LastIndexByte(l.Where, ':'))]
	for _, s := range services {
		if slices.ContainsFunc(s.variables, func(v string) bool { return strings.HasPrefix(l.File, "$"+v) }) {
			return host != "www.example.com" && !slices.ContainsFunc(s.hosts, func(h string) bool { return host == h || strings.HasSuffix(host, "."+h) })
		}
	}
	return false
}

func (r *Report) judgeDecoys(run *Run) {
	for _, t := range r.Decoys {
		name, by := r.tilde(t.Path), ""
		if t.Program != "" {
			by = " by " + t.Program
		}
		lure := run.desk.lures[t.Path]
		switch {
		case t.How != "read" && trap(t.Path, run.desk) == "":
			r.because(Red, "decoy-changed", t.When, "%s (%s) was %s%s", name, t.What, t.How, by)
		case t.How != "read", t.Quiet:
		case t.Expected != "":
			r.because(Amber, "decoy-expected", t.When, "%s (%s) was read, as %s does for everybody", name, t.What, t.Expected)
		case lure.own: // dotenv, which many programs contain, reads it for all of them
			r.because(Amber, "workspace-secret", t.When, "%s (%s) was read, in the folder that it was started in", name, t.What)
		default:
			r.because(Red, "decoy-read", t.When, "%s (%s) was read%s", name, t.What, by)
		}
	}
}

func (r *Report) judgeFiles(run *Run) {
	for _, w := range r.Written {
		if w.Trap == "" {
			if _, l := trapAt(w.Path, run.desk); l == Amber {
				r.because(Amber, "settings", "", "%s was written, which tools outside read", r.tilde(w.Path))
			}
			continue
		}
		how := "was written"
		if w.Gone {
			how = "was removed"
		} else if w.Changed {
			how = "was changed"
		}
		r.because(Red, "trap", "", "%s %s: %s", r.tilde(w.Path), how, w.Trap)
	}
}

// telling are programs that act for another program.
var telling = []string{"curl", "wget", "nc", "ncat", "socat", "ssh", "scp", "sh", "bash", "dash", "zsh", "powershell", "crontab", "at", "systemctl", "gpg", "security", "secret-tool", "base64", "python3", "perl"}

func (r *Report) judgeProcesses(run *Run) {
	wrote := map[string]bool{}
	for _, w := range r.Written {
		wrote[w.Path] = true
	}
	var tools []string
	for i, p := range r.Processes {
		switch {
		case p.Missing || i == 0 || p.By == byClient:
		case wrote[p.Path]:
			r.because(Red, "runs-own", p.When, "%s was executed, which it had written itself", r.tilde(p.Path))
		case slices.Contains(telling, path.Base(p.Path)) && !slices.Contains(tools, path.Base(p.Path)):
			tools = append(tools, path.Base(p.Path))
			r.because(Amber, "tool-program", p.When, "it runs %s", short(strings.Join(p.Args, " ")))
		}
	}
	for _, who := range slices.Sorted(maps.Values(run.orphans)) {
		r.because(Red, "orphan", "", "a process went on without the one that started it (%s)", who)
		break
	}
	for at, when := range run.listens {
		to, err := netip.ParseAddrPort(at)
		if err != nil {
			continue
		}
		if to.Addr().IsLoopback() {
			r.because(Amber, "listens-loopback", when, "it listens on %s", at)
		} else {
			r.because(Red, "listens", when, "it listens on %s, for anybody on the network", at)
		}
	}
	for _, call := range []string{"ptrace", "process_vm_readv", "process_vm_writev"} {
		if run.refused[call] > 0 {
			r.because(Red, "debugs", "", "it tried to look into other processes (%s)", call)
		}
	}
}

// metadata are the addresses and names of a cloud's metadata service, which hands out
// keys.
var metadata = []string{"169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200", "metadata.google.internal", "metadata"}

var metadataTools = []string{"boto", "@aws-sdk/", "aws-sdk", "google-auth", "gcp-metadata", "google-cloud", "@google-cloud/", "azure-identity", "@azure/identity", "aliyun", "@aws-cdk/"}

// manyPorts is the number of loopback ports that counts as a scan.
const manyPorts = 5

func (r *Report) judgeNetwork(run *Run) {
	for _, h := range r.Hosts {
		at, when := place(h), first(h.When)
		switch {
		case slices.Contains(metadata, h.Name) || slices.Contains(metadata, h.Address):
			if dep := r.depends(metadataTools); dep != "" {
				r.because(Amber, "metadata", when, "it asks %s for a cloud's keys, as %s does for everybody", at, dep)
			} else {
				r.because(Red, "metadata", when, "it asks %s, which gives out a cloud's keys", at)
			}
		case h.Use == chosen:
		case h.Use == declared:
		case h.Use == telemetry:
			r.because(Amber, "telemetry", when, "it tells %s that it is used", at)
		case h.Name == "":
			r.because(Amber, "address", when, "it connects to %s, an address without a name", at)
		default:
			r.because(Amber, "host", when, "it reaches for %s", at)
		}
	}
	r.judgeNames()
	r.judgeNeighbours()
	var loops []string
	for _, d := range r.Dialled {
		switch d.Kind {
		case "loopback":
			loops = append(loops, d.To)
		case "udp":
			r.because(Amber, "udp", d.When, "%s sends datagrams to %s, which went nowhere", cmp.Or(d.Program, "it"), d.To)
		}
	}
	if len(loops) >= manyPorts {
		r.because(Red, "scan", r.Dialled[0].When, "it tried %d ports of this machine: %s", len(loops), short(strings.Join(loops, ", ")))
	} else if len(loops) > 0 {
		r.because(Amber, "loopback", r.Dialled[0].When, "it tries %s of this machine", strings.Join(loops, ", "))
	}
}

// judgeNames reports names that were only looked up: the question itself sends the
// name.
func (r *Report) judgeNames() {
	by := map[string][]string{}
	for _, n := range r.Names {
		if !strings.Contains(n, ".") || n == r.Desk.Host || strings.HasSuffix(n, ".local") || strings.HasSuffix(n, ".arpa") || strings.HasSuffix(n, ".localhost") {
			continue
		}
		by[owner(n)] = append(by[owner(n)], n)
	}
	for _, o := range slices.Sorted(maps.Keys(by)) {
		switch list := by[o]; {
		case Telemetry(list[0]):
			r.because(Amber, "telemetry", "", "it asks for %s, where users are counted", list[0])
		case len(list) == 1:
			r.because(Amber, "name", "", "it asks for the name %s, and connects to nothing there", short(list[0]))
		default:
			r.because(Amber, "name", "", "it asks for %d names below %s, and connects to nothing there: a name can carry words", len(list), o)
		}
	}
}

// manyNeighbours is the number of private addresses that counts as a scan.
const manyNeighbours = 4

// judgeNeighbours reports a scan of private addresses.
func (r *Report) judgeNeighbours() {
	var near []string
	when := ""
	for _, h := range r.Hosts {
		if a, err := netip.ParseAddr(h.Address); err == nil && h.Name == "" && (a.IsPrivate() || a.IsLinkLocalUnicast()) && !slices.Contains(near, h.Address) && !slices.Contains(metadata, h.Address) {
			near, when = append(near, h.Address), first(h.When)
		}
	}
	if len(near) >= manyNeighbours {
		r.because(Red, "scan", when, "it tried %d machines of the network around: %s", len(near), short(strings.Join(near, ", ")))
	}
}

// depends returns the first dependency whose name begins with one of the words, or "".
func (r *Report) depends(words []string) string {
	for _, d := range r.Subject.Dependencies {
		for _, w := range words {
			if strings.HasPrefix(d, w) {
				return d
			}
		}
	}
	return ""
}

func (r *Report) judgeWords(run *Run) {
	for _, f := range r.Conversation.Findings {
		switch {
		case f.Hold && f.Why == finding.WhyFirst: // a large server may prescribe an order of its own tools
			r.because(Amber, "order", "", "%s: %s: “%s”", f.Of, f.Why, short(f.Words))
		case f.Hold && f.Why == finding.WhyFetched && !orders(f.Words): // or say what a tool of its own is for
			r.because(Amber, "fetched", "", "%s: %s: “%s”", f.Of, f.Why, short(f.Words))
		case f.Hold:
			r.because(Red, "words", "", "%s: %s: “%s”", f.Of, f.Why, short(f.Words))
		}
	}
	if run.Flooded != "" {
		r.because(Red, "flood", run.Flooded, "it wrote more than %d MiB to stdout", maxStdout>>20)
	}
	if run.Garbage > 0 {
		r.because(Amber, "garbage", "", "%s on stdout outside the protocol: %s", plural(run.Garbage, "line"), short(run.Sample))
	}
}

// orders reports whether words about something that is fetched and executed say more than
// what a tool does: from where, how, or that it is a program.
func orders(words string) bool {
	lower := strings.ToLower(words)
	return slices.ContainsFunc([]string{"://", "silently", "immediately", "payload", "script", "binary", "download", "decode"}, func(w string) bool { return strings.Contains(lower, w) })
}

func (r *Report) judgeSubject(*Run) {
	s := r.Subject
	if s.Malicious != "" {
		r.because(Red, "malicious", "", "%s", s.Malicious)
	}
	if len(s.Scripts) > 0 {
		ran := "which did not run (--scripts)"
		switch {
		case r.Install != nil:
			ran = "which did not run"
		case s.ScriptsRan:
			ran = "which ran on this desk"
		}
		r.because(Amber, "scripts", "", "install scripts, %s: %s", ran, strings.Join(s.Scripts[:min(3, len(s.Scripts))], ", "))
	}
	if s.Deprecated != "" {
		r.because(Amber, "deprecated", "", "its registry says: %s", short(visible(s.Deprecated)))
	}
	if s.Lookalike != "" {
		r.because(Amber, "lookalike", "", "its name looks like that of %s", s.Lookalike)
	}
	if s.Young {
		r.because(Amber, "young", "", "it was published on %s", s.Published)
	}
}

func (r *Report) judgeEnd(run *Run) {
	for _, s := range run.Scripts {
		switch {
		case strings.HasSuffix(run.Flooded, InScript+s.Of):
		case s.Late:
			r.because(Amber, "script-cut", "", "the install script of %s did not end, and was ended", s.Of)
		case s.Code != 0:
			r.because(Amber, "script-failed", "", "the install script of %s failed with exit status %d", s.Of, s.Code)
		}
	}
	if run.Trouble != "" {
		text := run.Trouble
		if w := lastLine(run.Words); w != "" {
			text += "; its last words: " + w
		}
		r.because(Amber, "no-conversation", "", "%s", text)
	}
	for _, t := range r.Conversation.Tools {
		if t.Outcome == silent {
			r.because(Amber, "no-answer", "", "its tool %s does not answer within %s", t.Name, callTime)
		}
	}
	if run.Stops == "only when killed" {
		r.because(Amber, "stops", "", "it ends only when it is killed")
	}
	if run.OutOfTime {
		r.because(Amber, "trial-cut", "", "the time limit ended the trial")
	}
}

// lastLine is the last line of a program's words that says why it ended. Runtimes put the
// stack of an error, its members, their version and advice of their own below it.
func lastLine(s string) string {
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(s), "\n"), func(l string) bool {
		l = strings.TrimSpace(l)
		return l == "" || strings.HasPrefix(l, "(Use `node --") || strings.HasPrefix(l, "(Use node --")
	})
	if len(lines) == 0 {
		return ""
	}
	last := strings.TrimSpace(lines[len(lines)-1])
	if !strings.HasPrefix(last, "Node.js v") {
		return last
	}
	for _, l := range lines {
		if name, _, ok := strings.Cut(l, ":"); ok && strings.Contains(name, "Error") && !strings.HasPrefix(l, " ") {
			return strings.TrimSpace(l)
		}
	}
	if len(lines) > 1 {
		return strings.TrimSpace(lines[len(lines)-2])
	}
	return last
}

func first(when []string) string {
	if len(when) == 0 {
		return ""
	}
	return when[0]
}
