package trial

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

var readsVariable = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:process\.env\.|process\.env\[["']|os\.environ\.get\(\s*["']|os\.environ\[["']|os\.getenv\(\s*["']|getenv\(\s*["']|env\.)([A-Z][A-Z0-9_]{3,60})`)
})

// Variables lists the variables of the code in a folder, without its dependencies.
func Variables(dir string) []string {
	var out []string
	left := int64(24 << 20)
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || left <= 0 || len(out) >= 256 {
			return fs.SkipAll
		}
		if d.IsDir() && p != dir && (d.Name() == "node_modules" || d.Name() == "site-packages" || d.Name() == "lib" && filepath.Base(dir) != "lib" && strings.Contains(dir, "bundle")) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || !slices.Contains([]string{".js", ".mjs", ".cjs", ".ts", ".py"}, filepath.Ext(p)) {
			return nil
		}
		f, err := os.Open(p)
		if err != nil {
			return nil
		}
		defer f.Close()
		text, _ := io.ReadAll(io.LimitReader(f, 4<<20))
		left -= int64(len(text))
		for _, m := range readsVariable().FindAllSubmatch(text, 512) {
			if name := string(m[1]); !slices.Contains(out, name) && len(out) < 256 {
				out = append(out, name)
			}
		}
		return nil
	})
	slices.Sort(out)
	return out
}

var wordOfVariable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b[A-Z][A-Z0-9]*_[A-Z0-9_]{2,60}\b`) })

// GuessVariable is a value for a variable by its name, on a desk.
func GuessVariable(name string, d *Desk) string {
	switch {
	case strings.Contains(name, "URL"), strings.Contains(name, "URI"), strings.Contains(name, "ENDPOINT"):
		return Canned
	case strings.Contains(name, "EMAIL"), strings.Contains(name, "USER"):
		return d.User + "@example.com"
	case strings.Contains(name, "HOST"), strings.Contains(name, "DOMAIN"):
		return "www.example.com"
	case strings.Contains(name, "PORT"):
		return "443"
	case strings.Contains(name, "DIR"), strings.Contains(name, "PATH"), strings.Contains(name, "ROOT"):
		return "${desk}"
	}
	return "storefront"
}

// VariablesIn lists the variables that a program's words name.
func VariablesIn(words string) []string { return wordOfVariable().FindAllString(words, 32) }
