package trial

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/width"

	"mcpen/sandbox/audit"
)

// The size of the screen for a report.
const (
	screenLines   = 24
	screenColumns = 80
	maxReasons    = 6
)

// WriteText writes the report for a person, on one screen. paint colours a text by its
// level; nil: no colours. more is the command that prints the rest.
func (r *Report) WriteText(w io.Writer, paint func(Level, string) string, more string) error {
	if paint == nil {
		paint = func(_ Level, s string) string { return s }
	}
	p := &page{paint: paint}
	r.head(p)
	r.why(p)
	room := screenLines - len(p.lines) - 1
	rows := r.rows(p.paint)
	if more != "" {
		rows = append(rows, row{"more", []string{more}})
	}
	for _, line := range fit(rows, room) {
		p.add("%s", line)
	}
	_, err := io.WriteString(w, strings.Join(p.lines, "\n")+"\n")
	return err
}

type page struct {
	lines []string
	paint func(Level, string) string
}

func (p *page) add(format string, args ...any) {
	p.lines = append(p.lines, fmt.Sprintf(format, args...))
}

func (r *Report) head(p *page) {
	name := r.Subject.Name
	if r.Subject.Version != "" && !strings.HasSuffix(name, r.Subject.Version) {
		name += " " + r.Subject.Version
	}
	word := strings.ToUpper(string(r.Verdict.Level))
	p.add("%s%s", pad(audit.Visible(name), screenColumns-len(word)), p.paint(r.Verdict.Level, word))
	var facts []string
	s := r.Subject
	say := func(format string, args ...any) { facts = append(facts, fmt.Sprintf(format, args...)) }
	if s.Published != "" {
		say("published %s", s.Published)
	}
	if s.Publisher != "" {
		say("by %s", audit.Visible(s.Publisher))
	}
	if s.License != "" {
		say("%s", audit.Visible(s.License))
	}
	if n := s.Packages; n > 0 {
		say("%s", plural(n, "package"))
	}
	if s.Bytes > 0 {
		say("%s", size(s.Bytes))
	}
	if len(facts) > 0 {
		p.add("%s", cut(strings.Join(facts, ", "), screenColumns))
	}
	p.add("")
}

func (r *Report) why(p *page) {
	shown, left := r.Verdict.Reasons, 0
	shown = slices.DeleteFunc(slices.Clone(shown), func(one Reason) bool { return one.Level == Green })
	if len(shown) > maxReasons {
		shown, left = shown[:maxReasons-1], len(shown)-maxReasons+1
	}
	for _, one := range shown {
		mark := map[Level]string{Red: "✗", Amber: "!"}[one.Level]
		text := audit.Visible(one.Text)
		if one.When != "" {
			text += ", " + one.When
		}
		for i, line := range wrap(text, screenColumns-2, 2) {
			if i > 0 {
				p.add("  %s", line)
				continue
			}
			p.add("%s %s", p.paint(one.Level, mark), line)
		}
	}
	if left > 0 {
		p.add("  … and %s more", plural(left, "reason"))
	}
	if len(shown) == 0 {
		p.add("%s nothing that an honest server does not do", p.paint(Green, "✓"))
	}
	p.add("")
}

// row is one subject of the report with its lines.
type row struct {
	name  string
	lines []string
}

func (r *Report) rows(paint func(Level, string) string) []row {
	return slices.DeleteFunc([]row{r.installRow(), r.saysRow(), r.reachRow(), r.decoyRow(), r.wroteRow(), r.ranRow(), r.startRow(), r.profileRow(), r.unseenRow()}, func(one row) bool { return len(one.lines) == 0 })
}

func (r *Report) saysRow() row {
	c := r.Conversation
	switch {
	case r.Install != nil:
		return row{}
	case !c.Opened:
		return row{"says", []string{"nothing"}}
	}
	called, answered, failed := 0, 0, 0
	for _, t := range c.Tools {
		if t.Calls > 0 {
			called++
		}
		switch t.Outcome {
		case answeredWell:
			answered++
		case answeredBadly:
			failed++
		}
	}
	text := fmt.Sprintf("%s, %d called, %d answered", plural(len(c.Tools), "tool"), called, answered)
	if failed > 0 {
		text += fmt.Sprintf(", %d with an error", failed)
	}
	if c.Prompts > 0 {
		text += ", " + plural(c.Prompts, "prompt")
	}
	if c.Resources > 0 {
		text += ", " + plural(c.Resources, "resource")
	}
	if len(c.Findings) > 0 {
		text += ", " + plural(len(c.Findings), "finding")
	}
	return row{"says", []string{text}}
}

func (r *Report) reachRow() row {
	if r.Install != nil {
		return row{"reached", r.Install.reached()}
	}
	out := row{name: "reached"}
	widest := 0
	for _, h := range r.Hosts {
		widest = max(widest, min(columns(place(h)), maxPlace))
	}
	for _, h := range r.Hosts {
		text := first(h.When)
		if len(h.When) > 1 {
			text += fmt.Sprintf(" and %d more", len(h.When)-1)
		}
		if h.Real {
			text += ", REALLY"
		}
		if given := r.givenTo(place(h)); len(given) > 0 {
			text += ", gets " + strings.Join(given, ", ")
		}
		if h.Requests > 0 && !h.Real {
			text += fmt.Sprintf(" (%s)", plural(h.Requests, "request"))
		}
		room := min(widest, max(minPlace, screenColumns-10-2-columns(text)))
		at := middle(place(h), room)
		if room == widest {
			at = pad(at, room)
		}
		out.lines = append(out.lines, at+"  "+text)
	}
	for _, d := range r.Dialled {
		if d.Kind == "udp" && len(out.lines) < 6 {
			out.lines = append(out.lines, middle(d.To, maxPlace)+", by datagrams")
		}
	}
	if len(out.lines) == 0 && len(r.Names) == 0 {
		out.lines = []string{"no host"}
	}
	if n := len(r.Names); n > 0 {
		out.lines = append(out.lines, "asked for "+short(strings.Join(r.Names[:min(n, 3)], ", "))+" and connected to none of it")
	}
	return out
}

