//go:build integration

package install

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/plan"
)

// Real servers from the registries that this machine's npm and pip are configured for:
// the installed servers must answer initialize.
func TestRealServers(t *testing.T) {
	in, _ := newInstaller(t, nil)
	in.Now = time.Now
	in.Progress = func(step, detail string) { t.Log(step, detail) }
	if uv, err := exec.LookPath("uv"); err == nil && os.Getenv("PACK_TEST_UV") != "" {
		in.Tools.UV = uv
	}
	for _, e := range []pack.Ecosystem{pack.NPM, pack.PyPI} {
		address, err := in.DefaultRegistry(context.Background(), e)
		if err != nil {
			t.Fatal(err)
		}
		if e == pack.NPM {
			in.NPM.URL = address
		} else {
			in.PyPI.URL = address
		}
	}
	for _, ref := range []string{"npm:@modelcontextprotocol/server-everything", "pypi:mcp-server-time"} {
		t.Run(ref, func(t *testing.T) {
			l, tree, err := add(in, mustRef(t, ref))
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			if text, err := l.Encode(); err != nil {
				t.Error(err)
			} else if _, err := pack.ParseLock(text); err != nil {
				t.Errorf("%v in\n%s", err, text)
			}
			e, err := EntryOf(tree, l)
			if err != nil {
				t.Fatal(err)
			}
			via := map[Runtime]plan.Program{RuntimeNode: {Path: in.Tools.Node}, RuntimePython: {Path: in.Tools.Python}}[e.Runtime]
			p, err := e.Program(tree, l, via, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s %s: %d packages, %d files, %d bytes; %v", l.Package, l.Version, len(l.Dependencies), l.Files, l.Bytes, p.Args)
			initialize(t, p)
			again := *in
			again.Store = newStore(t)
			start := time.Now()
			_, same, err := again.Restore(context.Background(), l)
			if err != nil {
				t.Fatal(err)
			}
			defer same.Close()
			t.Logf("restored in %s", time.Since(start))
			start = time.Now()
			opened, err := in.Store.Open(tree.Hash)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("opened in %s", time.Since(start))
			opened.Close()
		})
	}
}

func initialize(t *testing.T, p plan.Program) {
	t.Helper()
	cmd := exec.Command(p.Path, p.Args[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	for _, v := range p.Env {
		cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	fmt.Fprintln(stdin, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.Contains(line, `"serverInfo"`) {
		t.Errorf("initialize: %q, %v", line, err)
	}
}
