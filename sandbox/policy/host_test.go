package policy

import (
	"strings"
	"testing"
)

var hosts = map[string]Host{
	"api.github.com:443":         {Kind: HostName, Name: "api.github.com", First: 443, Last: 443, TLS: TLSUsual},
	"API.GitHub.com.:443":        {Kind: HostName, Name: "api.github.com", First: 443, Last: 443, TLS: TLSUsual},
	"x:80":                       {Kind: HostName, Name: "x", First: 80, Last: 80, TLS: TLSUsual},
	"x:443-444":                  {Kind: HostName, Name: "x", First: 443, Last: 444, TLS: TLSUsual},
	"*.example.com:443":          {Kind: HostWildcard, Name: "example.com", First: 443, Last: 443, TLS: TLSUsual},
	"*.BÜCHER.example:1-16":      {Kind: HostWildcard, Name: "xn--bcher-kva.example", First: 1, Last: 16, TLS: TLSUsual},
	"bücher。example:443":         {Kind: HostName, Name: "xn--bcher-kva.example", First: 443, Last: 443, TLS: TLSUsual},
	"xn--bcher-kva.example:443":  {Kind: HostName, Name: "xn--bcher-kva.example", First: 443, Last: 443, TLS: TLSUsual},
	"192.168.1.1:443":            {Kind: HostCIDR, Name: "192.168.1.1/32", First: 443, Last: 443},
	"10.0.0.0/8:5432":            {Kind: HostCIDR, Name: "10.0.0.0/8", First: 5432, Last: 5432},
	"[2001:DB8::1]:65535":        {Kind: HostCIDR, Name: "2001:db8::1/128", First: 65535, Last: 65535},
	"[fd00::/8]:1":               {Kind: HostCIDR, Name: "fd00::/8", First: 1, Last: 1},
	"My_DB.a.example:5432":       {Kind: HostName, Name: "my_db.a.example", First: 5432, Last: 5432, TLS: TLSUsual},
	"my_db:5432":                 {Kind: HostName, Name: "my_db", First: 5432, Last: 5432, TLS: TLSUsual},
	"*.a_b.example:1":            {Kind: HostWildcard, Name: "a_b.example", First: 1, Last: 1, TLS: TLSUsual},
	"localhost:5432":             {Kind: HostLocal, Name: "localhost", First: 5432, Last: 5432},
	"LOCALHOST.:5432":            {Kind: HostLocal, Name: "localhost", First: 5432, Last: 5432},
	"ｌｏｃａｌｈｏｓｔ:1":                {Kind: HostLocal, Name: "localhost", First: 1, Last: 1},
	"metadata.google.internal:1": {Kind: HostName, Name: "metadata.google.internal", First: 1, Last: 1, TLS: TLSUsual},
}

var badHosts = []string{
	"", ":", ":443", "a.example", "a.example:", "a.example:0", "a.example:65536", "a.example:99999", "a.example:+1", "a.example:01",
	"a.example:https", "a.example:443-", "a.example:-443", "a.example:444-443", "a.example:1-17", "a.example:1-2-3", "a.example:４４３",
	"https://a.example", "https://a.example:443/x", "a.example/x:443", "a.example:443/x", "user@a.example:443", "a%2eexample:443",
	" a.example:443", "a.example:443 ", "a. example:443", "a.example:443\n", "a\x00.example:443", "a.example\u200b.:44 3", "a\u00a0b.example:443",
	"a..example:443", ".a.example:443", "a.example..:443", "-a.example:443", "_a.example:443", "a._tcp.example:443", "-a_b.example:443", "a_b-.example:443", "a_ü.example:443", "xn--a_b.example:443", "a_b..example:443", "*.a_b:443", "a,b.example:443",
	"*:443", "*.:443", "*.com:443", "*.com.:443", "*.*.example.com:443", "a.*.example.com:443", "a*.example.com:443", "*a.example.com:443", "**.example.com:443",
	"*.localhost:443", "a.localhost:443", "localhost:1-2", "localhost", "*.1.2.3.4:443", "*.10.0.0.0/8:443",
	"127.0.0.1:80", "127.8.8.8:80", "0.0.0.0:80", "[::]:80", "[::1]:80", "169.254.169.254:80", "169.254.0.0/16:80", "[fd00:ec2::254]:80", "[fe80::1]:80",
	"[fe80::1%eth0]:80", "224.0.0.1:80", "[ff02::1]:80", "255.255.255.255:80",
	"[::ffff:127.0.0.1]:80", "[::ffff:10.0.0.1]:80", "[::ffff:0:0/96]:80", "[64:ff9b::7f00:1]:80",
	"0.0.0.0/0:443", "0.0.0.0/1:443", "128.0.0.0/1:443", "126.0.0.0/7:443", "[::/0]:443", "[2000::/3]:443", "10.0.0.1/8:443", "10.0.0.0/08:443", "10.0.0.0/33:443", "10.0.0.0/:443",
	"127.1:80", "2130706433:80", "0x7f000001:80", "0x7f.0.0.1:80", "0177.0.0.1:80", "1.2.3:80", "1.2.3.4.5:80", "１２７.0.0.1:80", "127.0.0.1.:80", "a.0x:80", "a.7:80",
	"::1:80", "2001:db8::1:443", "[a.example]:443", "[2001:db8::1:443", "[2001:db8::1]443", "[2001:db8::1]", "[]:443",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example:443",
	"xn--a.example:443", "xn--0.example:443",
}

