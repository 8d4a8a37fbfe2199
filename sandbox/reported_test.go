package sandbox_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"mcpen/sandbox/audit"
)

// An unreported refusal becomes a bug report against the server: people must see which
// thing it reached for. Each row is a probe, the refused call, and the errno that both
// the program and the log get.
func TestRefusedCallsAreTold(t *testing.T) {
	s := everybody(t)
	rows := []struct{ probe, call, errno string }{
		{"ptrace-seize", "ptrace", "EPERM"},
		{"unshare-user", "unshare", "EPERM"},
		{"clone-user", "clone", "EPERM"},
		{"keyctl-session", "keyctl", "EPERM"},
		{"add-key", "add_key", "EPERM"},
		{"mount-tmpfs", "mount", "EPERM"},
		{"fsopen", "fsopen", "EPERM"},
		{"bpf-map", "bpf", "EPERM"},
		{"perf-event", "perf_event_open", "EPERM"},
		{"userfaultfd", "userfaultfd", "EPERM"},
		{"personality-bit32", "personality", "EPERM"},
		{"fchmodat-suid", "fchmodat", "EPERM"},
		{"tiocsti-bit32", "ioctl", "EPERM"},
	}
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.probe)
	}
	out, err := s.Output(filepath.Join(s.World.Project, "results.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	world := s.World
	world.Inside, world.Pid, world.Tmp = true, 1, "/tmp"
	text, err := json.Marshal(world)
	if err != nil {
		t.Fatal(err)
	}
	p := hostilePlan(t, s, append([]string{"run", string(text), out}, ids...)...)
	if !p.Seccomp.Notify {
		t.Skipf("this kernel gives no notification of refused calls: %v", p.Gaps)
	}
	told := map[string]string{}
	for _, e := range runBox(t, s, p) {
		if e.Kind == audit.KindSyscall && e.Verdict == audit.Refused {
			told[e.Subject] = e.Errno
		}
	}
	for _, r := range rows {
		if got, ok := told[r.call]; !ok {
			t.Errorf("%s: nobody was told that %s was refused", r.probe, r.call)
		} else if got != r.errno {
			t.Errorf("%s: told %s for %s, want %s", r.probe, got, r.call, r.errno)
		}
	}
}
