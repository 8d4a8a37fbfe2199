package trial

import (
	_ "embed" // for report.gohtml
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"sync"
)

//go:embed report.gohtml
var reportPage string

var reportTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("report").Funcs(template.FuncMap{
		"size":   size,
		"upper":  func(l Level) string { return strings.ToUpper(string(l)) },
		"place":  place,
		"plural": plural,
		"join":   strings.Join,
		"first":  first,
		"secs":   func(s float64) string { return fmt.Sprintf("%.1f s", s) },
	}).Parse(reportPage))
})

// Moment holds the events of one phase of a run.
type Moment struct {
	When  string
	Lines []string
}

// WriteHTML writes the whole report as one page, which loads nothing else: no script,
// style, font or image from anywhere.
func (r *Report) WriteHTML(w io.Writer) error {
	return reportTemplate().Execute(w, struct {
		*Report
		Moments  []Moment
		Programs []program
		Tilde    func(string) string
	}{r, r.moments(), r.programs(), r.tilde})
}

// program is a program that ran, with the number of its runs in one phase.
type program struct {
	Process
	Times int
}

// programs folds the processes. If a program was searched for in several folders, it
// lists only the one where it was found.
func (r *Report) programs() (out []program) {
	for i, p := range r.Processes {
		found := slices.ContainsFunc(r.Processes[i+1:], func(q Process) bool { return q.PID == p.PID && slices.Equal(q.Args, p.Args) })
		if p.Missing && found {
			continue
		}
		same := func(o program) bool {
			return o.When == p.When && o.By == p.By && o.Missing == p.Missing && slices.Equal(o.Args, p.Args)
		}
		if j := slices.IndexFunc(out, same); j >= 0 {
			out[j].Times++
			continue
		}
		out = append(out, program{p, 1})
	}
	return out
}

// moments is the report in chronological order.
func (r *Report) moments() []Moment {
	var out []Moment
	add := func(when, format string, args ...any) {
		if when == "" {
			return
		}
		for i := range out {
			if out[i].When == when {
				if len(out[i].Lines) < 40 {
					out[i].Lines = append(out[i].Lines, fmt.Sprintf(format, args...))
				}
				return
			}
		}
		out = append(out, Moment{when, []string{fmt.Sprintf(format, args...)}})
	}
	for i, p := range r.programs() {
		if i > 0 && !p.Missing && p.By != byClient {
			add(p.When, "ran %s", strings.Join(p.Args, " "))
		}
	}
	for _, t := range r.Decoys {
		add(t.When, "%s %s (%s)", t.How, r.tilde(t.Path), t.What)
	}
	for _, q := range r.Requests {
		add(q.When, "%s %s", q.Method, q.URL)
	}
	for _, h := range r.Hosts {
		if h.Requests == 0 {
			add(first(h.When), "connected to %s", place(h))
		}
	}
	for _, l := range r.Leaks {
		if !l.Given {
			add(l.When, "%s of %s in %s (%s)", l.Kind, r.tilde(l.File), l.Where, l.How)
		}
	}
	for _, f := range r.Files {
		if f.Write {
			add(f.When, "wrote %s", r.tilde(f.Path))
		}
	}
	return out
}
