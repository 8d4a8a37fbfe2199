package plan

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"mcpen/sandbox/policy"
)

// Proxies are the proxies that mcpen's own environment names.
type Proxies struct {
	HTTPS  Proxy  `json:"https,omitzero"`   // HTTPS_PROXY, or else ALL_PROXY: for every port but 80
	HTTP   Proxy  `json:"http,omitzero"`    // HTTP_PROXY, or else ALL_PROXY: for port 80
	Except string `json:"except,omitempty"` // NO_PROXY: hosts to dial directly
}

// Proxy is one proxy; an empty Via means none.
type Proxy struct {
	Via string `json:"via,omitempty"` // scheme://host:port
	At  string `json:"at,omitempty"`  // the source of the setting: file:line:col, or the variable

	Login Opaque `json:"-"` // user:password, if the proxy demands a login
}

// proxies chooses the proxies to dial through. A profile names a proxy without
// credentials: mcpen takes them from the environment if that names the same address.
func (c *compiler) proxies() Proxies {
	said, env := c.pol.Network.Proxy, c.host.Proxies
	switch said.Via {
	case policy.ProxyNone:
		return Proxies{}
	case "":
		return env
	}
	p := Proxy{Via: said.Via, At: at(said.At)}
	for _, have := range []Proxy{env.HTTPS, env.HTTP} {
		if have.Via == p.Via {
			p.Login = have.Login
		}
	}
	return Proxies{HTTPS: p, HTTP: p, Except: env.Except}
}

// For returns the proxy for a host, a name or an address, and a port. The zero Proxy
// means a direct connection, as always for localhost.
func (p Proxies) For(host string, port uint16) Proxy {
	one := p.HTTPS
	if port == 80 {
		one = p.HTTP
	}
	if one.Via == "" {
		return Proxy{}
	}
	const any = "http://proxy.invalid"
	via, err := (&httpproxy.Config{HTTPSProxy: any, NoProxy: p.Except}).ProxyFunc()(&url.URL{Scheme: "https", Host: authority(host, port)})
	if err != nil || via == nil {
		return Proxy{}
	}
	return one
}

// Port is the proxy's port; 0 if there is no proxy.
func (p Proxy) Port() uint16 {
	u, err := url.Parse(p.Via)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// Named reports whether the proxy's host is a name that needs a DNS lookup.
func (p Proxy) Named() bool {
	u, err := url.Parse(p.Via)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return err != nil
}

// Secure reports whether the connection to the proxy uses TLS.
func (p Proxy) Secure() bool { return strings.HasPrefix(p.Via, "https://") }

// Both returns the configured proxies, each once.
func (p Proxies) Both() []Proxy {
	var out []Proxy
	for _, one := range []Proxy{p.HTTPS, p.HTTP} {
		if one.Via != "" && (len(out) == 0 || out[0].Via != one.Via) {
			out = append(out, one)
		}
	}
	return out
}

// authority formats a host and a port for a URL (RFC 3986, 3.2.2).
func authority(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(port))
}
