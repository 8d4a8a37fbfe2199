package launch

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/plan"
)

// Journal is the log of one run, with the profile's choice for a log that cannot be
// written.
type Journal struct {
	log  *audit.Log // nil if it could not be opened and the profile continues without
	stop bool
	tell io.Writer
	told atomic.Bool
	err  atomic.Pointer[error]
}

// OpenJournal opens the log of a plan's server below dir; "" means that there is no
// directory. If the log cannot be opened, the profile decides: OpenJournal returns an
// error, or it warns on tell and continues without. The caller must close the Journal.
func OpenJournal(p plan.Plan, dir string, tell io.Writer) (*Journal, error) {
	j := &Journal{stop: p.Log.Stop, tell: tell}
	err := errors.New("no HOME and no XDG_STATE_HOME")
	if dir != "" {
		o := audit.Options{Server: p.Name, Args: p.Log.Arguments}
		for _, s := range p.Process.Secrets {
			o.Secrets = append(o.Secrets, string(s.Value))
		}
		j.log, err = audit.Open(dir, o)
	}
	if err == nil {
		return j, nil
	}
	if j.stop {
		return nil, &Error{Code: ExitSandbox, Err: fmt.Errorf("cannot open the log, and the profile wants one: %w", err), Hint: "[log]\non-error = \"continue\""}
	}
	warn(tell, "no log of this run: %v", err)
	return j, nil
}

// Write is the sink of the run.
func (j *Journal) Write(e audit.Event) error {
	if j.log == nil {
		return nil
	}
	err := j.log.Write(e)
	if err == nil {
		return nil
	}
	j.err.CompareAndSwap(nil, &err)
	if !j.told.Swap(true) {
		warn(j.tell, "cannot write the log: %v", err)
	}
	if j.stop {
		return err
	}
	return nil
}

// failed returns the first write error, if the profile stops the run for it.
func (j *Journal) failed() error {
	if err := j.err.Load(); err != nil && j.stop {
		return &Error{Code: ExitSandbox, Err: fmt.Errorf("cannot write the log: %w", *err)}
	}
	return nil
}

// Close closes the log.
func (j *Journal) Close() {
	if j.log != nil {
		j.log.Close()
	}
}
