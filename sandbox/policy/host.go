package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// maxPortRange is the most ports of one rule: inside the sandbox a listener waits on
// each of them.
const maxPortRange = 16

// ParseHost parses one rule of network.allow, such as "api.github.com:443",
// "*.example.com:8000-8003", "10.0.0.0/8:5432", "[fd00::1]:53" or "localhost:5432". For
// names TLS is TLSUsual.
//
// Names become lower-case ASCII as in a browser (UTS 46, the Lookup profile). ParseHost
// refuses a name that a resolver or a libc could parse as an address, such as "127.1"
// or "0x7f000001". It also refuses ranges that reach this machine itself or a cloud's
// metadata service.
func ParseHost(s string) (Host, error) {
	if len(s) > 512 {
		return Host{}, faultf("", "%s is too long for a host", quote(s))
	}
	if err := plainHost(s); err != nil {
		return Host{}, err
	}
	if strings.Contains(s, "://") {
		return Host{}, faultf(urlHint(s), "%s is a URL (want name:port)", quote(s))
	}
	name, ports, err := splitHost(s)
	if err != nil {
		return Host{}, err
	}
	h := Host{}
	if h.First, h.Last, err = parsePorts(s, ports); err != nil {
		return Host{}, err
	}
	if h.Kind, h.Name, err = parseHostName(name); err != nil {
		return Host{}, err
	}
	if h.Kind == HostName || h.Kind == HostWildcard {
		h.TLS = TLSUsual
	}
	if h.Kind == HostLocal && h.First != h.Last {
		return Host{}, faultf("", "%s grants a range of this machine's own ports (want one: localhost:PORT)", quote(s))
	}
	return h, nil
}

// AnyHost allows every public host, in a trial whose user says so.
func AnyHost() Host { return Host{Kind: HostAny, First: 1, Last: 65535, TLS: TLSNever} }

// String formats the rule in ParseHost's syntax.
func (h Host) String() string {
	name := h.Name
	switch h.Kind {
	case HostWildcard:
		name = "*." + name
	case HostLocal:
		name = "localhost"
	case HostCIDR:
		if p, err := netip.ParsePrefix(name); err == nil && p.IsSingleIP() {
			name = p.Addr().String()
		}
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
	}
	if h.First == h.Last {
		return fmt.Sprintf("%s:%d", name, h.First)
	}
	return fmt.Sprintf("%s:%d-%d", name, h.First, h.Last)
}

// plainHost refuses characters that are invalid in a rule, so that no later step
// depends on how another program would read them.
func plainHost(s string) error {
	for _, r := range s {
		switch {
		case r == unicode.ReplacementChar || unicode.IsControl(r):
			return faultf("", "%s has a control character in it", quote(s))
		case unicode.IsSpace(r):
			return faultf("", "%s has a space in it", quote(s))
		case r == '@':
			return faultf("", "%s has a user name in it (want name:port)", quote(s))
		case r == '%':
			return faultf("", "%s has a \"%%\" in it: no escapes, no zones", quote(s))
		}
	}
	return nil
}

func urlHint(s string) string {
	scheme, rest, _ := strings.Cut(s, "://")
	rest, _, _ = strings.Cut(rest, "/")
	port := map[string]string{"https": "443", "wss": "443", "http": "80", "ws": "80"}[strings.ToLower(scheme)]
	if rest == "" || port == "" || strings.Contains(rest, ":") {
		return ""
	}
	return rest + ":" + port
}

// splitHost splits a rule into host and ports, and strips the brackets from an IPv6
// address.
func splitHost(s string) (name, ports string, err error) {
	if rest, ok := strings.CutPrefix(s, "["); ok {
		name, ports, ok = strings.Cut(rest, "]")
		if !ok || !strings.Contains(name, ":") {
			return "", "", faultf("", "%s is not an address in brackets and a port", quote(s))
		}
		if !strings.HasPrefix(ports, ":") {
			return "", "", noPort(s)
		}
		return name, ports[1:], nil
	}
	switch strings.Count(s, ":") {
	case 0:
		return "", "", noPort(s)
	case 1:
		name, ports, _ = strings.Cut(s, ":")
		return name, ports, nil
	}
	return "", "", faultf("", "%s is ambiguous: an IPv6 address goes in brackets, as in [2001:db8::1]:443", quote(s))
}

