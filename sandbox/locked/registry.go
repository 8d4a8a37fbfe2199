package locked

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"mcpen/sandbox/plan"
)

// registryProxy chooses the way to a registry by the same variables and exceptions as
// for a server; the scheme of the address decides which variable, as for npm and pip. A
// variable that names no proxy is an error where one would have to be used.
func (c *Packages) registryProxy() func(*http.Request) (*url.URL, error) {
	all, bad := c.Proxies()
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
