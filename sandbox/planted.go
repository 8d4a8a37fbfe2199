package sandbox

import (
	"context"
	"path/filepath"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/internal/quarantine"
)

// guardFolders watches the writable folders for places that code outside trusts.
func (b *Box) guardFolders() error {
	scan := func(dir string) ([]string, error) { return host.Below(context.Background(), dir) }
	w, err := quarantine.Start(b.plan.Watch, scan, filepath.Join(b.plan.Quarantine, b.session.id), b.planted)
	if err != nil {
		return &Lack{Step: "guard the writable folders", Err: err}
	}
	b.watch = w
	return nil
}

// planted tells of one place that the server made.
func (b *Box) planted(p quarantine.Planted) {
	e := audit.Event{Kind: audit.KindPlanted, Verdict: audit.Refused, Subject: p.Path, Request: b.carrier.inFlight(),
		Hint: "[filesystem] unprotect = [\"" + p.Path + "\"]"}
	if p.Err != nil {
		e.Detail = "it appeared while the server ran and could not be moved: " + p.Err.Error()
	} else {
		e.Detail = "it appeared while the server ran and was moved to " + p.Moved
	}
	b.record(e)
	b.tell(e)
}
