package subject

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

// byProfile tries the package or the command that a profile names.
func (f *Finder) byProfile(ctx context.Context, at user.Dirs, o Options, s *Subject) error {
	file, data, err := catalog.Loader(at)(o.Server, "")
	switch _, wrong := pack.ParseRef("npm:" + o.Server); {
	case err != nil && strings.Contains(o.Server, "://"):
		return launch.Usage("mcpen try npm:NAME", "cannot try the address %q: what is tried is a package, a program, a bundle, a server.json or a profile", o.Server)
	case err != nil && wrong == nil && policy.DidYouMean(o.Server, catalog.Names(at)) == "":
		hint := "mcpen try npm:" + o.Server
		if !strings.HasPrefix(o.Server, "@") {
			hint += ", or pypi:" + o.Server
		}
		return launch.Usage(hint, "there is no profile %q; a package has its registry in front", o.Server)
	case err != nil:
		return catalog.NoProfile(at, o.Server, err)
	}
	var p struct {
		Server struct {
			Package string
			Command []string
			Args    []string
		}
	}
	if _, err := toml.Decode(string(data), &p); err != nil {
		return &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("%s: %w", file, err)}
	}
	own := slices.DeleteFunc(p.Server.Args, func(arg string) bool { return strings.Contains(arg, "${") })
	if p.Server.Package != "" {
		ref, err := pack.ParseRef(p.Server.Package)
		if err != nil {
			return &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("%s: %w", file, err)}
		}
		s.args = own
		return f.byPackage(ctx, at, ref, slices.Concat(own, o.Args), o.Install, s)
	}
	if len(p.Server.Command) == 0 {
		return launch.Usage("mcpen try npm:NAME", "the profile %q names neither a command nor a package", o.Server)
	}
	return f.byCommand(at, slices.Concat(p.Server.Command, own, o.Args), s)
}
