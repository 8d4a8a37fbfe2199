package server

import (
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

// A repository's client file sets variables, too: none of them gives a server a file of
// the person's, or another party's certificate.
func TestCertificatesAlone(t *testing.T) {
	home := t.TempDir()
	at := user.Dirs{Home: home, Cwd: home, Login: policy.Dirs{Home: home}}
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("a company")}))
	trusted := string(pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: []byte("another")}))
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")}))
	headed := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"Token": "secret"}, Bytes: []byte("a company")}))
	for _, c := range []struct{ name, text, want string }{
		{"one", cert, cert},
		{"two with words between", "# CA\n" + cert + "password: x\n" + trusted, cert + trusted},
		{"a key beside it", cert + key, cert},
		{"a header", headed, cert},
		{"a key", key, ""},
		{"a secret", "hunter2\n", ""},
		{"nothing", "", ""},
		{"too long", cert + strings.Repeat("#", maxBundle), ""},
	} {
		file := filepath.Join(home, "ca.pem")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := certificatesOf(at, file)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q (%v), want %q", c.name, got, err, c.want)
		}
	}
	repository := filepath.Join(home, "repo")
	if err := os.MkdirAll(filepath.Join(repository, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	theirs := filepath.Join(repository, "ca.pem")
	if err := os.WriteFile(theirs, []byte(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(home, "link.pem")
	if err := os.Symlink(theirs, link); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{theirs, link, repository, "/dev/zero"} {
		if got, err := certificatesOf(at, file); err == nil || got != "" {
			t.Errorf("%s is trusted: %q", file, got)
		}
	}
}

// The system's own certificates, which a variable often names, are not carried through
// each start.
func TestSystemCertificatesStay(t *testing.T) {
	const file = "/etc/ssl/certs/ca-certificates.crt"
	if real, err := filepath.EvalSymlinks(file); err != nil || !plan.SystemCertificates(policy.Policy{}, real) {
		t.Skip("this system keeps no bundle there")
	}
	home := t.TempDir()
	at := user.Dirs{Home: home, Cwd: home, Login: policy.Dirs{Home: home}}
	other, link := filepath.Join(home, "other.pem"), filepath.Join(home, "link.pem")
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("a company")}))
	if err := errors.Join(os.WriteFile(other, []byte(cert), 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	c := &Caller{}
	c.Err = os.Stderr
	c.Env = []string{"SSL_CERT_FILE=/etc/ssl/../ssl/certs/ca-certificates.crt", "CURL_CA_BUNDLE=" + other, "AWS_CA_BUNDLE=" + link}
	pol := policy.Policy{Network: policy.Network{Allow: []policy.Host{{Kind: policy.HostName, Name: "a.example", First: 443, Last: 443}}}}
	texts, files := c.certificates(at, pol)
	if len(texts) != 2 || texts["CURL_CA_BUNDLE"] != cert || !strings.Contains(texts["AWS_CA_BUNDLE"], "BEGIN CERTIFICATE") || len(files) != 1 || files["SSL_CERT_FILE"] != file {
		t.Errorf("%d texts, files %v", len(texts), files)
	}
	pol.Filesystem.Deny = []policy.Path{{Path: "/etc/ssl"}}
	if texts, files := c.certificates(at, pol); len(texts) != 3 || len(files) != 0 {
		t.Errorf("denied: %d texts, files %v", len(texts), files)
	}
}