func noPort(s string) error {
	return faultf(s+":443", "%s has no port", quote(s))
}

func parsePorts(s, ports string) (first, last uint16, err error) {
	lo, hi, isRange := strings.Cut(ports, "-")
	if first, err = parsePort(lo); err != nil {
		return 0, 0, faultf("", "%s is not a port (want 1-65535)", quote(s))
	}
	if !isRange {
		return first, first, nil
	}
	if last, err = parsePort(hi); err != nil {
		return 0, 0, faultf("", "%s is not a range of ports (want 1-65535)", quote(s))
	}
	if last < first {
		return 0, 0, faultf("", "%s is a range that ends before it starts", quote(s))
	}
	if int(last)-int(first)+1 > maxPortRange {
		return 0, 0, faultf("", "%s is a range of more than %d ports", quote(s), maxPortRange)
	}
	return first, last, nil
}

// parsePort parses a decimal port: no sign, no leading zero, no service name.
func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != s {
		return 0, faultf("", "%s is not a port (want 1-65535)", quote(s))
	}
	return uint16(n), nil
}

func parseHostName(s string) (HostKind, string, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return HostCIDR, netip.PrefixFrom(addr, addr.BitLen()).String(), allowedNet(s, netip.PrefixFrom(addr, addr.BitLen()))
	}
	if strings.ContainsAny(s, "/:") {
		prefix, err := parseNet(s)
		return HostCIDR, prefix, err
	}
	suffix, wild := strings.CutPrefix(s, "*.")
	if strings.Contains(suffix, "*") {
		return "", "", faultf("", "%s has a \"*\" elsewhere than in front, as in *.example.com", quote(s))
	}
	name, err := asciiName(s, suffix)
	if err != nil {
		return "", "", err
	}
	local := name == "localhost" || strings.HasSuffix(name, ".localhost")
	switch {
	case wild && !strings.Contains(name, "."):
		return "", "", faultf("", "%s is a wildcard over a single label: too much of the internet", quote(s))
	case local && name != "localhost":
		return "", "", faultf("localhost:PORT", "%s is this machine itself", quote(s))
	case local:
		return HostLocal, name, nil
	case wild:
		return HostWildcard, name, nil
	}
	return HostName, name, nil
}

// asciiName returns the name in its wire form: ASCII, lower case, without a trailing
// dot. RFC 1035, section 2.3.4 limits the lengths.
func asciiName(rule, s string) (string, error) {
	name, err := hostASCII(s)
	if err != nil {
		return "", faultf("", "%s is not a host name", quote(rule))
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 {
			return "", faultf("", "%s has an empty label, or one of more than 63 characters", quote(rule))
		}
		if strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", faultf("", "%s is not a host name", quote(rule))
		}
	}
	if len(name) > 253 {
		return "", faultf("", "%s is longer than 253 characters", quote(rule))
	}
	if endsInNumber(labels[len(labels)-1]) {
		return "", faultf("", "%s is a way to write an address that not every program reads alike (want four numbers)", quote(rule))
	}
	return name, nil
}

// hostASCII is the name as IDNA has it (RFC 5891). Labels with an underscore, as
// containers and clouds give them, are in ASCII and no part of that; one that begins
// with it is a service's (RFC 8552).
func hostASCII(s string) (string, error) {
	if !strings.Contains(s, "_") {
		return idna.Lookup.ToASCII(s)
	}
	labels := strings.Split(s, ".")
	for i, l := range labels {
		switch {
		case !strings.Contains(l, "_"):
			var err error
			if labels[i], err = idna.Lookup.ToASCII(l); err != nil {
				return "", err
			}
		case strings.HasPrefix(l, "_") || strings.Trim(l, "-") != l || strings.HasPrefix(strings.ToLower(l), "xn--"):
			return "", errors.New("a label with an underscore at a wrong place")
		}
	}
	return strings.Join(labels, "."), nil
}