// How wide a host with its port may be in a row: the more the less stands behind it.
const (
	minPlace = 24
	maxPlace = 40
)

// middle shortens a text in the middle: the end of a host, with its port, says whose it is.
func middle(s string, room int) string {
	if columns(s) <= room {
		return s
	}
	runes := []rune(s)
	end := len(runes)
	for n := 0; end > 0 && n+columns(string(runes[end-1])) <= room*3/4; end-- {
		n += columns(string(runes[end-1]))
	}
	tail := string(runes[end:])
	return cut(s, room-columns(tail)) + tail
}

// givenTo lists the given secrets that the program sends to a host.
func (r *Report) givenTo(at string) (out []string) {
	for _, l := range r.Leaks {
		if l.Given && l.Out && l.Where == at && !slices.Contains(out, l.File) {
			out = append(out, l.File)
		}
	}
	return out
}

func (r *Report) decoyRow() row {
	if r.Install != nil {
		return row{}
	}
	if len(r.Decoys) == 0 {
		return row{"decoys", []string{"none was touched"}}
	}
	var list []string
	for _, t := range r.Decoys {
		list = append(list, r.tilde(t.Path)+" "+t.How)
	}
	return row{"decoys", []string{strings.Join(list, ", ")}}
}

func (r *Report) wroteRow() row {
	if len(r.Written) == 0 {
		return row{}
	}
	var list []string
	for _, w := range r.Written[:min(4, len(r.Written))] {
		list = append(list, r.tilde(w.Path))
	}
	text := plural(len(r.Written), "file") + ": " + strings.Join(list, ", ")
	return row{"wrote", []string{text}}
}

func (r *Report) ranRow() row {
	var list []string
	for i, p := range r.Processes {
		if base := path.Base(p.Path); i > 0 && !p.Missing && p.By != byClient && !slices.Contains(list, base) {
			list = append(list, base)
		}
	}
	if len(list) == 0 {
		return row{}
	}
	return row{"ran", []string{strings.Join(list, ", ")}}
}

func (r *Report) startRow() row {
	var facts []string
	if r.Conversation.Opened {
		facts = append(facts, fmt.Sprintf("answers after %.1f s", r.Start.Seconds))
	}
	if r.Start.Memory > 0 {
		facts = append(facts, size(r.Start.Memory)+" of memory")
	}
	switch r.Start.Stops {
	case "by itself":
		facts = append(facts, "ended by itself with "+r.Start.Exit)
	case "":
	default:
		facts = append(facts, "ends "+r.Start.Stops)
	}
	if len(facts) == 0 {
		return row{}
	}
	return row{"starts", []string{strings.Join(facts, ", ")}}
}

func (r *Report) profileRow() row {
	if r.Replay == "" {
		return row{}
	}
	room := screenColumns - 10 - len(": ") - columns(r.Replay)
	return row{"profile", []string{middle(audit.Visible(r.ProfileFile), max(minPlace/2, room)) + ": " + r.Replay}}
}

func (r *Report) unseenRow() row {
	if len(r.NotSeen) == 0 {
		return row{}
	}
	return row{"not seen", r.NotSeen}
}

// fit gives every row one line, and distributes the remaining lines in turn among the
// rows that need more.
func fit(rows []row, room int) []string {
	give := make([]int, len(rows))
	for i := range rows {
		if room > 0 {
			give[i] = 1
			room--
		}
	}
	for again := true; again && room > 0; {
		again = false
		for i := range rows {
			if give[i] < len(rows[i].lines) && room > 0 {
				give[i]++
				room--
				again = true
			}
		}
	}
	var out []string
	for i, one := range rows {
		for j := range give[i] {
			name := ""
			if j == 0 {
				name = one.name
			}
			text := one.lines[j]
			if left := len(one.lines) - give[i]; j == give[i]-1 && left > 0 {
				text = cut(text, screenColumns-10-16) + fmt.Sprintf("  … and %d more", left)
			}
			out = append(out, pad(name, 10)+cut(text, screenColumns-10))
		}
	}
	return out
}

// columns is the width of a text in terminal columns.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// cut shortens a text to the given width.
func cut(s string, room int) string {
	if columns(s) <= room {
		return s
	}
	var b strings.Builder
	n := 0
	for _, r := range s {
		c := columns(string(r))
		if n+c > room-1 {
			break
		}
		n += c
		b.WriteRune(r)
	}
	return b.String() + "…"
}

// wrap breaks a text into at most the given number of lines.
func wrap(s string, room, most int) []string {
	var out []string
	for len(out) < most-1 && columns(s) > room {
		at := strings.LastIndexByte(cut(s, room), ' ')
		if at <= 0 {
			break
		}
		out = append(out, s[:at])
		s = s[at+1:]
	}
	return append(out, cut(s, room))
}

// pad pads a text to the given width.
func pad(s string, room int) string {
	s = cut(s, room)
	return s + strings.Repeat(" ", max(0, room-columns(s)))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
	}
	return plural(int(n), "byte")
}
