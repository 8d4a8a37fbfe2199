package archive

import (
	"archive/zip"
	"fmt"
	"strings"

	"mcpen/sandbox/pack"
)

// checkDistInfo makes sure that a wheel has one dist-info: its own. A second one would
// be another package, unknown to the lock.
func checkDistInfo(files []*zip.File, name string) error {
	w, ok := pack.ParseWheel(name)
	if !ok {
		return fmt.Errorf("%q is no wheel's name", name)
	}
	found := ""
	for _, f := range files {
		for _, top := range []string{firstStep(InstalledAt(f.Name)), firstStep(f.Name)} {
			stem, is := strings.CutSuffix(top, ".dist-info")
			if !is {
				stem, is = strings.CutSuffix(top, ".egg-info")
			}
			if !is {
				continue
			}
			project, version, _ := strings.Cut(stem, "-")
			if pack.NormalizePyPI(project) != w.Name || !pack.SamePyPIVersion(version, w.Version) || found != "" && found != top {
				return fmt.Errorf("it brings %q, which is another package", top)
			}
			found = top
		}
	}
	if !strings.HasSuffix(found, ".dist-info") {
		return fmt.Errorf("it has no dist-info of %s %s", w.Name, w.Version)
	}
	return nil
}

func firstStep(p string) string {
	s, _, _ := strings.Cut(p, "/")
	return s
}

// InstalledAt is where an installer puts a wheel's file, below its target
// directory; "" for nowhere (PEP 427).
func InstalledAt(name string) string {
	top, rest, ok := strings.Cut(name, "/")
	if !ok || !strings.HasSuffix(top, ".data") {
		return name
	}
	scheme, rest, _ := strings.Cut(rest, "/")
	switch scheme {
	case "purelib", "platlib", "data":
		return rest
	case "scripts":
		return "bin/" + rest
	}
	return ""
}
