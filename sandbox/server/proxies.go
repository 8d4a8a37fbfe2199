package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mcpen/sandbox/launch"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// proxies reads the proxies of mcpen's own environment, if the policy leaves the choice
// to it: HTTPS_PROXY for every port but 80, HTTP_PROXY for that one, ALL_PROXY
// for ports that these leave out, and NO_PROXY for the exceptions. None of them gets
// into the sandbox.
func (c *Caller) proxies(pol policy.Policy) (plan.Proxies, error) {
	out, err := c.environmentProxies()
	if err != nil && plan.Dials(pol) && pol.Network.Proxy.Via == "" {
		return out, &launch.Error{Code: launch.ExitUsage, Err: err, Hint: `[network] proxy = "none"   # dials directly`}
	}
	return out, nil
}

// environmentProxies reads them. The error is of the first variable that names none that
// can be used; the others count.
func (c *Caller) environmentProxies() (out plan.Proxies, bad error) {
	out = plan.Proxies{Except: c.either("NO_PROXY").value}
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
			if err != nil {
				if bad == nil {
					bad = fmt.Errorf("cannot use %s: it %w", said.name, err)
				}
				continue
			}
			*way.to = plan.Proxy{Via: via, At: said.name, Login: plan.Opaque(login)}
			break
		}
	}
	return out, bad
}

// registryProxy chooses the way to a registry by the same variables and exceptions as
// for a server; the scheme of the address decides which variable, as for npm and pip. A
// variable that names no proxy is an error where one would have to be used.
func (c *Caller) registryProxy() func(*http.Request) (*url.URL, error) {
	all, bad := c.environmentProxies()
	return func(req *http.Request) (*url.URL, error) {
		one, port := all.HTTPS, uint64(443)
		if req.URL.Scheme == "http" {
			one, port = all.HTTP, 80
		}
		if p := req.URL.Port(); p != "" {
			var err error
			if port, err = strconv.ParseUint(p, 10, 16); err != nil {
				return nil, fmt.Errorf("no such port %q", p)
			}
		}
		if one.Via == "" && bad != nil {
			one.Via = "http://unusable.invalid:1"
		}
		way := plan.Proxies{HTTPS: one, HTTP: one, Except: all.Except}.For(req.URL.Hostname(), uint16(port))
		switch {
		case way.Via == "":
			return nil, nil
		case way.At == "":
			return nil, bad
		}
		via, err := url.Parse(way.Via)
		if err == nil && way.Login != "" {
			name, password, _ := strings.Cut(string(way.Login), ":")
			via.User = url.UserPassword(name, password)
		}
		return via, err
	}
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
