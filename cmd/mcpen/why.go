package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

// why answers the question of --why about a server that does not start. server is its
// name for "mcpen allow", or "".
func (a *app) why(p server.Prepared, word, server, absent string, asJSON bool) error {
	q, err := question(p.Dirs, word)
	if err != nil {
		return err
	}
	answer, err := plan.Why(plan.Case{Policy: p.Policy, Program: p.Program, Host: p.Host}, q)
	if err != nil {
		return err
	}
	if absent != "" && q.Path != "" {
		answer.Unknown = append(answer.Unknown, fmt.Sprintf("which files are the package's own: %s is not installed", absent))
	}
	if strings.Contains(q.Tool, ".") {
		answer.Unknown = append(answer.Unknown, fmt.Sprintf("whether a host was meant: it is asked for with its port, as %s:443", q.Tool))
	}
	if asJSON {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(answer)
	}
	_, err = fmt.Fprint(a.out, answerText(answer, server))
	return err
}

// answerText is an answer in words. Nothing in it is taken on trust.
func answerText(answer plan.Answer, server string) string {
	var b strings.Builder
	w := writer{&b}
	w.line("%s %s", answer.Kind, answer.Subject)
	for _, v := range answer.Verdicts {
		word, at := "refused", ""
		if v.Allowed {
			word = "allowed"
		}
		if v.Rule != "" {
			at = "  (" + v.Rule + ")"
		}
		w.line("  %-8s %s: %s%s", v.Do, word, v.Why, at)
		switch {
		case v.Allowed:
		case v.Grant != nil:
			w.line("           to allow it: %s", v.Grant.Advice(server))
		case v.Never != "" && v.Never != v.Why:
			w.line("           no grant does: %s", v.Never)
		}
	}
	for _, u := range answer.Unknown {
		w.line("  not known %s", u)
	}
	return b.String()
}

// question reads the word of --why: a path begins as one, a host has a port, and
// anything else is the name of a tool.
func question(at user.Dirs, word string) (plan.Question, error) {
	const hint = "--why ~/notes, --why api.example.com:443 or --why read_file"
	switch {
	case word == "" || len(word) > 4096 || strings.ContainsRune(word, 0):
		return plan.Question{}, usage(hint, "--why asks of a path, of HOST:PORT or of a tool, and %q is none", word)
	case word == "." || word == ".." || word == "~", strings.HasPrefix(word, "/"), strings.HasPrefix(word, "~/"), strings.HasPrefix(word, "./"), strings.HasPrefix(word, "../"):
		return pathQuestion(at, word), nil
	case !strings.ContainsAny(word, ":/"):
		return plan.Question{Tool: word}, nil
	}
	h, err := policy.ParseHost(word)
	if q, ok := hostQuestion(word); ok && (err != nil || h.Kind == policy.HostCIDR) {
		return q, nil // an address that no rule names is a question all the same
	}
	switch {
	case err != nil:
		return plan.Question{}, usage(hint, "cannot ask of %q: %v; a path begins with /, ./ or ~/", word, err)
	case h.First != h.Last || h.Kind == policy.HostWildcard || h.Kind == policy.HostCIDR:
		return plan.Question{}, usage(hint, "cannot ask of %q: it is more than one host and port", word)
	}
	return plan.Question{Host: h.Name, Port: h.First}, nil
}

// hostQuestion reads ADDRESS:PORT, of whatever kind the address is.
func hostQuestion(word string) (plan.Question, bool) {
	a, err := netip.ParseAddrPort(word)
	if err != nil || a.Port() == 0 || a.Addr().Zone() != "" {
		return plan.Question{}, false
	}
	return plan.Question{Host: a.Addr().String(), Port: a.Port()}, true
}

// pathQuestion looks at the path and at each folder above it.
func pathQuestion(at user.Dirs, word string) plan.Question {
	p := word
	if rest, ok := strings.CutPrefix(word, "~"); ok {
		p = filepath.Join(at.Home, rest)
	} else if !filepath.IsAbs(p) {
		p = filepath.Join(at.Cwd, p)
	}
	q := plan.Question{Path: filepath.Clean(p), Facts: map[string]plan.PathFact{}}
	for dir := q.Path; ; dir = filepath.Dir(dir) {
		q.Facts[dir] = host.Look(dir)
		if dir == "/" {
			return q
		}
	}
}
