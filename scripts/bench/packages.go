package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// packages measures a package from the start to the initialize answer: mcpen with
// a lock beside what clients are usually told to write, npx and, where it is
// installed, uvx, both with warm caches.
func packages(bin string, n int) {
	fromRegistry(bin, "npm:@modelcontextprotocol/server-everything", []string{"npx", "-y", "@modelcontextprotocol/server-everything"}, n)
	fromRegistry(bin, "pypi:mcp-server-time", []string{"uvx", "mcp-server-time"}, n)
}

// fromRegistry measures one package, in turns, with a home of mcpen's own. The
// first start of each kind fills its cache and writes the lock.
func fromRegistry(bin, ref string, peer []string, n int) {
	what := "package " + ref[:4]
	if _, err := exec.LookPath(peer[0]); err != nil {
		fmt.Printf("%-24s %s is not here, not measured\n", what, peer[0])
		return
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		fail(err)
	}
	// Not below /tmp: there a tree is in the server's own folder.
	home, err := os.MkdirTemp(cache, "mcpen-bench-packages-")
	if err != nil {
		fail(err)
	}
	defer removeReadOnly(home)
	kinds := []*kind{
		{name: peer[0], argv: peer},
		{name: "mcpen", argv: []string{"env", "XDG_CONFIG_HOME=" + home + "/config", "XDG_STATE_HOME=" + home + "/state", bin, "run", "--quiet", ref}},
	}
	for i := range n + 1 {
		for _, k := range kinds {
			began := time.Now()
			c := talk(k.argv)
			c.ask(hello, "0")
			if i > 0 {
				k.took = append(k.took, time.Since(began))
			}
			c.end()
		}
	}
	report(what, kinds, 1)
	fmt.Printf("%-24s %-6s answers %.2f× sooner than %s\n", what, "mcpen", float64(kinds[0].median())/float64(kinds[1].median()), peer[0])
}

// removeReadOnly removes a folder in which a package store is.
func removeReadOnly(dir string) {
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(p, 0o700)
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		fail(err)
	}
}