// endsInNumber is the check of the same name in the WHATWG URL standard: a name that
// inet_aton(3) would parse as an address is not a host name.
func endsInNumber(label string) bool {
	if strings.Trim(label, "0123456789") == "" {
		return true
	}
	hex, ok := strings.CutPrefix(label, "0x")
	return ok && strings.Trim(hex, "0123456789abcdef") == ""
}

// noRule lists the networks that no rule may reach, with the reason.
var noRule = []struct {
	net netip.Prefix
	why string
	fix string
}{
	{netip.MustParsePrefix("127.0.0.0/8"), "this machine itself", "localhost:PORT"},
	{netip.MustParsePrefix("::1/128"), "this machine itself", "localhost:PORT"},
	{netip.MustParsePrefix("0.0.0.0/8"), "this machine itself", "localhost:PORT"},
	{netip.MustParsePrefix("::/128"), "this machine itself", "localhost:PORT"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local, where clouds hand out credentials", ""},
	{netip.MustParsePrefix("fe80::/10"), "link-local, which depends on an interface", ""},
	{netip.MustParsePrefix("fd00:ec2::254/128"), "where a cloud hands out credentials", ""},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast, and only TCP is carried", ""},
	{netip.MustParsePrefix("ff00::/8"), "multicast, and only TCP is carried", ""},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast, and only TCP is carried", ""},
	{netip.MustParsePrefix("::ffff:0:0/96"), "an IPv4 address in IPv6's clothes: write it as IPv4", ""},
	{netip.MustParsePrefix("64:ff9b::/96"), "NAT64, which hides an IPv4 address: write it as IPv4", ""},
}

// shortestPrefix is the length of the shortest prefix, and so the widest network, that
// one rule may name.
const shortestPrefix = 8

func parseNet(s string) (string, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return "", faultf("", "%s is neither a name nor an address or network", quote(s))
	}
	if p.Bits() < shortestPrefix {
		return "", faultf("", "%s is wider than a /%d", quote(s), shortestPrefix)
	}
	if m := p.Masked(); m != p {
		return "", faultf(m.String(), "%s has bits set behind its prefix", quote(s))
	}
	return p.String(), allowedNet(s, p)
}

// allowedNet refuses a network that overlaps one of noRule.
func allowedNet(s string, p netip.Prefix) error {
	for _, n := range noRule {
		if !p.Overlaps(n.net) {
			continue
		}
		// ULA as a whole is a network that people use; the egress itself refuses its
		// one bad address.
		if n.net.IsSingleIP() && p.Bits() < n.net.Bits() && n.net.Addr().Is6() && n.net.Addr().IsPrivate() {
			continue
		}
		return faultf(n.fix, "%s reaches %s (%s)", quote(s), n.net, n.why)
	}
	return nil
}

// Bounds, in labels and in characters, on the part of a name that a wildcard matches.
// That part reaches whoever owns the suffix's name servers, so it could carry data out.
const (
	WildcardLabels = 4
	WildcardExtra  = 100
)

// Names reports whether the rule names a name, which must be lower case and without a
// trailing dot. long reports that only the length of a wildcard's match is against it.
func (h Host) Names(name string) (ok, long bool) {
	switch h.Kind {
	case HostName:
		return name != "" && h.Name == name, false
	case HostWildcard:
		if h.Name == "" {
			return false, false
		}
		extra, found := strings.CutSuffix(name, "."+h.Name)
		if !found || extra == "" {
			return false, false
		}
		fits := len(extra) <= WildcardExtra && strings.Count(extra, ".") < WildcardLabels
		return fits, !fits
	}
	return false, false
}

// AddressClass names the class of an address, in words.
type AddressClass string

// The classes that a rule can reach. No rule reaches any other.
const (
	AddressPublic  AddressClass = "public"
	AddressPrivate AddressClass = "a private address"
)

// barred is a range of addresses that no name may resolve to.
type barred struct {
	net netip.Prefix
	is  AddressClass
}

