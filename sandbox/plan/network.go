package plan

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"mcpen/sandbox/policy"
)

// ephemeral is the range of local ports. Each port allows one open connection to a
// given host and port outside. Every second port costs a Landlock rule, for a server
// that listens on any free port and connects to itself (see Landlock.Own).
func ephemeral(hosts int) Span {
	if hosts == 0 {
		return Span{First: 60000, Last: 60063}
	}
	return Span{First: 56928, Last: 61023}
}

// network fills in the hosts, ports and sockets that the egress serves.
func (c *compiler) network() {
	n := Network{Hosts: c.pol.Network.Allow, Ephemeral: ephemeral(len(c.pol.Network.Allow))}
	for _, s := range c.pol.Sockets {
		if real, ok := c.socket(s); ok {
			n.Sockets = append(n.Sockets, Socket{Socket: s, Real: real})
		}
	}
	if c.host.Desk != nil {
		n.Every, n.Ports, n.Ephemeral = true, usualPorts(), ephemeral(1)
	} else if len(n.Hosts) > 0 {
		n.Ports = spans(n.Hosts)
	}
	if outward(n.Hosts) && c.host.Desk == nil {
		n.Proxies = c.proxies()
	}
	if count := ports(n.Ports); count > maxPorts {
		c.problem(Problem{At: at(n.Hosts[0].At), Text: fmt.Sprintf("cannot listen for connections to %d ports (want %d at most)", count, maxPorts),
			Hint: "name the ports that the server needs"})
	}
	c.local()
	if !c.plan.Holds(policy.LayerNamespaces) && (len(n.Hosts) > 0 || len(n.Sockets) > 0) {
		c.problem(Problem{Lack: policy.LayerNamespaces, Text: "cannot give the network: without namespaces a server has no network at all",
			Hint: "mcpen doctor"})
	}
	c.plan.Network = n
}

// usualPorts are the ports on which a trial's internet listens from the start. It opens
// others when a program is about to connect to them, if the launcher can see that.
func usualPorts() []Span {
	var out []Span
	for _, p := range []uint16{21, 22, 25, 80, 443, 465, 587, 993, 1433, 3000, 3306, 4443, 5000, 5432, 5672, 6379, 8000, 8080, 8443, 8888, 9000, 9092, 9200, 11434, 27017} {
		out = append(out, Span{p, p})
	}
	return out
}

// Dials reports whether a rule of the policy reaches another machine.
func Dials(pol policy.Policy) bool { return outward(pol.Network.Allow) }

// outward reports whether a rule reaches another machine.
func outward(hosts []policy.Host) bool {
	return slices.ContainsFunc(hosts, func(h policy.Host) bool { return h.Kind != policy.HostLocal })
}

// maxPorts is the number of ports that the rules of one profile can name together. The
// egress listens on each of them.
const maxPorts = 1024

func ports(spans []Span) int {
	n := 0
	for _, s := range spans {
		n += int(s.Last) - int(s.First) + 1
	}
	return n
}

// local refuses a port of the sandbox's own loopback that has two uses: the server
// listens on it, and it leads to a service of the host.
func (c *compiler) local() {
	for _, l := range c.pol.Network.Listen {
		for _, h := range c.pol.Network.Allow {
			if h.Kind == policy.HostLocal && h.First <= l.Port && l.Port <= h.Last {
				c.problem(Problem{At: at(l.At), Text: fmt.Sprintf("cannot listen on port %d: on the same port the server reaches localhost of the host (%v)", l.Port, h.At)})
			}
		}
	}
}

// socket resolves a socket's path, or the path at which an absent socket would appear.
// It refuses a socket that amounts to the host itself, by its name or by its target.
func (c *compiler) socket(s policy.Socket) (real string, ok bool) {
	f := c.host.Paths[s.Path]
	if f.Exists && !f.Socket {
		c.problem(Problem{At: at(s.At), Text: fmt.Sprintf("cannot connect to %q: it is no socket", s.Path)})
		return "", false
	}
	if c.refuseLed(s.Path, "give the socket", at(s.At)) || c.refuseLed(path.Dir(s.Path), "give the socket in", at(s.At)) {
		return "", false
	}
	real = f.Real
	if !f.Exists {
		real = path.Join(c.real(path.Dir(s.Path)), path.Base(s.Path))
	}
	for _, p := range []string{s.Path, real} {
		for _, dir := range []string{c.host.State, c.host.Config, c.host.Runtime} {
			if dir != "" && (under(p, dir) || under(p, c.real(dir))) {
				c.problem(Problem{At: at(s.At), Text: fmt.Sprintf("cannot give the socket %q: mcpen keeps its own files in %q", s.Path, dir)})
				return "", false
			}
		}
		if why, bad := policy.HostSocket(p); bad && s.Override == "" {
			c.problem(Problem{At: at(s.At), Text: fmt.Sprintf("cannot give the socket %q: %s", p, why),
				Grant: c.roots().AllowSocket(s.Path).With("path", "override", policy.Override)})
			return "", false
		}
	}
	return real, true
}

// spans merges the ports of the rules and adds 80 and 443, so that the egress sees
// attempts on these.
func spans(hosts []policy.Host) []Span {
	all := []Span{{80, 80}, {443, 443}}
	for _, h := range hosts {
		if h.Kind != policy.HostLocal {
			all = append(all, Span{h.First, h.Last})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].First < all[j].First })
	out := all[:1]
	for _, s := range all[1:] {
		last := &out[len(out)-1]
		if int(s.First) <= int(last.Last)+1 {
			last.Last = max(last.Last, s.Last)
			continue
		}
		out = append(out, s)
	}
	return out
}

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
