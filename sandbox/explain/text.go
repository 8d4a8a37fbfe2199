package explain

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// JSON writes a plan as JSON. absent is as in Text.
func JSON(out io.Writer, p plan.Plan, absent string) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if absent == "" {
		return enc.Encode(p)
	}
	return enc.Encode(struct {
		Absent string `json:"absent"`
		plan.Plan
	}{absent, p})
}

// Text writes a plan in words, for a reviewer. It trusts none of the plan's texts:
// it makes control characters in a profile's words visible. absent names a package that
// is not installed, whose files the plan lacks.
func Text(out io.Writer, p plan.Plan, prog plan.Program, description, absent string) error {
	var b strings.Builder
	w := writer{&b}
	w.line("%s", p.Name)
	for _, layer := range p.Without {
		b.WriteString(launch.Red(out, "  "+audit.Visible(launch.Without(layer))+": the server runs without this layer") + "\n")
	}
	if description != "" {
		w.line("  %s", description)
	}
	for i, s := range p.Sources {
		word := "profile"
		if i > 0 {
			word = "extends"
		}
		w.line("  %s %s (sha256 %.12s)", word, s.File, s.SHA256)
	}
	w.program(p, prog, absent)
	w.files(p)
	w.network(p)
	w.environment(p)
	w.tools(p)
	w.limits(p)
	w.layers(p)
	w.line("")
	if absent == "" {
		w.line("plan %s", p.Digest())
	} else {
		w.line("no plan yet: %s is not installed", absent)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// writer collects lines.
type writer struct{ b *strings.Builder }

func (w writer) line(format string, args ...any) {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = audit.Visible(s)
		}
	}
	fmt.Fprintf(w.b, format+"\n", args...)
}

func (w writer) program(p plan.Plan, prog plan.Program, absent string) {
	w.title("Program")
	if absent != "" {
		w.line("  package   %s, not installed: the first run resolves, installs and locks it, and gives it its own files read only", absent)
	}
	w.line("  runs      %s", strings.Join(audit.RedactArgs(p.Process.Args), " "))
	if p.Process.Path != p.Process.Args[0] {
		w.line("  file      %s", p.Process.Path)
	}
	w.line("  in        %s", p.Process.Dir)
	w.line("  as        user %d, group %d, no capability", p.Process.UID, p.Process.GID)
	for _, v := range prog.Via {
		w.line("  found     %s", v)
	}
}

func (w writer) title(s string) { fmt.Fprintf(w.b, "\n%s\n", s) }

// files lists the visible files, the declared ones first; the rest of the disk is
// absent.
func (w writer) files(p plan.Plan) {
	w.title("Files")
	if !p.Holds(policy.LayerNamespaces) {
		w.line("  without namespaces other paths are visible by name, and cannot be opened;")
		w.line("  the modes of those that may be read can be changed")
	}
	declared := 0
	show := func(word string, m plan.Mount) {
		at := ""
		if m.At != "" {
			at = "  (" + m.At + ")"
		}
		w.line("  %-9s %s%s", word, m.Target, at)
	}
	for _, m := range p.Root {
		switch {
		case m.Kind == plan.MountMask:
			show("hidden", m)
		case m.Kind == plan.MountBind && m.Protected:
			show("read only", m)
		case m.At == "":
			continue
		case m.Kind == plan.MountBind && m.Writable:
			show("changes", m)
			w.single(p, m)
		case m.Kind == plan.MountBind:
			show("reads", m)
		default:
			continue
		}
		declared++
	}
	if declared == 0 {
		w.line("  no file of yours")
	}
	w.mediated(p)
	for _, m := range p.Root {
		switch {
		case m.Kind == plan.MountTmpfs && m.Writable:
			w.line("  private   %s, at most %s in %d files, gone at the end", m.Target, plan.FormatSize(m.Bytes), m.Inodes)
		case m.Kind == plan.MountPTY:
			w.line("  private   %s, %s  (%s)", m.Target, m.Why, m.At)
		case m.Kind == plan.MountBind && m.At == "" && !m.Protected && !systemic(m.Target):
			w.line("  runtime   %s (%s)", m.Target, m.Why)
		}
	}
	w.line("  system    /usr and what belongs to it, read only; an /etc made by mcpen; %d device nodes", devices(p))
	w.line("  nothing else is there")
}

