package catalog

import (
	"path/filepath"
	"strings"

	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

// InstallRules are those of a profile, by name or path, or the default ones if there is
// none, within the machine's baseline.
func InstallRules(at user.Dirs, profile string) (policy.Install, error) {
	rules, _, err := PackageRules(at, profile)
	return rules, err
}

// PackageRules returns a profile's rules for installs and the package that it asks for,
// "" if there is none.
func PackageRules(at user.Dirs, profile string) (rules policy.Install, wanted string, err error) {
	baselines, err := Baselines(at, "")
	if err != nil {
		return policy.Install{}, "", err
	}
	file, data, err := Loader(at)(profile, "")
	if err != nil { // a package that has no profile
		pol, err := policy.Resolve(&policy.Profile{Name: strings.TrimSuffix(filepath.Base(profile), ".toml")}, policy.Input{Baselines: baselines})
		return pol.Install, "", err
	}
	p, err := policy.Parse(file, data, Loader(at))
	if err != nil {
		return policy.Install{}, "", err
	}
	pol, err := policy.Resolve(p.InstallOnly(), policy.Input{Baselines: baselines})
	return pol.Install, pol.Server.Package, err
}
