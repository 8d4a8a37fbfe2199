package policy

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// The words of network.proxy. Any other value is the address of a proxy.
const (
	ProxyEnvironment = "environment" // use mcpen's own environment (HTTPS_PROXY and its kin); the default
	ProxyNone        = "none"        // dial hosts directly
)

// Proxy is the egress's proxy. The zero value means the proxy of mcpen's environment.
type Proxy struct {
	// Via is the address of a proxy as ParseProxy returns it, or ProxyNone.
	Via string `json:"via,omitempty"`
	At  Pos    `json:"at,omitzero"`
}

// proxyPorts maps each scheme of a proxy to its default port.
var proxyPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

// ParseProxy splits the address of a proxy, such as "http://proxy.example.com:3128",
// into the address with its port, and "user:password"; login is "" if the address has
// none. No error quotes the input: it may contain a password. socks5 and socks5h differ
// in who resolves names; mcpen lets the proxy do it in both.
func ParseProxy(s string) (via, login string, err error) {
	const want = "want http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT"
	if !strings.Contains(s, "://") {
		s = "http://" + s // as curl(1) and Go do
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", "", faultf("", "is not the address of a proxy (%s)", want)
	}
	port, known := proxyPorts[strings.ToLower(u.Scheme)]
	if !known || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", "", faultf("", "is not the address of a proxy (%s)", want)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", faultf("", "is not the address of a proxy: no such port (%s)", want)
	}
	host, err := proxyHost(u.Hostname())
	if err != nil {
		return "", "", faultf("", "is not the address of a proxy: no such host (%s)", want)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		login = u.User.Username() + ":" + password
	}
	scheme := strings.TrimSuffix(strings.ToLower(u.Scheme), "h")
	return scheme + "://" + host + ":" + port, login, nil
}

// proxyHost formats a host for a URL. Any address is valid, this machine's own
// included: many proxies listen there.
func proxyHost(s string) (string, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		if a.Is6() {
			return "[" + a.String() + "]", nil
		}
		return a.String(), nil
	}
	return asciiName(s, s)
}

// asProxy reads network.proxy. It refuses credentials: they do not belong in a profile.
func asProxy(v any) (string, error) {
	s, err := asString(v)
	if err != nil || s == ProxyEnvironment || s == ProxyNone {
		return s, err
	}
	via, login, err := ParseProxy(s)
	switch {
	case err != nil:
		return "", err
	case login != "":
		return "", faultf("proxy = "+strconv.Quote(via), "has credentials in it: they stand in mcpen's environment, as in HTTPS_PROXY, for a proxy of the same address")
	}
	return via, nil
}

// proxy resolves the profile's network.proxy.
func (r *resolver) proxy(o opt[string]) Proxy {
	if !o.set {
		return Proxy{}
	}
	p := Proxy{Via: o.v, At: o.at}
	if p.Via == ProxyEnvironment {
		p.Via = ""
	}
	return p
}

// narrowProxy applies the baseline's proxy. A profile that names another proxy, or
// none, is a mistake.
func (r *resolver) narrowProxy(p *Profile, out *Policy, bounds Policy, b body) {
	if !b.proxy.set {
		return
	}
	own := p.body.proxy
	if own.set && out.Network.Proxy.Via != bounds.Network.Proxy.Via {
		r.add(own.at, own.key, "", beyond, "another way out than "+quote(b.proxy.v))
		return
	}
	if out.Network.Proxy.At != (Pos{}) && !own.set && out.Network.Proxy.Via != bounds.Network.Proxy.Via {
		r.add(b.proxy.at, b.proxy.key, "", "another baseline says %s", quote(out.Network.Proxy.said()))
		return
	}
	out.Network.Proxy = bounds.Network.Proxy
}

// said is the profile's word for the proxy.
func (p Proxy) said() string {
	if p.Via == "" {
		return ProxyEnvironment
	}
	return p.Via
}
