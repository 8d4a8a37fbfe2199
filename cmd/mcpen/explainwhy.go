package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/explain"
	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

// why answers the question of --why about a server that does not start.
func (a *app) why(p server.Prepared, word, absent string, asJSON bool) error {
	q, err := question(p.Dirs, word)
	if err != nil {
		return err
	}
	if q.Tool != "" {
		if q.Listed, err = p.Listed(strings.TrimSuffix(cmp.Or(q.Table, "tools"), "s"), q.Tool); err != nil {
			return err
		}
	}
	answer, err := plan.Why(plan.Case{Policy: p.Policy, Program: p.Program, Host: p.Host}, q)
	if err != nil {
		return err
	}
	if absent != "" && q.Path != "" {
		answer.Unknown = append(answer.Unknown, fmt.Sprintf("which files are the package's own: %s is not installed", absent))
	}
	if q.Host != "" && q.Tool != "" {
		answer.Unknown = append(answer.Unknown, fmt.Sprintf("which port is meant: a host is asked for with it, as %s:443", q.Host))
	}
	if asJSON {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(answer)
	}
	_, err = fmt.Fprint(a.out, explain.Answer(answer, p.Choice.Allow(p.Dirs)))
	return err
}

// question reads the word of --why: a path begins as one, a host has a port or a dot, a
// variable its prefix, and anything else is the name of a tool.
func question(at user.Dirs, word string) (plan.Question, error) {
	const hint = "--why ~/notes, --why api.example.com:443, --why read_file or --why env:NAME"
	switch {
	case word == "" || len(word) > 4096 || strings.ContainsRune(word, 0):
		return plan.Question{}, usage(hint, "--why asks of a path, of HOST:PORT or of a tool, and %q is none", word)
	case word == "." || word == ".." || word == "~", strings.HasPrefix(word, "/"), strings.HasPrefix(word, "~/"), strings.HasPrefix(word, "./"), strings.HasPrefix(word, "../"):
		return pathQuestion(at, word), nil
	case server.IsName(word):
		return plan.Question{Host: word, Tool: word}, nil // either is written so
	case !strings.ContainsAny(word, ":/"):
		return plan.Question{Tool: word}, nil
	}
	for table, prefix := range audit.Prefix {
		switch name, ok := strings.CutPrefix(word, prefix); {
		case !ok:
		case table == "env":
			return plan.Question{Variable: name}, nil
		default:
			return plan.Question{Tool: name, Table: table}, nil
		}
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

// pathQuestion asks of a path as a person writes it.
func pathQuestion(at user.Dirs, word string) plan.Question {
	p := word
	if rest, ok := strings.CutPrefix(word, "~"); ok {
		p = filepath.Join(at.Home, rest)
	} else if !filepath.IsAbs(p) {
		p = filepath.Join(at.Cwd, p)
	}
	return looked(plan.Question{Path: filepath.Clean(p)})
}

// looked is a question with the facts of its path and of each folder above it.
func looked(q plan.Question) plan.Question {
	q.Facts = map[string]plan.PathFact{}
	for dir := q.Path; dir != ""; dir = filepath.Dir(dir) {
		q.Facts[dir] = host.Look(dir)
		if dir == "/" {
			break
		}
	}
	return q
}
