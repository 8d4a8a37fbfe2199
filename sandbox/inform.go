package sandbox

import "mcpen/sandbox/audit"

// inform sends a message to the client's log about what was refused to the
// server while it works on a request of the client's. That is said once, and only
// where the client takes such messages.
func (b *Box) inform(e audit.Event) {
	r := b.carrier.relay.Load() // behind it the guard is there
	if r == nil || e.Verdict != audit.Refused || e.Request == nil {
		return
	}
	what, ok := map[audit.Kind]string{audit.KindName: "the name ", audit.KindConnect: "a connection to ", audit.KindFile: "opening "}[e.Kind]
	if !ok {
		return
	}
	if line := b.guard.Message("mcpen refused " + what + audit.Visible(e.Subject)); line != nil {
		r.Offer(line)
	}
}
