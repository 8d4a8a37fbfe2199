package plan

import (
	"testing"

	"mcpen/sandbox/policy"
)

// A variable must lead the server to a file that it sees.
func TestSystemCertificates(t *testing.T) {
	deny := func(paths ...string) (pol policy.Policy) {
		for _, p := range paths {
			pol.Filesystem.Deny = append(pol.Filesystem.Deny, policy.Path{Path: p})
		}
		return pol
	}
	for _, c := range []struct {
		pol  policy.Policy
		file string
		want bool
	}{
		{deny(), "/etc/ssl/certs/ca-certificates.crt", true},
		{deny(), "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", true},
		{deny(), "/etc/ssl/cert.pem", true},
		{deny("/etc/ssl/private", "/etc/ssl/certs/other.pem"), "/etc/ssl/certs/ca-certificates.crt", true},
		{deny("/etc/ssl/certs/ca-certificates.crt"), "/etc/ssl/certs/ca-certificates.crt", false},
		{deny("/etc/ssl/certs"), "/etc/ssl/certs/ca-certificates.crt", false},
		{deny("/etc"), "/etc/ssl/certs/ca-certificates.crt", false},
		{deny("/"), "/etc/ssl/certs/ca-certificates.crt", false},
		{deny(), "/etc/ssl/private/key.pem", false},
		{deny(), "/etc/ssl/certsx/ca.pem", false},
		{deny(), "/etc/ssl/openssl.cnf", false},
		{deny(), "/usr/share/ca-certificates/mozilla/x.crt", false},
		{deny(), "/home/ada/ca.pem", false},
		{deny(), "", false},
	} {
		if got := SystemCertificates(c.pol, c.file); got != c.want {
			t.Errorf("%q with %v denied: %v", c.file, c.pol.Filesystem.Deny, got)
		}
	}
}
