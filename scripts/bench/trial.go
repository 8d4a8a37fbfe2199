package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// trials measures "mcpen try" of packages that are installed: the whole trial without
// the idle time, and how long a program takes to answer that is watched, beside one that
// runs.
func trials(bin string, n int) {
	for _, ref := range []string{"npm:@modelcontextprotocol/server-memory", "pypi:mcp-server-time"} {
		cache, err := os.UserCacheDir()
		if err != nil {
			fail(err)
		}
		// Not below /tmp: there a tree is in the server's own folder.
		home, err := os.MkdirTemp(cache, "mcpen-bench-trial-")
		if err != nil {
			fail(err)
		}
		defer removeReadOnly(home)
		in := []string{"env", "XDG_CONFIG_HOME=" + home + "/config", "XDG_STATE_HOME=" + home + "/state", bin}
		run := &kind{name: "run", argv: append(in[:len(in):len(in)], "run", "--quiet", ref)}
		try := &kind{name: "try", argv: append(in[:len(in):len(in)], "try", "--json", "--watch", "0s", ref)}
		whole := &kind{name: "try", argv: try.argv}
		for i := range n + 1 { // the first installs
			began := time.Now()
			c := talk(run.argv)
			c.ask(hello, "0")
			answered := time.Since(began)
			c.end()
			began = time.Now()
			watched := tried(try.argv)
			if i > 0 {
				run.took, try.took, whole.took = append(run.took, answered), append(try.took, watched), append(whole.took, time.Since(began))
			}
		}
		report("answers, "+ref[:4], []*kind{run, try}, 1)
		report("whole trial, "+ref[:4], []*kind{whole}, 0)
	}
}

// tried holds one trial, and gives how long the program took to answer.
func tried(argv []string) time.Duration {
	cmd := exec.Command(argv[0], argv[1:]...)
	var out, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &wrong
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 3) {
		fail(fmt.Errorf("%q: %w: %s", argv, err, wrong.Bytes()))
	}
	var r struct {
		Start struct{ Seconds float64 }
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Start.Seconds == 0 {
		fail(fmt.Errorf("%q: no answer in its report: %v", argv, err))
	}
	return time.Duration(r.Start.Seconds * float64(time.Second))
}
