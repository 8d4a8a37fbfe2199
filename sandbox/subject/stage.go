package subject

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mcpen/sandbox/host"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/trial"
	"mcpen/sandbox/user"
)

// stage is a desk with its folder of this machine's.
type stage struct {
	*trial.Stage
	dir  string // of the certificates
	root string // of the program, on the desk
	over []plan.Over
	env  []plan.Env
}

func (s *stage) close() { os.RemoveAll(s.dir) }

// Unnamed is a runtime directory beside another, as hard to guess, by whose name a
// program cannot tell who tries it: its own mounts name it.
func Unnamed(runtime string) string {
	sum := sha256.Sum256([]byte(runtime))
	return filepath.Join(filepath.Dir(runtime), hex.EncodeToString(sum[:8]))
}

// runtimeDir is the folder for the files of a run.
func runtimeDir(at user.Dirs) string {
	if os.MkdirAll(at.Runtime, 0o700) != nil {
		return ""
	}
	return at.Runtime
}

// newStage makes a stage for a subject. The caller closes it.
func newStage(at user.Dirs, s *Subject) (*stage, error) {
	t, err := trial.NewStage(time.Now())
	if err != nil {
		return nil, err
	}
	st := &stage{Stage: t}
	if st.dir, err = os.MkdirTemp(runtimeDir(at), "try-"); err != nil {
		return nil, fmt.Errorf("cannot make a folder for a trial: %w", err)
	}
	if real, err := filepath.EvalSymlinks(st.dir); err == nil {
		st.dir = real
	}
	if err := st.certify(s); err != nil {
		st.close()
		return nil, err
	}
	var id [8]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	st.root = path.Join(t.Desk.Home, ".npm/_npx", hex.EncodeToString(id[:]))
	if s.ref.Ecosystem == pack.PyPI {
		st.root = path.Join(t.Desk.Home, ".cache/uv/archive-v0", hex.EncodeToString(id[:]))
	}
	if s.ref.Name == "" {
		st.root = path.Join(t.Desk.Home, "tools", s.name)
	}
	return st, nil
}

// program is the subject's, as it is called on the desk.
func (st *stage) program(s *Subject) plan.Program {
	p := s.program
	if s.dir != "" {
		p = renamed(p, s.dir, st.root)
	}
	for _, arg := range s.more {
		p.Args = append(slices.Clone(p.Args), strings.ReplaceAll(arg, "${desk}", st.Desk.Workspace))
	}
	return p
}

// desk is the stage as the plan has it.
func (st *stage) desk(ctx context.Context, s *Subject, env []plan.Env) *plan.Desk {
	all := slices.Clone(st.env)
	s.about.Variables = nil
	for _, name := range s.secrets {
		if slices.ContainsFunc(st.Desk.Env, func(e plan.Env) bool { return e.Name == name }) {
			continue // somebody's, and not the program's to work with
		}
		all = append(all, plan.Env{Name: name, Value: st.Desk.Give(name)})
		s.about.Variables = append(s.about.Variables, name)
	}
	for name, value := range s.words {
		all = append(all, plan.Env{Name: name, Value: strings.NewReplacer("${desk}", st.Desk.Workspace, ownFolder, st.root).Replace(value)})
		s.about.Variables = append(s.about.Variables, name)
	}
	slices.Sort(s.about.Variables)
	all = append(all, env...)
	over := slices.Clone(st.over)
	var moved []plan.Moved
	if s.dir != "" {
		source := s.dir
		if real, err := filepath.EvalSymlinks(source); err == nil {
			source = real
		}
		moved = []plan.Moved{{Source: source, Target: st.root, Nameless: s.tree != nil && host.Nameless(ctx, source) == nil}}
		over = append(over, st.packaged(s.dir)...)
	}
	return st.Desk.Plan(all, over, moved)
}
