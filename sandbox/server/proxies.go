package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"

	"mcpen/sandbox/launch"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// proxies reads the proxies of mcpen's own environment, if the policy leaves the choice
// to it: HTTPS_PROXY for every port but 80, HTTP_PROXY for that one, ALL_PROXY
// for ports that these leave out, and NO_PROXY for the exceptions. None of them gets
// into the sandbox.
func (c *Caller) proxies(pol policy.Policy) (plan.Proxies, error) {
	out, err := c.Proxies()
	if err != nil && plan.Dials(pol) && pol.Network.Proxy.Via == "" {
		return out, &launch.Error{Code: launch.ExitUsage, Err: err, Hint: `[network] proxy = "none"   # dials directly`}
	}
	return out, nil
}

// Secure makes TLS with the plan's proxies, by the certificates that this machine
// trusts, which are read now; nil where no proxy speaks it.
func Secure(p plan.Plan) func(context.Context, net.Conn, string) (net.Conn, error) {
	if !slices.ContainsFunc(p.Network.Proxies.Both(), plan.Proxy.Secure) {
		return nil
	}
	roots, bad := x509.SystemCertPool()
	return func(ctx context.Context, c net.Conn, name string) (net.Conn, error) {
		if bad != nil {
			return nil, bad
		}
		t := tls.Client(c, &tls.Config{ServerName: name, RootCAs: roots})
		return t, t.HandshakeContext(ctx)
	}
}
