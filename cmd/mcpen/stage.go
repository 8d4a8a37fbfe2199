package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
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
	"mcpen/sandbox/wholefile"
)

// systemBundles are where systems keep the certificates that they trust.
var systemBundles = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem", "/etc/ca-certificates/extracted/tls-ca-bundle.pem"}

// javaBundles are Java's.
var javaBundles = []string{"/etc/ssl/certs/java/cacerts", "/etc/pki/ca-trust/extracted/java/cacerts", "/etc/ca-certificates/extracted/java-cacerts.jks"}

// packagedBundles are the names of bundles that packages carry, and the folder
// that they are in, where the name alone says little.
var packagedBundles = map[string]string{"cacert.pem": "", "cacerts.txt": "httplib2", "roots.pem": "", "ca-bundle.crt": "", "ca-certificates.crt": ""}

// stage is a desk with its folder of this machine's.
type stage struct {
	*trial.Stage
	dir  string // of the certificates
	root string // of the program, on the desk
	over []plan.Over
	env  []plan.Env
}

func (s *stage) close() { os.RemoveAll(s.dir) }

// unnamed is a runtime directory beside another, as hard to guess, by whose name a
// program cannot tell who tries it: its own mounts name it.
func unnamed(runtime string) string {
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
func newStage(at user.Dirs, s *subject) (*stage, error) {
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

// certify makes the bundles, and finds where they are shown.
func (st *stage) certify(s *subject) error {
	var bundle []byte
	var system []string
	for _, name := range systemBundles {
		real, err := filepath.EvalSymlinks(name)
		if err != nil || slices.Contains(system, real) {
			continue
		}
		if data, err := wholefile.Read(real, 4<<20); err == nil {
			if system = append(system, real); len(data) > len(bundle) {
				bundle = data
			}
		}
	}
	pem := filepath.Join(st.dir, "ca.pem")
	if err := os.WriteFile(pem, st.Certificates(bundle), 0o644); err != nil {
		return fmt.Errorf("cannot write the certificates of a trial: %w", err)
	}
	for _, name := range system {
		st.over = append(st.over, plan.Over{Target: name, Source: pem})
	}
	shown := path.Join(st.Desk.Home, ".local/share/ca-certificates.crt")
	if len(system) > 0 {
		shown = system[0]
	} else {
		st.Desk.Put(".local/share/ca-certificates.crt", string(st.Certificates(bundle)))
	}
	for _, name := range []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE"} {
		st.env = append(st.env, plan.Env{Name: name, Value: shown})
	}
	return st.certifyJava(s, bundle)
}

// certifyJava makes the trust stores of the systems' Javas and of the program's own.
func (st *stage) certifyJava(s *subject, bundle []byte) error {
	names := slices.Clone(javaBundles)
	for _, root := range javaRoots(s.program) {
		names = append(names, filepath.Join(root, "lib/security/cacerts"), filepath.Join(root, "jre/lib/security/cacerts"))
	}
	var made []string
	for _, name := range names {
		real, err := filepath.EvalSymlinks(name)
		if err != nil || slices.Contains(made, real) {
			continue
		}
		made = append(made, real)
		jks := filepath.Join(st.dir, "cacerts")
		if err := os.WriteFile(jks, st.JavaCertificates(bundle), 0o644); err != nil {
			return fmt.Errorf("cannot write the certificates of a trial: %w", err)
		}
		st.over = append(st.over, plan.Over{Target: real, Source: jks})
	}
	return nil
}

// javaRoots are the folders that may be the root of a program's Java runtime.
func javaRoots(p plan.Program) (out []string) {
	if real, err := filepath.EvalSymlinks(p.Path); err == nil {
		out = append(out, filepath.Dir(filepath.Dir(real)))
	}
	for _, n := range p.Needs {
		out = append(out, n.Path)
	}
	return out
}

// packaged are the bundles that a package carries.
func (st *stage) packaged(dir string) []plan.Over {
	var out []plan.Over
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || len(out) >= 64 {
			return fs.SkipAll
		}
		if in, ok := packagedBundles[d.Name()]; ok && d.Type().IsRegular() && strings.Contains(p, in) {
			out = append(out, plan.Over{Target: path.Join(st.root, p[len(dir):]), Source: filepath.Join(st.dir, "ca.pem")})
		}
		return nil
	})
	return out
}

// program is the subject's, as it is called on the desk.
func (st *stage) program(s *subject) plan.Program {
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
func (st *stage) desk(ctx context.Context, s *subject, env []plan.Env) *plan.Desk {
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
		all = append(all, plan.Env{Name: name, Value: strings.ReplaceAll(value, "${desk}", st.Desk.Workspace)})
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
