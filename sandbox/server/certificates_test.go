package server

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
