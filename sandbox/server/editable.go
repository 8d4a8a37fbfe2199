package server

import (
	"cmp"
	"fmt"
	"path/filepath"

	"mcpen/profiles"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// WritableProfile is the file of a server's profile and its text, for somebody who
// changes it. For a profile that mcpen carries it is a new one that extends it, and for
// a package that has a lock and no profile one that names the package. A profile that
// others share is an error, unless shared says that it may be changed.
func (c *Caller) WritableProfile(at user.Dirs, word string, shared bool) (string, []byte, error) {
	n, err := c.Named(at, word)
	if err != nil {
		return "", nil, err
	}
	name := cmp.Or(n.Profile, word)
	file, data, err := catalog.Loader(at)(name, "")
	switch {
	case err != nil && isRef(word) && n.Profile == "" && wholefile.Exists(n.Lock):
		t, err := Words{Profile: word}.Target()
		own := filepath.Join(at.Config, "profiles", n.Name+".toml")
		return own, fmt.Appendf(nil, "version = 1\nname = %q\n\n[server]\npackage = %q\n", n.Name, Bare(t.Ref)), err
	case err != nil && n.Name != word && n.Profile == "":
		return "", nil, launch.Usage("mcpen add "+word, "%s has no profile yet", word)
	case err != nil:
		return "", nil, catalog.NoProfile(at, name, err)
	}
	if profiles.Ships(file) {
		own := filepath.Join(at.Config, "profiles", name+".toml")
		return own, fmt.Appendf(nil, "version = 1\nname = %q\nextends = [%q]\n", name, name), nil
	}
	if why := origin.Foreign(at, file); why != "" && !shared {
		return "", nil, &launch.Error{Code: launch.ExitRefused, Err: fmt.Errorf("%q is not yours alone: %s", file, why),
			Hint: "add --repository, which asks everybody who has it to trust it again"}
	}
	return origin.RealFile(at, file), data, nil
}