// single names the writes that a rule for one file does not allow.
func (w writer) single(p plan.Plan, m plan.Mount) {
	i := slices.IndexFunc(p.Writes.Singles, func(s plan.Single) bool { return s.File == m.Target })
	if i < 0 {
		return
	}
	w.line("            this one file: nothing is made beside it or renamed over it, and what takes its name outside is not seen;")
	if folder := p.Writes.Singles[i].Folder; folder != "" {
		w.line("            programs that save so, or keep a journal, need the folder: write = [%q]", folder)
	} else {
		w.line("            programs that save so, or keep a journal, need it in a folder of its own, and that declared")
	}
}

// mediated lists the protected parts of the writable folders, and the means.
func (w writer) mediated(p plan.Plan) {
	if !p.Seccomp.Mediate {
		return
	}
	for _, dir := range p.Writes.Folders {
		w.line("  keeps     %s/**/{%s}", dir, strings.Join(slices.Concat(plan.Protected, p.Writes.Names), ","))
	}
	if len(p.Writes.Folders) > 0 {
		w.line("            and what they lead to, whatever the case of the name; changes are made by mcpen, for the server")
	}
	for _, h := range p.Writes.Led {
		w.line("  keeps     %s  (%s)", h.Place, h.Why)
	}
	for _, e := range p.Writes.Except {
		if !slices.Contains(p.Writes.Folders, e) {
			w.line("  but for   %s", e)
		}
	}
	w.line("  sockets   no unix socket in these folders can be connected to, but those that [sockets] names")
}

