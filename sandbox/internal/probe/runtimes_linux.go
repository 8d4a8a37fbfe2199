package probe

import (
	_ "embed"
	"encoding/json"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// The scripts are the same attacks in the languages of servers, because a runtime has
// ways of its own: a thread pool, workers, io_uring, a loader of native code.
var (
	//go:embed scripts/hostile.js
	nodeScript string
	//go:embed scripts/hostile.py
	pythonScript string
)

// runtimes are attacks by scripts.
func runtimes() []Probe {
	var probes []Probe
	since := map[string]int{"tcp-host": 4, "kill-stranger": 6}
	row := func(id, loss, want string, by Layers, twin Twin, argv func(World) []string) {
		runtime, attack, _ := strings.Cut(id, "-")
		probes = append(probes, Probe{ID: id, Loss: loss, How: attack + " from a script in " + runtime,
			Want: want, By: by, Since: since[attack], Twin: twin, Absent: "ENOTSUP",
			Run: func(w World) Result { return script(w, attack, argv(w)) }})
	}
	for _, a := range []struct {
		attack, loss, want string
		by                 Layers
		twin               Twin
		only               string
	}{
		{"read-key", "the private key", "ENOENT", Namespaces | Landlock, TwinPlain, ""},
		{"read-key-promise", "the private key", "ENOENT", Namespaces | Landlock, TwinPlain, "node"},
		{"read-key-worker", "the private key", "ENOENT", Namespaces | Landlock, TwinPlain, "node"},
		{"read-key-child", "the private key", "ENOENT", Namespaces | Landlock, TwinPlain, ""},
		{"write-outside", "any file", "ENOENT", Namespaces | Landlock, TwinPlain, ""},
		{"tcp-host", "services on the host's loopback", "EACCES", Namespaces | Landlock, TwinPlain, ""},
		{"unix-path", "whatever answers there", "ENOENT", Namespaces, TwinPlain, ""},
		{"kill-stranger", "the user's other programs", "ESRCH", Namespaces | Landlock, TwinPlain, ""},
		{"environment", "tokens of other programs", Held, Namespaces, TwinPlain, ""},
		{"setuid", "another user's files", "EPERM|EINVAL", Namespaces, TwinRoot, ""},
		{"interfaces", "the addresses of the machine", Held, Namespaces, TwinPlain, "node"},
		{"unshare", "every capability over new namespaces", "EPERM", Namespaces | Seccomp, TwinPlain, "python"},
		{"ptrace", "everything the traced process may do", "EPERM", Namespaces | Landlock | Seccomp, TwinPlain, "python"},
		{"vsock", "the host of a virtual machine", "EAFNOSUPPORT", Seccomp, TwinPlain, "python"},
	} {
		if a.only != "python" {
			row("node-"+a.attack, a.loss, a.want, a.by, a.twin, func(w World) []string {
				return command(w.Node, "-e", nodeScript, "--")
			})
		}
		if a.only != "node" {
			row("python-"+a.attack, a.loss, a.want, a.by, a.twin, func(w World) []string {
				return command(w.Python, "-c", pythonScript)
			})
		}
	}
	return probes
}

// command returns an argv, or nil if the program is not installed.
func command(program string, args ...string) []string {
	if program == "" {
		return nil
	}
	return append([]string{program}, args...)
}

// script runs one attack and reads its result from stdout.
func script(w World, attack string, argv []string) Result {
	if argv == nil {
		return refused(unix.ENOTSUP)
	}
	world, err := json.Marshal(w)
	if err != nil {
		return refused(err)
	}
	cmd := exec.Command(argv[0], append(argv[1:], attack, string(world))...)
	// With io_uring node refuses to change its user by itself (CVE-2024-22017).
	cmd.Env = append(os.Environ(), "UV_USE_IO_URING=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r := ended(err)
		r.OK, r.Detail = false, r.Detail+" "+stderr.String()
		return r
	}
	errno, detail, _ := strings.Cut(string(out), " ")
	if errno == "ok" {
		return worked(detail)
	}
	return Result{Errno: errno, Detail: detail}
}