// ranges is searched in order, so exact addresses come first. Its IPv6 ranges lie in or
// beside 2000::/3; nothing outside of that is public.
var ranges = func() []barred {
	var out []barred
	for _, r := range []struct{ net, is string }{
		// Metadata services hand out cloud credentials to any client. Some lie in
		// ranges that a rule may open as private.
		{"169.254.169.254/32", "a cloud's metadata service"},
		{"169.254.170.2/32", "a cloud's metadata service"},  // ECS
		{"169.254.170.23/32", "a cloud's metadata service"}, // EKS
		{"100.100.100.200/32", "a cloud's metadata service"},
		{"192.0.0.192/32", "a cloud's metadata service"},
		{"168.63.129.16/32", "a cloud's metadata service"},
		{"fd00:ec2::254/128", "a cloud's metadata service"},
		{"fd00:ec2::23/128", "a cloud's metadata service"},
		{"fd20:ce::254/128", "a cloud's metadata service"},
		{"fe80::a9fe:a9fe/128", "a cloud's metadata service"},

		// The special-purpose registries of IANA (RFC 6890).
		{"0.0.0.0/8", "an unspecified address"},
		{"127.0.0.0/8", "a loopback address"},
		{"169.254.0.0/16", "a link-local address"},
		{"192.0.0.0/24", "a reserved address"},
		{"192.88.99.0/24", "a 6to4 relay"},
		{"224.0.0.0/4", "a multicast address"},
		{"240.0.0.0/4", "a reserved address"}, // the limited broadcast included
		{"::/128", "an unspecified address"},
		{"::1/128", "a loopback address"},
		{"::ffff:0:0/96", "an IPv4 address in an IPv6 one"},
		{"::/96", "an IPv4 address in an IPv6 one"},
		{"::ffff:0:0:0/96", "an IPv4 address in an IPv6 one"},
		{"64:ff9b::/96", "an IPv4 address in an IPv6 one (NAT64)"},
		{"64:ff9b:1::/48", "an IPv4 address in an IPv6 one (NAT64)"},
		{"2001::/32", "an IPv4 address in an IPv6 one (Teredo)"},
		{"2002::/16", "an IPv4 address in an IPv6 one (6to4)"},
		{"2001:10::/28", "a reserved address"}, // ORCHID
		{"fe80::/10", "a link-local address"},
		{"fec0::/10", "a reserved address"}, // site-local, deprecated by RFC 3879
		{"ff00::/8", "a multicast address"},

		// A rule may open these ranges explicitly.
		{"10.0.0.0/8", string(AddressPrivate)},
		{"172.16.0.0/12", string(AddressPrivate)},
		{"192.168.0.0/16", string(AddressPrivate)},
		{"100.64.0.0/10", string(AddressPrivate)}, // shared by carriers (RFC 6598)
		{"198.18.0.0/15", string(AddressPrivate)}, // benchmarks; and local proxies that invent addresses
		{"fc00::/7", string(AddressPrivate)},
	} {
		out = append(out, barred{netip.MustParsePrefix(r.net), AddressClass(r.is)})
	}
	return out
}()

// globalUnicast is all of IPv6 that IANA has allocated.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// ClassifyAddress returns the class of an address. The networks reserved for
// documentation count as public: no machine is there.
func ClassifyAddress(a netip.Addr) AddressClass {
	switch {
	case !a.IsValid():
		return "no address"
	case a.Zone() != "":
		return "a link-local address"
	}
	for _, r := range ranges {
		if r.net.Contains(a) {
			return r.is
		}
	}
	if a.Is4In6() {
		return "an IPv4 address in an IPv6 one"
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		return "a reserved address"
	}
	return AddressPublic
}

// PrivateNetwork reports whether a whole network is private.
func PrivateNetwork(p netip.Prefix) bool {
	for _, r := range ranges {
		if r.is == AddressPrivate && r.net.Bits() <= p.Bits() && r.net.Contains(p.Addr()) {
			return true
		}
	}
	return false
}