func systemic(p string) bool {
	for _, dir := range []string{"/usr", "/bin", "/sbin", "/lib", "/etc", "/lib32", "/lib64", "/libx32"} {
		if p == dir || strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return false
}

func devices(p plan.Plan) (n int) {
	for _, m := range p.Root {
		if m.Kind == plan.MountDevice {
			n++
		}
	}
	return n
}

func (w writer) network(p plan.Plan) {
	w.title("Network")
	if len(p.Network.Hosts) == 0 && len(p.Network.Sockets) == 0 {
		w.line("  none: no host, no address, no name is reachable")
		if p.Seccomp.Alone {
			w.line("  without namespaces there is no socket either, not even for programs inside")
		}
		return
	}
	for _, h := range p.Network.Hosts {
		w.line("  %-9s %s  (%s)", "reaches", hostText(h), h.At.String())
	}
	w.proxies(p.Network.Proxies)
	for _, s := range p.Network.Sockets {
		w.line("  %-9s %s  (%s)", "socket", s.Path, s.At.String())
		if s.Override != "" {
			w.line("            this socket is the host itself: whoever may talk to it is not held")
		}
	}
	w.line("  nothing else, by any protocol; other names are not looked up")
}

// proxies says which proxy leads to the hosts.
func (w writer) proxies(all plan.Proxies) {
	but := ""
	if all.Except != "" {
		but = ", but for NO_PROXY: " + all.Except
	}
	for _, p := range all.Both() {
		what := "port 80 of them"
		switch {
		case all.HTTP.Via == all.HTTPS.Via:
			what = "them"
		case p.Via == all.HTTPS.Via:
			what = "every port but 80 of them"
		}
		login := ""
		if p.Login != "" {
			login = ", with credentials that the server does not see"
		}
		w.line("  %-9s %s by the proxy %s%s%s  (%s)", "reaches", what, p.Via, login, but, p.At)
	}
	if len(all.Both()) > 0 {
		w.line("            the proxy looks their names up, and decides which addresses they mean")
	}
}

// hostText is a rule in words.
func hostText(h policy.Host) string {
	ports := fmt.Sprintf("port %d", h.First)
	if h.Last > h.First {
		ports = fmt.Sprintf("ports %d to %d", h.First, h.Last)
	}
	name := h.Name
	switch h.Kind {
	case policy.HostWildcard:
		name = "every name below " + h.Name
	case policy.HostLocal:
		name = "this machine's own loopback"
	}
	var notes []string
	if note := tlsText(h); note != "" {
		notes = append(notes, note)
	}
	if h.Private {
		notes = append(notes, "may lead to a private address")
	}
	if len(notes) > 0 {
		ports += ", " + strings.Join(notes, ", ")
	}
	return name + " " + ports
}

// tlsText says which ports require TLS with the rule's name.
func tlsText(h policy.Host) string {
	switch {
	case !h.Checked(h.First):
		return ""
	case h.Demanded(h.First) && h.Demanded(h.Last):
		return "TLS with that name only"
	case h.First <= 443 && 443 <= h.Last:
		return "TLS with that name only on 443, and TLS with no other name elsewhere"
	}
	return "TLS with no other name"
}

func (w writer) environment(p plan.Plan) {
	w.title("Environment")
	for _, e := range p.Process.Env {
		from := "from mcpen"
		if e.At != "" {
			from = e.At
		}
		w.line("  %-9s %s=%s  (%s)", "sets", e.Name, e.Value, from)
	}
	for _, s := range p.Process.Secrets {
		from, mayLack := strings.CutPrefix(s.From, "?")
		if mayLack {
			from += ", where it is set"
		}
		w.line("  %-9s %s, from %s  (%s)", "secret", s.Name, from, s.At)
	}
	w.line("  nothing else")
}

func (w writer) tools(p plan.Plan) {
	w.title("Tools")
	list := func(kind string, f policy.Filter) {
		if f.Nothing != (policy.Pos{}) {
			w.line("  %-9s no %s  (%s)", "allows", kind, f.Nothing.String())
		} else if len(f.Allow) == 0 {
			w.line("  %-9s every %s that is not refused", "allows", kind)
		}
		for _, g := range f.Allow {
			w.line("  %-9s %s %s  (%s)", "allows", kind, g.Pattern, g.At.String())
		}
		for _, g := range f.Deny {
			w.line("  %-9s %s %s  (%s)", "refuses", kind, g.Pattern, g.At.String())
		}
	}
	list("tool", p.Tools.Filter)
	list("prompt", p.Tools.Prompts)
	list("resource", p.Tools.Resources)
	for _, r := range p.Tools.Rules {
		w.line("  %-9s calls of %s  (%s)", "restricts", r.Tool, r.At.String())
	}
	w.line("  pins      %s; findings: %s; results: %s", string(p.Tools.Pins), string(p.Tools.Findings), string(p.Tools.Results))
	for _, g := range p.Tools.Except {
		w.line("  %-9s definitions of %s without a review  (%s)", "changes", g.Pattern, g.At.String())
	}
	w.client(p.Tools.Client)
	if p.Tools.Validate {
		w.line("  checks    the arguments of calls against the server's own schema")
	}
	w.line("  lines     at most %s", plan.FormatSize(p.Relay.MaxLine))
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	w.line("  end       the client's end closes: answers may take %v, then %v after the last line SIGTERM; a signal: SIGTERM, %v later SIGKILL",
		ms(p.Relay.Finish), ms(p.Relay.Grace), ms(p.Relay.Rush))
}

// client lists the requests that the server may send to the client.
func (w writer) client(c policy.Client) {
	var may, not []string
	for _, f := range []struct {
		name string
		on   bool
	}{{"sampling", c.Sampling}, {"elicitation", c.Elicitation}, {"roots", c.Roots}, {"its log", c.Logging}} {
		if f.on {
			may = append(may, f.name)
		} else {
			not = append(not, f.name)
		}
	}
	if len(may) > 0 {
		w.line("  client    may be asked for %s, where it offers that", strings.Join(may, ", "))
	}
	if len(not) > 0 {
		w.line("  client    is not asked for %s", strings.Join(not, ", "))
	}
}

func (w writer) limits(p plan.Plan) {
	w.title("Limits")
	for _, l := range p.Limits {
		w.line("  %-10s %s (%s)", string(l.Name), plan.FormatLimit(l.Name, l.Value), string(l.How))
	}
	for _, g := range p.Gaps {
		if g.Layer == policy.LayerLimits {
			w.line("  NOT HELD  %s: %s", g.Want, g.Why)
		}
	}
	w.line("  core       none leaves the sandbox")
}

func (w writer) layers(p plan.Plan) {
	w.title("Layers")
	for _, l := range p.Layers {
		what := map[policy.Layer]string{
			policy.LayerNamespaces: "user, mount, pid, net, ipc, uts and cgroup namespaces; a root of its own",
			policy.LayerLandlock:   fmt.Sprintf("ABI %d on files, %s", p.Landlock.ABI, landlockNet(p.Landlock)),
			policy.LayerSeccomp:    "system calls from a table, all others fail; one ABI",
			policy.LayerMediation:  "changes in your folders are made for the server, its sockets connected for it",
		}[l]
		w.line("  %-10s %s", string(l), what)
	}
	for _, g := range p.Gaps {
		if g.Layer != policy.LayerLimits {
			w.line("  NOT HELD  %s: %s, have %s: %s", string(g.Layer), g.Want, g.Have, g.Why)
		}
	}
}

func landlockNet(l plan.Landlock) string {
	switch {
	case l.Scoped:
		return "TCP ports, abstract sockets and signals"
	case l.ABI >= 4:
		return "TCP ports"
	}
	return "nothing else"
}
