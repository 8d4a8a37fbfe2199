package explain

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/policy"
	"mcpen/sandbox/wholefile"
)

// clientFiles are the configurations of clients that a repository may bring.
var clientFiles = []string{".mcp.json", ".cursor/mcp.json", ".vscode/mcp.json"}

// clientWords lists the words in a project's client configurations that affect mcpen:
// variables that move its directories, and options that narrow less. They change
// nothing of the trusted content, but tell who wrote the project.
func clientWords(top string) []string {
	type entry struct {
		Args []string          `json:"args"`
		Env  map[string]string `json:"env"`
	}
	var out []string
	for _, name := range clientFiles {
		data, err := wholefile.Read(filepath.Join(top, name), policy.MaxFile)
		if err != nil {
			continue // it has none
		}
		var all struct {
			MCPServers map[string]entry `json:"mcpServers"`
			Servers    map[string]entry `json:"servers"`
		}
		if json.Unmarshal(data, &all) != nil {
			continue // no client can read it either
		}
		for _, servers := range []map[string]entry{all.MCPServers, all.Servers} {
			for _, server := range slices.Sorted(maps.Keys(servers)) {
				e := servers[server]
				for _, v := range slices.Sorted(maps.Keys(e.Env)) {
					if v == "HOME" || v == "PATH" || v == "TMPDIR" || strings.HasPrefix(v, "XDG_") || strings.HasPrefix(v, "LD_") {
						out = append(out, fmt.Sprintf("%s sets %s=%s for %q", name, v, e.Env[v], server))
					}
				}
				if words := options(e.Args); words != "" {
					out = append(out, fmt.Sprintf("%s says %s for %q", name, words, server))
				}
			}
		}
	}
	return out
}

// options lists the options among arguments that choose a server's restrictions.
func options(args []string) string {
	var out []string
	for i, a := range args {
		name, _, joined := strings.Cut(a, "=")
		if !slices.Contains([]string{"--without", "--baseline", "--workspace", "--set", "--yes"}, name) {
			continue
		}
		out = append(out, a)
		if !joined && name != "--yes" && i+1 < len(args) {
			out = append(out, args[i+1])
		}
	}
	return strings.Join(out, " ")
}
