package main

import (
	"errors"
	"fmt"
	"io/fs"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
)

// session is one session of a server, by its events.
type session struct {
	start   audit.Event
	refused []tally // in order
	total   int     // refusals, those beyond maxTallies among them
}

// tally is one refusal, and how often it came.
type tally struct {
	event audit.Event
	count int
}

// maxTallies bounds the different refusals of one session that are kept.
const maxTallies = 1000

// readLast reads the last session that has begun.
func readLast(o logOptions) (session, error) {
	if o.Server != "" {
		var err error
		if o.Server, err = catalog.Meant(logged(o.Dir), o.Server); err != nil {
			return session{}, err
		}
	}
	if err := o.unknown(); err != nil {
		return session{}, err
	}
	r, err := audit.OpenReader(o.Dir, audit.Filter{Server: o.Server})
	if errors.Is(err, fs.ErrNotExist) {
		return session{}, fmt.Errorf("nothing was recorded yet: there is no %q", o.Dir)
	}
	if err != nil {
		return session{}, fmt.Errorf("cannot read the log: %w", err)
	}
	defer r.Close()
	var s session
	if err := r.Read(s.see); err != nil {
		return session{}, fmt.Errorf("cannot read the log: %w", err)
	}
	switch {
	case s.start.Time.IsZero():
		return session{}, &launch.Error{Code: 1, Err: errors.New("no session was recorded yet"), Hint: "mcpen run NAME"}
	case s.start.Verdict == audit.Refused:
		return session{}, &launch.Error{Code: 1, Err: fmt.Errorf("%s did not start: %s", s.start.Server, s.start.Detail), Hint: s.start.Hint}
	}
	return s, nil
}

// see takes the next event. Sessions of several servers, or of one that runs twice, come
// mixed.
func (s *session) see(e audit.Event) error {
	switch {
	case e.Kind == audit.KindStart:
		*s = session{start: e}
	case e.Session != s.start.Session || e.Verdict != audit.Refused && e.Verdict != audit.Held:
	default:
		s.total++
		for i, t := range s.refused {
			if same(t.event, e) {
				s.refused[i].count++
				return nil
			}
		}
		if len(s.refused) < maxTallies {
			s.refused = append(s.refused, tally{e, 1})
		}
	}
	return nil
}

// same reports whether two refusals are one for a person.
func same(a, b audit.Event) bool {
	return a.Kind == b.Kind && a.Subject == b.Subject && a.Verdict == b.Verdict && a.Rule == b.Rule && a.Advice() == b.Advice()
}
