package audit

import (
	"fmt"
	"strings"
	"time"
)

// FormatText formats the event as one line for a person, without a line end: the time,
// the server, the deed, and then, if known, the rule and the right that would allow it.
// A stranger's text is made visible. The time is shown in its own zone.
func FormatText(e Event) string {
	text, advice := FormatApart(e)
	if advice != "" {
		text += "; " + advice
	}
	return text
}

// FormatApart returns FormatText in two parts. The second is the right that would allow the
// event; a caller keeps it on one line, because a person pastes it.
func FormatApart(e Event) (text, advice string) {
	s := fmt.Sprintf("%s %s %s", e.Time.Format("2006-01-02 15:04:05.000"), strings.TrimSpace(Visible(e.Server)+" "+Visible(e.Package)), FormatDeed(e))
	if e.Rule != "" {
		s += "; rule " + Visible(cut(e.Rule))
	}
	allow := "to allow it: "
	if e.Kind == KindStart || e.Kind == KindPackage {
		allow = "to mend it: " // nothing was refused to the server
	}
	if advice = e.Advice(); advice != "" {
		advice = allow + Visible(cut(advice))
	}
	return s, advice
}

// FormatDeed formats what happened: the verdict and its subject, and then, if known, the
// reason, the program and the request.
func FormatDeed(e Event) string {
	var b strings.Builder
	part := func(before, text, after string) {
		if text != "" {
			b.WriteString(before + Visible(cut(text)) + after)
		}
	}
	b.WriteString(what(e))
	part(" ", e.Subject, "")
	if e.Address != e.Subject {
		part(" (", e.Address, ")")
	}
	part(": ", e.Detail, "")
	part(" [", e.Errno, "]")
	b.WriteString(ending(e))
	if e.Program != "" || e.PID != 0 {
		fmt.Fprintf(&b, ", by %s[%d]", Visible(cut(e.Program)), e.PID)
	}
	b.WriteString(during(e.Request))
	return b.String()
}

func what(e Event) string {
	if e.Verdict == Observed {
		return Visible(string(e.Kind))
	}
	return Visible(string(e.Verdict) + " " + string(e.Kind))
}

// ending describes the end of a connection or of the server.
func ending(e Event) string {
	var s []string
	if e.Code != nil {
		s = append(s, fmt.Sprintf("exit code %d", *e.Code))
	}
	if e.Signal != "" {
		s = append(s, Visible(e.Signal))
	}
	if e.Sent != 0 || e.Received != 0 {
		s = append(s, fmt.Sprintf("sent %d, received %d bytes", e.Sent, e.Received))
	}
	if e.Duration != 0 {
		s = append(s, "after "+e.Duration.Round(time.Millisecond).String())
	}
	if len(s) == 0 {
		return ""
	}
	return ", " + strings.Join(s, ", ")
}

func during(r *Request) string {
	if r == nil {
		return ""
	}
	s := r.Method
	if r.Name != "" {
		s += " " + r.Name
	}
	s = fmt.Sprintf("; during %s, id %s", Visible(cut(s)), Visible(cut(string(r.ID))))
	switch {
	case r.Others == 1:
		s += ", with 1 other"
	case r.Others > 1:
		s += fmt.Sprintf(", with %d others", r.Others)
	}
	return s
}
