package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"

	"mcpen/sandbox/launch"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// proxies are the ways out that mcpen's own environment names, where the policy
// leaves it to that: HTTPS_PROXY for every port but 80, HTTP_PROXY for that one,
// ALL_PROXY for what neither names, and NO_PROXY for the exceptions. None of them
// gets into the sandbox.
func (c *Caller) proxies(pol policy.Policy) (plan.Proxies, error) {
	out := plan.Proxies{Except: c.either("NO_PROXY").value}
	for _, way := range []struct {
		to    *plan.Proxy
		names []string
	}{{&out.HTTPS, []string{"HTTPS_PROXY", "ALL_PROXY"}}, {&out.HTTP, []string{"HTTP_PROXY", "ALL_PROXY"}}} {
		for _, name := range way.names {
			said := c.either(name)
			if said.value == "" {
				continue
			}
			via, login, err := policy.ParseProxy(said.value)
			if err != nil && plan.Dials(pol) && pol.Network.Proxy.Via == "" {
				return out, &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("cannot use %s: it %w", said.name, err), Hint: `[network] proxy = "none"   # dials directly`}
			}
			if err == nil {
				*way.to = plan.Proxy{Via: via, At: said.name, Login: plan.Opaque(login)}
				break
			}
		}
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

// assigned is a variable of the environment.
type assigned struct{ name, value string }

// either is a variable in capitals or in small letters, whichever is set: programs
// take both.
func (c *Caller) either(name string) assigned {
	for _, n := range []string{name, strings.ToLower(name)} {
		if v := strings.TrimSpace(c.Getenv(n)); v != "" {
			return assigned{n, v}
		}
	}
	return assigned{name: name}
}
