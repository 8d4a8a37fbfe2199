package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"mcpen/profiles"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
)

// unknown returns an error if the named server has no log. With Follow it waits for one.
func (o logOptions) unknown() error {
	if o.Server == "" || o.Follow {
		return nil
	}
	servers := logged(o.Dir)
	if slices.Contains(servers, strings.TrimSuffix(audit.FileName(o.Server), ".jsonl")) {
		return nil
	}
	hint := policy.DidYouMean(o.Server, servers)
	// A package with a profile is called as that is.
	for _, from := range []string{"npm:", "pypi:"} {
		if name, ok := profiles.For(from + o.Server); ok && slices.Contains(servers, name) {
			hint = "mcpen log " + name
		}
	}
	return &launch.Error{Code: 1, Err: fmt.Errorf("nothing was recorded of %q", o.Server), Hint: hint}
}

// logged lists the servers with a log, rotated or not.
func logged(dir string) []string {
	var out []string
	files, _ := os.ReadDir(dir) // reading the log reports the error
	for _, f := range files {
		if name, _, ok := strings.Cut(f.Name(), ".jsonl"); ok {
			out = append(out, name)
		}
	}
	return out
}
