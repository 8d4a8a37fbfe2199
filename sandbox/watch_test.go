package sandbox

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/notify"
)

// The log holds every refusal of the filter or the mediator, with the grant that would
// allow it, and the person hears of changes. A file that does not exist was not
// refused.
func TestCallsAreReported(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		call    notify.Call
		kind    audit.Kind // "": nothing is reported
		subject string
		grant   bool
		warned  bool
	}{
		"a call":                     {notify.Call{Name: "mount", Errno: unix.EPERM}, audit.KindSyscall, "mount", false, false},
		"a file":                     {notify.Call{Name: "openat", Path: "/etc/passwd", Errno: unix.EACCES}, audit.KindFile, "/etc/passwd", true, false},
		"a file that is nowhere":     {notify.Call{Name: "openat", Path: "/nowhere/x", Errno: unix.ENOENT}, "", "", false, false},
		"a file that may be made":    {notify.Call{Name: "openat", Path: filepath.Join(dir, "x"), Errno: unix.ENOENT}, audit.KindFile, filepath.Join(dir, "x"), true, false},
		"a protected place":          {notify.Call{Name: "openat", Path: "/w/.git/config", Place: "/w/.git", Why: "a reason", Errno: unix.EACCES}, audit.KindFile, "/w/.git/config", true, true},
		"beside a single file":       {notify.Call{Name: "openat", Path: "/w/a.tmp", Single: "/w/a", Folder: "/w", Errno: unix.EACCES}, audit.KindFile, "/w/a.tmp", true, true},
		"a single file of no folder": {notify.Call{Name: "rename", Path: "/w/a", Single: "/w/a", Errno: unix.EACCES}, audit.KindFile, "/w/a", false, true},
		"a socket":                   {notify.Call{Name: "connect", Path: "/run/x", Socket: true, Errno: unix.EACCES}, audit.KindConnect, "/run/x", true, true},
	} {
		said := newRecorder()
		var warned []audit.Event
		w := &watch{report: said.report, warnOf: func(e audit.Event) { warned = append(warned, e) }, inFlight: func() *audit.Request { return &audit.Request{Method: "m"} },
			barred: func(notify.Call) { t.Errorf("%s: it is a connection", name) }}
		data, err := json.Marshal(c.call)
		if err != nil {
			t.Fatal(err)
		}
		w.mediated(data)
		if c.kind == "" {
			if len(said.events) != 0 || len(warned) != 0 {
				t.Errorf("%s: %+v", name, said.events)
			}
			continue
		}
		if len(said.events) != 1 || len(warned) != map[bool]int{true: 1}[c.warned] {
			t.Fatalf("%s: reported %+v, warned of %d", name, said.events, len(warned))
		}
		if e := said.events[0]; e.Kind != c.kind || e.Subject != c.subject || e.Verdict != audit.Refused || e.Errno != unix.ErrnoName(c.call.Errno) || (e.Grant != nil) != c.grant || e.Request == nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
	said := newRecorder()
	barred := 0
	w := &watch{report: said.report, barred: func(notify.Call) { barred++ }}
	if w.saw(notify.Call{Name: "connect", Addr: netip.MustParseAddrPort("192.0.2.1:80")}); barred != 1 || len(said.events) != 0 {
		t.Errorf("a connection: %d, %+v", barred, said.events)
	}
	if w.mediated([]byte("{")); len(said.events) != 1 || said.events[0].Kind != audit.KindLog {
		t.Errorf("what cannot be read is reported as %+v", said.events)
	}
}
