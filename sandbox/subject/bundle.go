package subject

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/program"
	"mcpen/sandbox/server"
	"mcpen/sandbox/trial"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// IsBundle reports whether a word names a bundle.
func IsBundle(server string) bool {
	return strings.HasSuffix(server, ".mcpb") || strings.HasSuffix(server, ".dxt")
}

// BundleFolder is where a bundle is unpacked for the profile that a file holds.
func BundleFolder(profile string) string { return strings.TrimSuffix(profile, ".toml") + ".bundle" }

// ownFolder stands in a value for the folder of the program.
const ownFolder = "${own}"

// byBundle unpacks an MCPB bundle and finds the program that it starts.
func (f *Finder) byBundle(ctx context.Context, at user.Dirs, o Options, s *Subject) error {
	mistake := func(err error) error {
		return &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("cannot read the bundle %q: %w", o.Server, err)}
	}
	z, err := zip.OpenReader(o.Server)
	if err != nil {
		return mistake(err)
	}
	defer z.Close()
	if s.temp, err = os.MkdirTemp(runtimeDir(at), "try-"); err != nil {
		return fmt.Errorf("cannot make a folder for a trial: %w", err)
	}
	for _, f := range z.File {
		if !filepath.IsLocal(f.Name) {
			s.about.Name = shortWord(filepath.Base(o.Server))
			s.lacking = &trial.Install{Failed: fmt.Sprintf("entry %q leads out of the bundle", f.Name), Hostile: true}
			return nil
		}
	}
	s.dir = filepath.Join(s.temp, "program")
	if err := trial.Unzip(&z.Reader, s.dir); err != nil {
		return mistake(err)
	}
	data, err := wholefile.Read(filepath.Join(s.dir, "manifest.json"), policy.MaxFile)
	if err != nil {
		return mistake(err)
	}
	d, err := pack.ReadDraft(data)
	if err != nil {
		return mistake(err)
	}
	s.described(d)
	if d.Ref.Name != "" {
		return f.byPackage(ctx, at, d.Ref, slices.Concat(s.args, o.Args), o.Install, s)
	}
	if len(d.Command) == 0 {
		return mistake(errors.New("its manifest names no command"))
	}
	s.bundle = true
	s.name, s.about.Name = server.NameOf(pack.Ref{Name: d.Name}), shortWord(d.Name+" ("+filepath.Base(o.Server)+")")
	argv := slices.Clone(d.Command)
	for i, w := range argv {
		w = strings.ReplaceAll(w, "${__dirname}", s.dir)
		if st, err := os.Stat(filepath.Join(s.dir, w)); !filepath.IsAbs(w) && (i == 0 && strings.Contains(w, "/") || i > 0 && err == nil && st.Mode().IsRegular()) {
			w = filepath.Join(s.dir, w)
		}
		argv[i] = w
	}
	for _, e := range d.Env {
		if strings.Contains(e.Value, "${__dirname}") && !strings.Contains(strings.ReplaceAll(e.Value, "${__dirname}", ""), "${") {
			s.words[e.Name] = strings.ReplaceAll(e.Value, "${__dirname}", ownFolder)
			s.own = append(s.own, plan.Env{Name: e.Name, Value: s.words[e.Name]})
		}
	}
	argv = append(argv, s.args...)
	for i := range argv {
		argv[i] = strings.ReplaceAll(argv[i], "${__dirname}", s.dir)
	}
	argv = append(argv, o.Args...)
	found, err := program.Find(argv, f.FindEnv(at))
	if err != nil {
		return err
	}
	found.Needs = slices.DeleteFunc(found.Needs, func(n plan.Need) bool { return n.Path == s.dir || strings.HasPrefix(n.Path, s.dir+"/") })
	s.program, s.about.Command, s.command = found, found.Args, runnable(argv[0], found.Args)
	s.reading(trial.Variables(s.dir))
	return nil
}
