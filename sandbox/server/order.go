package server

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

// Order is the order to start the server with the values of its secrets.
func (p *Prepared) Order(secrets map[string]plan.Opaque) launch.Order {
	o := launch.NewOrder(p.Plan.WithSecrets(secrets))
	o.Bus, o.Logs, o.Config, o.State = p.Dirs.Bus, user.LogDir(p.Dirs), p.Dirs.Config, p.Dirs.State
	o.Allow, o.Withheld = p.Choice.Allow(p.Dirs), p.withheld
	o.Death, o.Pins = p.skippedScripts(), p.pins()
	o.Keep = p.Policy.Tools.Pins != policy.PinOff || p.Policy.Tools.Findings == policy.FindingHold
	return o
}

// Allow is the server's word for "mcpen allow", from wherever that is typed; "" for a
// command alone, which has no profile to write into.
func (ch Choice) Allow(at user.Dirs) string {
	switch {
	case ch.Unwritten() && ch.Target.Kind == ByPackage:
		return Bare(ch.Target.Ref)
	case ch.Unwritten():
		return ""
	case isPath(ch.Profile) && !filepath.IsAbs(ch.Profile):
		return filepath.Join(at.Cwd, ch.Profile)
	}
	return ch.Profile
}

// skippedScripts is a hint for a server that ends with an error: which packages of
// its lock have install scripts that did not run. Some do not work without.
func (p *Prepared) skippedScripts() string {
	if p.Package.Name == "" {
		return ""
	}
	data, err := os.ReadFile(p.pins().Lock)
	if err != nil || !bytes.Contains(data, []byte("\ninstall-scripts = true\n")) {
		return ""
	}
	l, err := pack.ParseLock(data)
	if err != nil {
		return ""
	}
	var names, quotes []string
	for _, d := range l.Dependencies {
		if n := d.PackageName(); d.Scripts && !slices.Contains(l.Scripts, n) && !slices.Contains(names, n) {
			names, quotes = append(names, n), append(quotes, fmt.Sprintf("%q", n))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("the install scripts of %s were not run; if the server needs them: [install] scripts = [%s], then mcpen remove %s and run again",
		audit.Visible(strings.Join(names, ", ")), audit.Visible(strings.Join(quotes, ", ")), p.Policy.Name)
}