func TestHostRulesMeanOneThing(t *testing.T) {
	for s, want := range hosts {
		got, err := ParseHost(s)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", s, got, err, want)
		}
	}
}

func TestHostRulesThatMeanTooMuchAreRefused(t *testing.T) {
	for _, s := range badHosts {
		if h, err := ParseHost(s); err == nil {
			t.Errorf("%q is taken for %+v", s, h)
		}
	}
}

func TestWideNetworksStopShortOfThisMachine(t *testing.T) {
	// The twin of the refusals above: the addresses beside them are allowed.
	for _, s := range []string{"126.0.0.0/8:1", "128.0.0.0/8:1", "169.0.0.0/9:1", "169.255.0.0/16:1", "100.64.0.0/10:1", "[fd00:ec2::/32]:1", "[64:ff9b:1::/48]:1"} {
		if _, err := ParseHost(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestBaselineCoversHosts(t *testing.T) {
	for _, c := range []struct {
		outer, inner string
		want         bool
	}{
		{"a.example.com:443", "a.example.com:443", true},
		{"a.example.com:1-16", "a.example.com:2-3", true},
		{"a.example.com:2-3", "a.example.com:1-3", false},
		{"*.example.com:443", "a.b.example.com:443", true},
		{"*.example.com:443", "*.b.example.com:443", true},
		{"*.example.com:443", "*.example.com:443", true},
		{"*.example.com:443", "example.com:443", false},
		{"*.example.com:443", "badexample.com:443", false},
		{"*.b.example.com:443", "*.example.com:443", false},
		{"a.example.com:443", "*.a.example.com:443", false},
		{"10.0.0.0/8:1", "10.1.2.3:1", true},
		{"10.0.0.0/16:1", "10.0.0.0/8:1", false},
		{"10.0.0.0/8:1", "a.example.com:1", false},
		{"localhost:1", "localhost:1", true},
		{"localhost:1", "localhost:2", false},
		{"x:1", "localhost:1", false},
	} {
		outer, err := ParseHost(c.outer)
		if err != nil {
			t.Fatal(err)
		}
		inner, err := ParseHost(c.inner)
		if err != nil {
			t.Fatal(err)
		}
		if got := outer.covers(inner); got != c.want {
			t.Errorf("%s covers %s: %v", c.outer, c.inner, got)
		}
	}
	// If a baseline demands TLS on a port, neither a range around the port nor a rule
	// without the TLS check evades it.
	for _, c := range []struct {
		outer, inner string
		tls          [2]TLS
		want         bool
	}{
		{"a.example:440-455", "a.example:443", [2]TLS{TLSUsual, TLSUsual}, true},
		{"a.example:440-450", "a.example:443-444", [2]TLS{TLSUsual, TLSUsual}, true},
		{"a.example:443", "a.example:443", [2]TLS{TLSUsual, TLSNever}, false},
		{"a.example:444", "a.example:444", [2]TLS{TLSUsual, TLSNever}, false},
		{"a.example:443", "a.example:443", [2]TLS{TLSAlways, TLSUsual}, true},
		{"a.example:443-444", "a.example:443-444", [2]TLS{TLSAlways, TLSUsual}, false},
		{"a.example:443-444", "a.example:443", [2]TLS{TLSAlways, TLSUsual}, true},
		{"a.example:444", "a.example:444", [2]TLS{TLSUsual, TLSAlways}, true},
		{"a.example:443", "a.example:443", [2]TLS{TLSNever, TLSUsual}, true},
		{"a.example:443", "a.example:443", [2]TLS{"", TLSNever}, false},
	} {
		outer, inner := hostOf(t, c.outer), hostOf(t, c.inner)
		outer.TLS, inner.TLS = c.tls[0], c.tls[1]
		if got := outer.covers(inner); got != c.want {
			t.Errorf("%s (%s) covers %s (%s): %v", c.outer, outer.TLS, c.inner, inner.TLS, got)
		}
	}
	if (Host{}).covers(Host{Kind: HostName, Name: "a.example", First: 0, Last: 0, TLS: TLSUsual}) {
		t.Error("the zero rule covers something")
	}
}

func hostOf(t *testing.T, s string) Host {
	t.Helper()
	h, err := ParseHost(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Whether a rule demands TLS depends on the port, not on how the rule is written.
func TestTLSGoesByThePort(t *testing.T) {
	for _, c := range []struct {
		rule              string
		tls               TLS
		port              uint16
		demanded, checked bool
	}{
		{"a.example:443", TLSUsual, 443, true, true}, {"a.example:443-444", TLSUsual, 443, true, true}, {"*.a.example:440-450", TLSUsual, 443, true, true},
		{"a.example:443-444", TLSUsual, 444, false, true}, {"a.example:80", TLSUsual, 80, false, true},
		{"a.example:80", TLSAlways, 80, true, true}, {"a.example:80", "", 80, true, true}, {"a.example:443", TLSNever, 443, false, false},
		{"10.0.0.0/8:443", "", 443, false, false}, {"localhost:443", "", 443, false, false},
	} {
		h := hostOf(t, c.rule)
		h.TLS = c.tls
		if h.Demanded(c.port) != c.demanded || h.Checked(c.port) != c.checked {
			t.Errorf("%s, %q, port %d: demanded %v, checked %v", c.rule, c.tls, c.port, h.Demanded(c.port), h.Checked(c.port))
		}
	}
}

// Each network that no rule may reach is refused at its first and last address, as a
// part of itself and as a part of a wider network, with a hint at the alternative.
func TestNetworksThatNoRuleReaches(t *testing.T) {
	for _, c := range []struct{ hint, why, nets string }{
		{"localhost:PORT", "this machine itself", "127.0.0.0 127.255.255.255 127.0.0.0/8 127.64.0.0/10 [::1] 0.0.0.0 0.255.255.255 0.0.0.0/8 [::]"},
		{"", "where clouds hand out", "169.254.0.0 169.254.255.255 169.254.0.0/16 169.254.0.0/15 169.0.0.0/8"},
		{"", "depends on an interface", "[fe80::] [febf:ffff::1] [fe80::/10] [fe80::/64] [fe00::/8]"},
		{"", "a cloud hands out credentials", "[fd00:ec2::254]"},
		{"", "multicast", "224.0.0.0 239.255.255.255 224.0.0.0/8 239.0.0.0/8 [ff00::] [ffff::1] [ff00::/8]"},
		{"", "broadcast", "255.255.255.255 255.255.255.0/24 255.0.0.0/8"},
		{"", "write it as IPv4", "[::ffff:0.0.0.0] [::ffff:255.255.255.255] [::ffff:0:0/96] [64:ff9b::] [64:ff9b::255.255.255.255] [64:ff9b::/96] [64:ff9b::/32]"},
	} {
		for _, net := range strings.Fields(c.nets) {
			h, err := ParseHost(net + ":80")
			f, ok := err.(*fault)
			if !ok || !strings.Contains(f.text, c.why) || f.hint != c.hint {
				t.Errorf("%s: %+v, %+v", net, h, err)
			}
		}
	}
	for _, net := range strings.Fields("126.255.255.255 128.0.0.0 1.0.0.0 169.253.255.255 169.255.0.0 [fe7f::1] [fec0::1] [fd00:ec2::253] [fd00:ec2::255] 223.255.255.255 240.0.0.1 [feff::1] 255.255.255.254 [::fffe:0:0] [::1:0:0:1] [64:ff9a::1] [64:ff9b:0:1::] [fd00:ec2::/64] [fc00::/8]") {
		if _, err := ParseHost(net + ":80"); err != nil {
			t.Errorf("%s, which lies beside: %v", net, err)
		}
	}
}

// The mistake in a rule suggests the rule that the person probably meant.
func TestHintsOfHostRules(t *testing.T) {
	for rule, hint := range map[string]string{
		"https://a.example": "a.example:443", "WSS://a.example/x": "a.example:443", "http://a.example": "a.example:80", "ws://a.example/": "a.example:80", "ftp://a.example": "", "https://a.example:8443": "", "https://": "", "https:///x": "",
		"a.example": "a.example:443", "[2001:db8::1]": "[2001:db8::1]:443", "a.localhost:80": "localhost:PORT", "*.localhost:80": "", "*.a.localhost:80": "localhost:PORT", "10.0.0.1/8:443": "10.0.0.0/8", strings.Repeat("a", 513): "", strings.Repeat("a", 512): strings.Repeat("a", 512) + ":443",
	} {
		_, err := ParseHost(rule)
		if f, ok := err.(*fault); !ok || f.hint != hint {
			t.Errorf("%.40s: %+v, want the hint %.40q", rule, err, hint)
		}
	}
	if _, err := ParseHost(strings.Repeat("a", 513)); !strings.Contains(err.Error(), "too long for a host") {
		t.Errorf("513 bytes: %v", err)
	}
}

// Hints and the log print a rule so that it parses to the same rule.
func TestHostRulesPrintAsTheyAreRead(t *testing.T) {
	for rule, want := range map[string]string{"A.example:443": "a.example:443", "*.a.example:1-16": "*.a.example:1-16", "localhost:80": "localhost:80", "10.0.0.0/8:80": "10.0.0.0/8:80", "10.0.0.1:80": "10.0.0.1:80",
		"[2001:DB8::1]:80": "[2001:db8::1]:80", "[fd00::/8]:80-81": "[fd00::/8]:80-81"} {
		if got := hostOf(t, rule).String(); got != want {
			t.Errorf("%s prints as %s", rule, got)
		} else if again := hostOf(t, got); again != hostOf(t, rule) {
			t.Errorf("%s is read as %+v", got, again)
		}
	}
}
