package subject

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/plan"
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

// certify makes the bundles, and finds where they are shown.
func (st *stage) certify(s *Subject) error {
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
func (st *stage) certifyJava(s *Subject, bundle []byte) error {
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
