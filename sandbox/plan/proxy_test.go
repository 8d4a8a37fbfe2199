package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"mcpen/sandbox/policy"
)

// mcpen must choose a host's proxy as programs outside do.
func TestProxyFor(t *testing.T) {
	const http, https = "http://a.example:3128", "http://b.example:3128"
	both := Proxies{HTTP: Proxy{Via: http}, HTTPS: Proxy{Via: https}, Except: "intern.example.com, .sub.example.com, 10.0.0.0/8, port.example.com:8443, 192.0.2.7"}
	for _, tt := range []struct {
		host string
		port uint16
		want string
	}{
		{"api.github.com", 443, https}, {"api.github.com", 5432, https}, {"api.github.com", 80, http},
		{"intern.example.com", 443, ""}, {"db.intern.example.com", 5432, ""}, {"xintern.example.com", 443, https},
		{"sub.example.com", 443, https}, {"a.sub.example.com", 443, ""},
		{"port.example.com", 8443, ""}, {"port.example.com", 443, https},
		{"10.1.2.3", 443, ""}, {"192.0.2.7", 443, ""}, {"192.0.2.8", 443, https}, {"2001:db8::1", 443, https},
		{"localhost", 443, ""}, {"127.0.0.1", 443, ""},
	} {
		if got := both.For(tt.host, tt.port).Via; got != tt.want {
			t.Errorf("%s:%d goes by %q, want %q", tt.host, tt.port, got, tt.want)
		}
	}
	if all := (Proxies{HTTPS: Proxy{Via: https}, Except: "*"}); all.For("api.github.com", 443).Via != "" {
		t.Error("NO_PROXY=* is not kept")
	}
	if one := (Proxies{HTTPS: Proxy{Via: https}}); one.For("api.github.com", 80).Via != "" {
		t.Error("HTTPS_PROXY is used for port 80")
	}
	six := Proxies{HTTPS: Proxy{Via: https}, Except: "2001:db8::1, [2001:db8::2]:8443"}
	for to, want := range map[string]string{"2001:db8::1": "", "2001:db8::2": https} {
		if got := six.For(to, 443).Via; got != want {
			t.Errorf("%s goes by %q, want %q", to, got, want)
		}
	}
}

// A profile names a proxy without credentials. They come from the environment, for this
// proxy and no other, and no form of a plan shows them.
func TestProxyLogins(t *testing.T) {
	const corp = "http://proxy.example.com:3128"
	for via, want := range map[string]Opaque{corp: "ada:unseen", "http://other.example.com:3128": ""} {
		pol, h := richPolicy(t), richHost(t)
		pol.Network.Proxy = policy.Proxy{Via: via, At: policy.Pos{File: "p.toml", Line: 3, Col: 4}}
		h.Proxies = Proxies{HTTPS: Proxy{Via: corp, At: "HTTPS_PROXY", Login: "ada:unseen"}}
		p, err := Compile(pol, richProgram(), h)
		if err != nil {
			t.Fatal(err)
		}
		got := p.Network.Proxies.HTTPS
		if got.Via != via || got.Login != want || p.Network.Proxies.HTTP != got || got.At != "p.toml:3:4" {
			t.Errorf("%s: %+v with the login %q", via, p.Network.Proxies, string(got.Login))
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if all := string(text) + fmt.Sprintf("%v %+v %#v", p, p, p); strings.Contains(all, "unseen") {
			t.Error("the credentials are shown")
		}
	}
}

// mcpen dials the host and port of the proxy's address.
func TestProxyAddresses(t *testing.T) {
	for via, want := range map[string]struct {
		port          uint16
		named, secure bool
	}{
		"http://proxy.example:3128": {3128, true, false}, "https://10.0.0.1:443": {443, false, true}, "socks5://[2001:db8::1]:1080": {1080, false, false}, "http://localhost:65535": {65535, true, false},
		"http://proxy.example": {0, true, false}, "http://proxy.example:65536": {0, true, false}, "http://a b:1": {0, false, false}, "": {0, true, false},
	} {
		p := Proxy{Via: via}
		if p.Port() != want.port || p.Named() != want.named || p.Secure() != want.secure {
			t.Errorf("%q: port %d, named %v, secure %v", via, p.Port(), p.Named(), p.Secure())
		}
	}
	a, b := Proxy{Via: "http://a:1"}, Proxy{Via: "http://b:1"}
	for _, c := range []struct {
		p    Proxies
		want string
	}{{Proxies{}, "[]"}, {Proxies{HTTPS: a}, "[http://a:1]"}, {Proxies{HTTP: a}, "[http://a:1]"}, {Proxies{HTTPS: a, HTTP: a}, "[http://a:1]"}, {Proxies{HTTPS: a, HTTP: b}, "[http://a:1 http://b:1]"}} {
		got := []string{}
		for _, one := range c.p.Both() {
			got = append(got, one.Via)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%+v: %v, want %s", c.p, got, c.want)
		}
	}
}

// "none" in a profile overrides the environment. Otherwise the environment's proxies
// apply, with their exceptions.
func TestTheProfileChoosesTheWayOut(t *testing.T) {
	env := Proxies{HTTPS: Proxy{Via: "http://a:1", Login: "l1"}, HTTP: Proxy{Via: "http://b:1", Login: "l2"}, Except: "x.example"}
	for via, want := range map[string]Proxies{
		"": env, policy.ProxyNone: {}, "http://b:1": {HTTPS: Proxy{Via: "http://b:1", Login: "l2"}, HTTP: Proxy{Via: "http://b:1", Login: "l2"}, Except: "x.example"},
		"http://a:1": {HTTPS: Proxy{Via: "http://a:1", Login: "l1"}, HTTP: Proxy{Via: "http://a:1", Login: "l1"}, Except: "x.example"}, "http://c:1": {HTTPS: Proxy{Via: "http://c:1"}, HTTP: Proxy{Via: "http://c:1"}, Except: "x.example"},
	} {
		c := compiler{host: Host{Proxies: env}}
		c.pol.Network.Proxy.Via = via
		if got := c.proxies(); got != want {
			t.Errorf("%q: %+v", via, got)
		}
	}
}
