package locked

import (
	"net/http"
	"testing"

	"mcpen/sandbox/user"
)

// A company whose proxy stands in the environment reaches its registry as a server
// reaches its hosts; direct hosts there are direct here.
func TestRegistryProxy(t *testing.T) {
	for _, tc := range []struct {
		env         []string
		to, via, no string // no: the beginning of the error
	}{
		{nil, "https://r.invalid/x", "", ""},
		{[]string{"HTTPS_PROXY=http://u:p@p.invalid:3128"}, "https://r.invalid/x", "http://u:p@p.invalid:3128", ""},
		{[]string{"https_proxy=p.invalid:3128"}, "https://r.invalid:8443/x", "http://p.invalid:3128", ""},
		{[]string{"HTTPS_PROXY=http://p.invalid:3128"}, "http://r.invalid:8081/x", "", ""},
		{[]string{"HTTP_PROXY=http://p.invalid:3128"}, "http://r.invalid:8081/x", "http://p.invalid:3128", ""},
		{[]string{"ALL_PROXY=socks5h://p.invalid:1080"}, "https://r.invalid/x", "socks5://p.invalid:1080", ""},
		{[]string{"HTTPS_PROXY=http://p.invalid:3128", "NO_PROXY=.invalid"}, "https://r.invalid/x", "", ""},
		{[]string{"HTTPS_PROXY=http://p.invalid:3128"}, "https://127.0.0.1:8443/x", "", ""},
		{[]string{"HTTPS_PROXY=ftp://p.invalid"}, "https://r.invalid/x", "", "cannot use HTTPS_PROXY: it"},
		{[]string{"HTTPS_PROXY=ftp://p.invalid"}, "https://localhost:8443/x", "", ""},
		{[]string{"HTTPS_PROXY=ftp://p.invalid", "NO_PROXY=r.invalid"}, "https://r.invalid/x", "", ""},
	} {
		req, err := http.NewRequest(http.MethodGet, tc.to, nil)
		if err != nil {
			t.Fatal(err)
		}
		via, err := (&Packages{Person: user.Person{Env: tc.env}}).registryProxy()(req)
		got := ""
		if via != nil {
			got = via.String()
		}
		if got != tc.via || (err != nil) != (tc.no != "") || err != nil && err.Error()[:min(len(tc.no), len(err.Error()))] != tc.no {
			t.Errorf("%q: %s by %q, %v; want %q", tc.env, tc.to, got, err, tc.via)
		}
	}
}
