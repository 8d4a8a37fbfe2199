package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Registry is the source of one ecosystem's packages, with its credentials. It holds
// the user's own configuration of npm, pip or uv (see ReadNPM and ReadPip); without a
// setting there, nothing is assumed.
//
// The zero Registry reaches nothing.
type Registry struct {
	URL    string            // base; http or https
	Scopes map[string]string // npm: "@scope" to the base that serves it
	// Credentials are sent to the addresses below their prefix and to no other.
	Credentials []Credential
	CA          []byte // PEM, in addition to the system's; nil: the system's alone
	// Files are hosts beside the registry's own that may serve archives although their
	// address is private. Public hosts that an index page names need no entry: the hash
	// checks their archives.
	Files []string
	// Unused names the settings that have no effect, for a person.
	Unused []string
	// Proxy is as in http.Transport; nil connects directly. A proxy looks up its
	// destinations itself: the rule about private addresses is then its own.
	Proxy func(*http.Request) (*url.URL, error)
	// Timeout bounds the wait for the head of an answer and every wait for more
	// of its body; its pace is measured over half of that. 0 is 60 s.
	Timeout time.Duration
	// Whole bounds the whole of a fetch. 0 is five minutes for a page and thirty
	// for an archive.
	Whole time.Duration
}

// Credential is one Authorization header and the part of the network it is for.
type Credential struct {
	Prefix        string // "//host[:port]/path/"
	Authorization Secret // the header's value
}

// Secret is a string that does not print.
type Secret string

// String is always "[secret]".
func (Secret) String() string { return "[secret]" }

// GoString is always "[secret]".
func (Secret) GoString() string { return "[secret]" }

// MarshalText is always "[secret]".
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// basic is the header of HTTP basic authentication.
func basic(user, password string) Secret {
	return Secret("Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// Origin is the registry's URL as it may be written into a lock: without user,
// query and fragment, with one slash at its end.
func (r Registry) Origin() string { return origin(r.URL) }

func origin(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return strings.TrimRight(u.String(), "/") + "/"
}

// Base is the URL below which a package of that name is looked up.
func (r Registry) Base(name string) (*url.URL, error) {
	s := r.URL
	if scope, _, ok := strings.Cut(name, "/"); ok && r.Scopes[scope] != "" {
		s = r.Scopes[scope]
	}
	if s == "" {
		return nil, errors.New("cannot ask a registry: none is configured")
	}
	u, err := url.Parse(origin(s))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("cannot ask the registry %q: want an http or https address", origin(s))
	}
	return u, nil
}

// Ours is true for addresses of a host that the configuration names.
func (r Registry) Ours(u *url.URL) bool {
	for _, s := range append([]string{r.URL}, mapValues(r.Scopes)...) {
		if b, err := url.Parse(s); err == nil && s != "" && b.Scheme == u.Scheme && strings.EqualFold(b.Host, u.Host) {
			return true
		}
	}
	return false
}

func mapValues(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

func (r Registry) timeout() time.Duration {
	if r.Timeout > 0 {
		return r.Timeout
	}
	return time.Minute
}

// authorization is the header for an address: that of the longest matching
// prefix, as npm chooses it.
func (r Registry) authorization(u *url.URL) string {
	at := "//" + strings.ToLower(u.Host) + u.EscapedPath()
	best := Credential{}
	for _, c := range r.Credentials {
		if strings.HasPrefix(at, c.Prefix) && strings.HasSuffix(c.Prefix, "/") && len(c.Prefix) > len(best.Prefix) {
			best = c
		}
	}
	return string(best.Authorization)
}

// Client makes the HTTP client of a registry. An address on a host that the
// configuration does not name is dialled only when it is public: an index page
// must not be able to point this machine at its own network.
func (r Registry) Client() (*http.Client, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("cannot read the system's certificates: %w", err)
	}
	if len(r.CA) > 0 && !pool.AppendCertsFromPEM(r.CA) {
		return nil, errors.New("cannot read the configured certificate authority: no PEM certificate in it")
	}
	known := map[string]bool{}
	for _, s := range append([]string{r.URL}, mapValues(r.Scopes)...) {
		if u, err := url.Parse(s); err == nil {
			known[hostPort(u)] = true
		}
	}
	for _, h := range r.Files {
		known[strings.ToLower(h)] = true
	}
	var mu sync.Mutex
	via := func(req *http.Request) (*url.URL, error) {
		if r.Proxy == nil {
			return nil, nil
		}
		u, err := r.Proxy(req)
		if u != nil {
			mu.Lock()
			known[hostPort(u)] = true
			mu.Unlock()
		}
		return u, err
	}
	free := &net.Dialer{Timeout: 30 * time.Second}
	public := &net.Dialer{Timeout: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error { return onlyPublic(address) }}
	transport := &http.Transport{
		Proxy:                 via,
		TLSClientConfig:       &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		ResponseHeaderTimeout: r.timeout(),
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConnsPerHost:   8,
		ForceAttemptHTTP2:     true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			mu.Lock()
			named := known[strings.ToLower(address)] || known[strings.ToLower(host)]
			mu.Unlock()
			if named {
				return free.DialContext(ctx, network, address)
			}
			return public.DialContext(ctx, network, address)
		},
	}
	return &http.Client{Transport: transport, CheckRedirect: r.redirect}, nil
}

// hostPort is the address that DialContext receives for a URL.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return strings.ToLower(net.JoinHostPort(u.Hostname(), port))
}

// File is the address of an archive that a page names: of the registry itself,
// or of a host that is reached by https.
func (r Registry) File(page *url.URL, address string) (*url.URL, error) {
	u, err := page.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%q is no address", address)
	}
	u.User, u.Fragment = nil, ""
	if u.Scheme != "https" && !r.Ours(u) {
		return nil, fmt.Errorf("%s is not served by https", Shown(u))
	}
	return u, nil
}

// redirect follows at most five steps, never from https to http, and chooses
// the credential anew at each: net/http would carry it to subdomains.
func (r Registry) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > 5 {
		return errors.New("more than five redirects")
	}
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("redirect from https to %s", req.URL.Scheme)
	}
	req.Header.Del("Authorization")
	if a := r.authorization(req.URL); a != "" {
		req.Header.Set("Authorization", a)
	}
	return nil
}

// cgnat and friends are not covered by netip's IsPrivate (RFC 6598, RFC 6052).
var notPublic = []netip.Prefix{netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("0.0.0.0/8")}

func onlyPublic(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := ap.Addr().Unmap()
	bad := ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified()
	for _, p := range notPublic {
		bad = bad || p.Contains(ip)
	}
	if bad {
		return fmt.Errorf("address %s is not public, and its host is not one the configuration names", ip)
	}
	return nil
}
