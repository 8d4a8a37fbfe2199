package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// packages measures a package from the start to the initialize answer. It compares
// mcpen with a lock with the usual entries of clients: npx and, if installed, uvx, both
// with warm caches.
func packages(bin string, n int) {
	fromRegistry(bin, "npm:@modelcontextprotocol/server-everything", []string{"npx", "-y", "@modelcontextprotocol/server-everything"}, n)
	fromRegistry(bin, "pypi:mcp-server-time", []string{"uvx", "mcp-server-time"}, n)
}

// coldInstalls compares mcpen add with the host's own install of the same package, both
// from empty caches. mcpen adds a sandbox, a check of every archive, and a frozen copy.
func coldInstalls(bin string, n int) {
	cache, err := os.UserCacheDir()
	if err != nil {
		fail(err)
	}
	for _, p := range []struct{ ref, tool string }{{"npm:@modelcontextprotocol/server-everything", "npm"}, {"pypi:mcp-server-time", "pip"}} {
		what := "cold install " + p.ref[:4]
		if _, err := exec.LookPath(p.tool); err != nil {
			fmt.Printf("%-24s %s is not here, not measured\n", what, p.tool)
			continue
		}
		kinds := []*kind{{name: p.tool}, {name: "mcpen"}}
		for range n {
			for _, k := range kinds {
				dir, err := os.MkdirTemp(cache, "mcpen-bench-cold-")
				if err != nil {
					fail(err)
				}
				name := p.ref[5:]
				argv := []string{"env", "XDG_CONFIG_HOME=" + dir + "/config", "XDG_STATE_HOME=" + dir + "/state", bin, "add", p.ref}
				switch k.name {
				case "npm":
					argv = []string{"npm", "install", "--prefix", dir, "--cache", dir + "/cache", "--ignore-scripts", "--no-audit", "--no-fund", p.ref[4:]}
				case "pip":
					argv = []string{"python3", "-m", "pip", "install", "--quiet", "--no-cache-dir", "--target", dir + "/lib", name}
				}
				began := time.Now()
				if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
					fail(fmt.Errorf("%v: %w: %s", argv, err, out))
				}
				k.took = append(k.took, time.Since(began))
				removeReadOnly(dir)
			}
		}
		report(what, kinds, 1)
	}
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
