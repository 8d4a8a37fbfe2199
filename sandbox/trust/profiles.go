package trust

import (
	"os"
	"path/filepath"

	"mcpen/sandbox/launch"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/user"
)

// ProfilesAt are the profiles that paths name.
func ProfilesAt(at user.Dirs, paths []string) ([]string, error) {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	var out []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil || !info.IsDir() {
			out = append(out, p)
			continue
		}
		var found []string
		for _, pattern := range []string{".mcpen/*.toml", "*.toml"} {
			if found, _ = filepath.Glob(filepath.Join(p, pattern)); len(found) > 0 { // the pattern is good
				break
			}
		}
		if len(found) == 0 {
			return nil, launch.Usage("mcpen trust PATH", "there is no profile in %q, and none in a .mcpen there", origin.RealFile(at, p))
		}
		out = append(out, found...)
	}
	return out, nil
}
