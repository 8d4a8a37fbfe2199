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
	Lines []Line
}

// Line is an event of a moment. A grave one is what a thief does.
type Line struct {
	Text  string
	Grave bool
	Times int // that it came
}

// WriteHTML writes the whole report as one page, which loads nothing else: no script,
// style, font or image from anywhere.
func (r *Report) WriteHTML(w io.Writer) error {
	return reportTemplate().Execute(w, struct {
		*Report
		Moments  []Moment
		Programs []program
		Sent     []sent
		Tilde    func(string) string
	}{r, r.moments(), r.programs(), r.sent(), r.tilde})
}

// sent is a request, with the number of those that are the same in one phase.
type sent struct {
	Request
	Times int
}

// sent folds the requests.
func (r *Report) sent() (out []sent) {
	for _, q := range r.Requests {
		i := slices.IndexFunc(out, func(o sent) bool {
			return o.When == q.When && o.Method == q.Method && o.URL == q.URL && o.Body == q.Body && slices.Equal(o.Header, q.Header)
		})
		if i < 0 {
			out = append(out, sent{q, 1})
			continue
		}
		out[i].Times++
	}
	return out
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
	add := func(when string, grave bool, format string, args ...any) {
		if when == "" {
			return
		}
		i := slices.IndexFunc(out, func(m Moment) bool { return m.When == when })
		if i < 0 {
			i, out = len(out), append(out, Moment{When: when})
		}
		line := Line{fmt.Sprintf(format, args...), grave, 1}
		same := slices.IndexFunc(out[i].Lines, func(l Line) bool { return l.Text == line.Text })
		switch {
		case same >= 0:
			out[i].Lines[same].Times++
		case len(out[i].Lines) < 40:
			out[i].Lines = append(out[i].Lines, line)
		}
	}
	for i, p := range r.programs() {
		if i > 0 && !p.Missing && p.By != byClient {
			add(p.When, false, "ran %s", strings.Join(p.Args, " "))
		}
	}
	for _, t := range r.Decoys {
		add(t.When, !t.Quiet && t.Expected == "", "%s %s (%s)", t.How, r.tilde(t.Path), t.What)
	}
	for _, q := range r.Requests {
		add(q.When, false, "%s %s", q.Method, q.URL)
	}
	for _, h := range r.Hosts {
		if h.Requests == 0 {
			add(first(h.When), false, "connected to %s", place(h))
		}
	}
	for _, l := range r.Leaks {
		if !l.Given {
			add(l.When, l.Out, "%s of %s in %s (%s)", l.Kind, r.tilde(l.File), l.Where, l.How)
		}
	}
	for _, f := range r.Files {
		if f.Write {
			add(f.When, false, "wrote %s", r.tilde(f.Path))
		}
	}
	return out
}
