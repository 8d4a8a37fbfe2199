package subject

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/launch"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/server"
	"mcpen/sandbox/trial"
	"mcpen/sandbox/user"
)

// byCommand tries a program of this machine. It copies a folder of the user's that
// the program needs: the program's changes to it, and its findings in it, are this
// run's alone.
func (f *Finder) byCommand(at user.Dirs, argv []string, s *Subject) error {
	var err error
	if s.program, err = f.Caller.Find(argv, at); err != nil {
		return err
	}
	s.name = f.ServerName(at, server.Words{Command: argv})
	s.command = runnable(argv[0], s.program.Args)
	s.about.Name, s.about.Command = shortWord(strings.Join(argv, " ")), s.program.Args
	for _, n := range s.program.Needs {
		if len(n.Led) == 0 {
			continue
		}
		if s.dir != "" {
			return launch.Usage("mcpen try npm:NAME", "cannot try %q: it needs two folders of yours, %q and %q", s.about.Name, s.dir, n.Path)
		}
		s.dir = n.Path
	}
	if s.dir == "" {
		return nil
	}
	if s.temp, err = os.MkdirTemp(runtimeDir(at), "try-"); err != nil {
		return fmt.Errorf("cannot make a folder for a trial: %w", err)
	}
	s.home = s.dir
	copied := filepath.Join(s.temp, "program")
	if err := trial.CopyFolder(s.dir, copied); err != nil {
		return &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("cannot copy %q for a trial: %w", s.dir, err), Hint: "put the server into a folder of its own"}
	}
	s.rename(s.dir, copied)
	s.reading(trial.Variables(copied))
	return nil
}

// runnable is a command for a profile: its scripts by whole paths, and the program as it
// was named, so that another machine's is found, too.
func runnable(name string, args []string) []string {
	out := slices.Clone(args)
	if !strings.Contains(name, "/") {
		out[0] = name
	}
	return out
}

// rename has the program mean another folder than the one that was found.
func (s *Subject) rename(from, to string) {
	s.program = renamed(s.program, from, to)
	s.dir = to
}

// renamed is a program that means another folder, and does not need the one that it
// meant by its own name.
func renamed(p plan.Program, from, to string) plan.Program {
	p.Args, p.Env, p.Needs = slices.Clone(p.Args), slices.Clone(p.Env), slices.Clone(p.Needs)
	if rest, ok := strings.CutPrefix(p.Path, from+"/"); ok {
		p.Path = path.Join(to, rest)
	}
	for i := range p.Args {
		p.Args[i] = strings.ReplaceAll(p.Args[i], from, to)
	}
	for i := range p.Env {
		p.Env[i].Value = strings.ReplaceAll(p.Env[i].Value, from, to)
	}
	p.Needs = slices.DeleteFunc(p.Needs, func(n plan.Need) bool { return n.Path == from })
	return p
}
