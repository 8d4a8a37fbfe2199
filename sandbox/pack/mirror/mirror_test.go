package mirror

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/packtest"
	"mcpen/sandbox/pack/registry"
)

// A job can fetch only the archives that the registry's pages name.
func TestProxyServesNothingElse(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	p, err := Start(Config{Registry: registry.Registry{URL: f.URL + "/npm/", Timeout: 5 * time.Second}, Ecosystem: pack.NPM, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	status := func(u string) int {
		res, err := http.Get(u)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := status(p.Base() + "left"); got != 200 {
		t.Errorf("a package: %d", got)
	}
	if got := status(p.Base() + "file/0/left-1.0.0.tgz"); got != 200 {
		t.Errorf("an archive: %d", got)
	}
	root := "http://" + p.listen.Addr().String() + "/"
	for _, u := range []string{root, root + "left", root + strings.Repeat("0", 32) + "/left", p.Base(), p.Base() + "file/99/x", p.Base() + "file/-1/x", p.Base() + "file/x/x",
		p.Base() + "..%2f..%2fetc", p.Base() + "-/whoami", p.Base() + "-/npm/v1/user", p.Base() + "left/../../x"} {
		if got := status(u); got != 404 {
			t.Errorf("%s: %d", u, got)
		}
	}
	asked := f.Asks()
	if res, err := http.Post(p.Base()+"left", "application/json", strings.NewReader("{}")); err != nil || res.StatusCode != 404 || f.Asks() != asked {
		t.Errorf("a post: %v, %v", res, err)
	}
}
