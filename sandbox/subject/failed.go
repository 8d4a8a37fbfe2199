package subject

import (
	"errors"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/server"
	"mcpen/sandbox/trial"
	"mcpen/sandbox/user"
)

// failed notes that a package did not install, with everything that is known of it.
func (s *Subject) failed(f *Finder, at user.Dirs, ref pack.Ref, lock pack.Lock, err error) {
	why := strings.TrimPrefix(err.Error(), "cannot install: ")
	for _, name := range []string{ref.String(), server.Bare(ref)} {
		why = strings.TrimPrefix(why, "cannot install "+name+": ")
	}
	s.lacking = &trial.Install{Failed: why, Refused: s.refused}
	var failure *install.Failure
	if errors.As(err, &failure) {
		lock = failure.Lock
		s.lacking.Words, s.lacking.Asked, s.lacking.Archives, s.lacking.Bytes = failure.Words, failure.Asked, failure.Archives, failure.Bytes
	}
	s.lacking.Hostile = errors.As(err, new(*pack.EscapeError))
	var source *pack.SourceError
	if errors.As(err, &source) {
		s.lacking.Failed += "; [install] build = [" + audit.TOMLString(source.Name) + "] in a profile allows it"
	}
	s.describe(f, at, ref, lock)
	if s.about.Name == "" {
		s.about.Name = server.Bare(ref)
	}
	if s.tree == nil { // what was chosen is not what is there
		s.about.Command, s.about.Bytes = nil, 0
	}
}

// maxRefused bounds what is remembered of an install.
const maxRefused = 32

// watch remembers what the jobs of an install are refused.
func (s *Subject) watch() func(audit.Event) {
	return func(e audit.Event) {
		reached := []audit.Kind{audit.KindConnect, audit.KindName, audit.KindFile}
		if e.Verdict != audit.Refused || !slices.Contains(reached, e.Kind) || e.Subject == "" {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if what := shortWord(e.Subject); len(s.refused) < maxRefused && !slices.Contains(s.refused, what) {
			s.refused = append(s.refused, what)
		}
	}
}
