package addition

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/user"
)

// describe prints a registry's description of a release.
func (a *Adder) describe(r registry.Release) {
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	row := func(what, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", what, audit.Visible(value))
		}
	}
	row("package", r.Ref.String())
	if !r.Published.IsZero() {
		row("published", r.Published.UTC().Format("2006-01-02"))
	}
	row("publisher", r.Publisher)
	row("licence", r.License)
	row("deprecated", r.Deprecated)
	row("install scripts", strings.Join(r.Scripts, ", "))
	if r.Ref.Ecosystem == pack.NPM { // PyPI's index does not tell
		row("dependencies", fmt.Sprint(r.Dependencies))
	}
	if r.Newest != "" {
		row("newest", r.Newest)
	}
	w.Flush()
	for _, n := range r.Notes {
		fmt.Fprintf(a.Out, "note: %s\n", audit.Visible(n))
	}
}

// about is a size for a person, who does not want to know it to the byte.
func about(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return user.Count(int(n), "byte")
}
