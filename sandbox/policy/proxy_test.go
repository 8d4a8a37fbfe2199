package policy

import (
	"strings"
	"testing"
)

// mcpen reads a proxy's address as other programs do, and compares addresses in one
// form.
func TestProxies(t *testing.T) {
	for _, tt := range []struct{ text, via, login string }{
		{"http://proxy.example.com:3128", "http://proxy.example.com:3128", ""},
		{"proxy.example.com:3128", "http://proxy.example.com:3128", ""},
		{"HTTP://Proxy.Example.com./", "http://proxy.example.com:80", ""},
		{"https://ada:s%40cret@proxy.example.com", "https://proxy.example.com:443", "ada:s@cret"},
		{"http://ada@proxy:8080", "http://proxy:8080", "ada:"},
		{"socks5h://127.0.0.1", "socks5://127.0.0.1:1080", ""},
		{"socks5://[::1]:9050", "socks5://[::1]:9050", ""},
	} {
		via, login, err := ParseProxy(tt.text)
		if via != tt.via || login != tt.login || err != nil {
			t.Errorf("%q: %q, %q, %v; want %q, %q", tt.text, via, login, err, tt.via, tt.login)
		}
	}
	for _, text := range []string{"", "http://", "ftp://secret:secret@proxy:21", "socks4://secret@proxy", "http://proxy:0", "http://proxy:99999", "http://secret@proxy/path",
		"http://proxy?secret", "http://se cret@proxy", "http://ada:secret@pro xy", "http://secret\r\n.proxy:1", "http://0x7f.1:80", "http://proxy:secret"} {
		via, _, err := ParseProxy(text)
		if err == nil {
			t.Errorf("%q is %q", text, via)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the mistake quotes what may be a password: %v", err)
		}
	}
}

// A password does not belong in a shared file, and no message repeats it.
func TestProfileHasNoProxyCredentials(t *testing.T) {
	_, err := Parse("p.toml", []byte("version = 1\n[network]\nproxy = \"http://ada:secret@proxy.example.com:3128\"\n"), nil)
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "HTTPS_PROXY") {
		t.Errorf("%v", err)
	}
}

// The baseline's proxy holds, and a profile that agrees with it passes.
func TestBaselineProxy(t *testing.T) {
	baseline := func(proxy string) *Profile {
		p, err := ParseBaseline("b.toml", []byte("version = 1\n[network]\nproxy = \""+proxy+"\"\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const corp, other = "http://proxy.example.com:3128", "http://other.example.com:3128"
	for _, tt := range []struct {
		profile   string
		baselines []string
		want      string
		mistake   bool
	}{
		{"", []string{corp}, corp, false},
		{corp, []string{corp}, corp, false},
		{other, []string{corp}, "", true},
		{"none", []string{corp}, "", true},
		{"environment", []string{corp}, "", true},
		{corp, []string{"none"}, "", true},
		{"", []string{"none"}, "none", false},
		{"", []string{"environment"}, "", false},
		{corp, []string{"environment"}, "", true},
		{"", []string{corp, corp}, corp, false},
		{"", []string{corp, other}, "", true},
		{corp, nil, corp, false},
	} {
		text := "version = 1\n"
		if tt.profile != "" {
			text += "[network]\nproxy = \"" + tt.profile + "\"\n"
		}
		p, err := Parse("p.toml", []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		in := Input{}
		for _, b := range tt.baselines {
			in.Baselines = append(in.Baselines, baseline(b))
		}
		pol, err := Resolve(p, in)
		if pol.Network.Proxy.Via != tt.want || (err != nil) != tt.mistake {
			t.Errorf("%q within %q: %q, %v", tt.profile, tt.baselines, pol.Network.Proxy.Via, err)
		}
	}
}
