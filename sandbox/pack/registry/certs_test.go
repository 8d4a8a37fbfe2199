package registry

import (
	"strings"
	"testing"
)

// Behind a proxy that reads TLS, packages come with the company's certificate alone:
// each place that names it is heeded, in pip's order, and one that cannot be read is
// an error.
func TestCertificatesOfEveryPlace(t *testing.T) {
	pip, ssl, conf := writeConf(t, "of PIP_CERT"), writeConf(t, "of SSL_CERT_FILE"), writeConf(t, "of the file")
	file := writeConf(t, "[global]\ncert = "+conf+"\n")
	for _, c := range []struct {
		env  []string
		want string
	}{
		{[]string{"PIP_CERT=" + pip, "SSL_CERT_FILE=" + ssl, "PIP_CONFIG_FILE=" + file}, "of PIP_CERT"},
		{[]string{"PIP_CERT=" + pip}, "of PIP_CERT"},
		{[]string{"SSL_CERT_FILE=" + ssl, "PIP_CONFIG_FILE=" + file}, "of SSL_CERT_FILE"},
		{[]string{"PIP_CONFIG_FILE=" + file}, "of the file"},
		{[]string{"PIP_CERT=", "PIP_CONFIG_FILE=/dev/null"}, ""},
	} {
		r, err := ReadPip(PipPlaces{Env: c.env})
		if err != nil || string(r.CA) != c.want {
			t.Errorf("%q: the certificates %q, want %q (%v)", c.env, r.CA, c.want, err)
		}
	}
	if _, err := ReadPip(PipPlaces{Env: []string{"PIP_CERT=" + pip + ".absent"}}); err == nil || !strings.Contains(err.Error(), "certificates") {
		t.Errorf("certificates that are not there: %v", err)
	}
}
