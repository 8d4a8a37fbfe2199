package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mcpen/sandbox/pack/packtest"
)

func writeConf(t *testing.T, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func authAt(t *testing.T, r Registry, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return r.authorization(u)
}

func TestReadNPMRC(t *testing.T) {
	password := base64.StdEncoding.EncodeToString([]byte("p"))
	global := writeConf(t, "; comment\nregistry = \"https://a.invalid/npm\"\n@other:registry=https://o.invalid\n")
	user := writeConf(t, "registry=https://b.invalid # no more\nregistry=https://a.invalid/npm ; the last one counts\n@corp:registry=https://c.invalid/x/\n//a.invalid/npm/:_authToken=${TOK}\n"+
		"//c.invalid/:username=u\n//c.invalid/:_password="+password+"\n//d.invalid/deep/:_auth=Zm9v\n//e.invalid/:_authToken=${NONE}\n")
	places := NPMPlaces{Env: []string{"TOK=t1", "npm_config_userconfig=" + user, "NPM_CONFIG_GLOBALCONFIG=" + global}}
	r, err := ReadNPM(places)
	if err != nil {
		t.Fatal(err)
	}
	if r.Origin() != "https://a.invalid/npm/" {
		t.Errorf("registry %q", r.URL)
	}
	for name, want := range map[string]string{"@corp/x": "https://c.invalid/x/", "@other/x": "https://o.invalid/", "x": "https://a.invalid/npm/"} {
		if b, err := r.Base(name); err != nil || b.String() != want {
			t.Errorf("%s: %v, %v", name, b, err)
		}
	}
	for address, want := range map[string]string{
		"https://a.invalid/npm/left":        "Bearer t1",
		"https://a.invalid/other":           "",
		"https://a.invalid/npmevil/left":    "",
		"https://a.invalid.evil/npm/left":   "",
		"https://a.invalid:444/npm/left":    "",
		"https://c.invalid/x/y":             "Basic " + base64.StdEncoding.EncodeToString([]byte("u:p")),
		"https://d.invalid/deep/y":          "Basic Zm9v",
		"https://upstream.invalid/npm/left": "",
	} {
		if got := authAt(t, r, address); got != want {
			t.Errorf("%s gets %q, want %q", address, got, want)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", r, r, r); strings.Contains(s, "t1") || strings.Contains(s, "Zm9v") {
		t.Errorf("a credential prints: %s", s)
	}
	for name, text := range map[string]string{"strict-ssl": "strict-ssl=false\n", "cafile": "cafile=/nonexistent\n", "password": "//h/:username=u\n//h/:_password=%%%\n", "proxy": "proxy=http://\n"} {
		if _, err := ReadNPM(NPMPlaces{Env: []string{"npm_config_userconfig=" + writeConf(t, text)}}); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	if r, err := ReadNPM(NPMPlaces{}); err != nil || r.URL != "" {
		t.Errorf("nothing configured: %q, %v", r.URL, err)
	} else if _, err := r.Base("a"); err == nil {
		t.Error("a registry that nobody named has an address")
	}
}

// If mcpen asks the public registry for a company's name, it installs a stranger's
// package: npm itself says where it takes a package from, and so does mcpen.
func TestRegistriesAreThoseOfNPM(t *testing.T) {
	tools := packtest.FindTools(t)
	for name, w := range map[string]struct {
		env  []string
		user string
	}{
		"a variable in capitals":              {[]string{"NPM_CONFIG_REGISTRY=https://v.invalid/"}, "registry=https://f.invalid/\n"},
		"a variable in mixed case":            {[]string{"Npm_Config_Registry=https://v.invalid/"}, ""},
		"the last variable":                   {[]string{"npm_config_registry=https://v.invalid/", "NPM_CONFIG_REGISTRY=https://w.invalid/"}, ""},
		"an empty variable":                   {[]string{"npm_config_registry="}, "registry=https://f.invalid/\n"},
		"a scope's variable":                  {[]string{"npm_config_@corp:registry=https://v.invalid/"}, "@corp:registry=https://f.invalid/\n"},
		"a scope's variable in capitals":      {[]string{"NPM_CONFIG_@CORP:REGISTRY=https://v.invalid/"}, ""},
		"an inline comment":                   {nil, "registry=https://f.invalid/ ; ours\n@corp:registry=https://g.invalid/ # too\n"},
		"an escaped one":                      {nil, "registry=https://f.invalid/\\;x\n"},
		"quotes":                              {nil, "registry=\"https://f.invalid/\"\n@corp:registry='https://g.invalid/'\n"},
		"a variable in a value":               {[]string{"HOST=h.invalid"}, "registry=https://${HOST}/\n"},
		"one that may be missing":             {nil, "@corp:registry=https://g.invalid/${NONE?}\n"},
		"one that is not set":                 {nil, "registry=https://f.invalid/${NONE}\n"},
		"twice, the last counts":              {nil, "registry=https://f.invalid/\nregistry=https://g.invalid/\n"},
		"in a section, where it says nothing": {nil, "[x]\nregistry=https://f.invalid/\n"},
		"spaces":                              {nil, "  registry  =   https://f.invalid/  \n"},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(w.user, "?}") && tools.NPMBefore(t, 10, 6) {
				t.Skip("this npm knows no variable that may be missing")
			}
			home := t.TempDir()
			if err := os.WriteFile(filepath.Join(home, ".npmrc"), []byte(w.user), 0o600); err != nil {
				t.Fatal(err)
			}
			env := append([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}, w.env...)
			cmd := exec.Command(tools.NPM, "config", "ls", "--json", "--no-update-notifier") // or it may ask the registry
			cmd.Env, cmd.Dir = env, home
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var said map[string]any
			if err := json.Unmarshal(out, &said); err != nil {
				t.Fatal(err)
			}
			r, err := ReadNPM(NPMPlaces{Home: home, Node: tools.Node, Env: env})
			if err != nil {
				t.Fatal(err)
			}
			want, _ := said["registry"].(string)
			if own := r.URL == "" && !strings.Contains(want, ".invalid"); !own && r.URL != want {
				t.Errorf("npm asks %q, mcpen %q", want, r.URL)
			}
			want, _ = said["@corp:registry"].(string)
			if r.Scopes["@corp"] != want {
				t.Errorf("for @corp npm asks %q, mcpen %q", want, r.Scopes["@corp"])
			}
		})
	}
}

func TestReadPipConfig(t *testing.T) {
	uv := writeConf(t, "[[index]]\nurl = \"https://uv.invalid/simple\"\ndefault = true\n")
	pip := writeConf(t, "[global]\nindex-url = https://user:pw@pip.invalid/simple\n")
	for _, tc := range []struct {
		env  []string
		want string
	}{
		{[]string{"PIP_CONFIG_FILE=" + pip}, "https://pip.invalid/simple/"},
		{[]string{"PIP_CONFIG_FILE=" + pip, "UV_CONFIG_FILE=" + uv}, "https://uv.invalid/simple/"},
		{[]string{"PIP_CONFIG_FILE=" + pip, "UV_CONFIG_FILE=" + uv, "UV_DEFAULT_INDEX=https://env.invalid/s/"}, "https://env.invalid/s/"},
		{[]string{"PIP_INDEX_URL=https://env.invalid/s/"}, "https://env.invalid/s/"},
	} {
		r, err := ReadPip(PipPlaces{Env: tc.env})
		if err != nil || r.Origin() != tc.want {
			t.Errorf("%q, want %q: %v", r.Origin(), tc.want, err)
		}
	}
	r, err := ReadPip(PipPlaces{Env: []string{"PIP_CONFIG_FILE=" + pip}})
	if err != nil || strings.Contains(r.URL, "pw") || authAt(t, r, "https://pip.invalid/simple/x/") == "" || authAt(t, r, "https://files.invalid/x") != "" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := ReadPip(PipPlaces{Env: []string{"UV_CONFIG_FILE=" + writeConf(t, "not toml")}}); err == nil {
		t.Error("a broken uv.toml was read")
	}
}

// mcpen reports a second index, in whatever way the configuration writes it: with two,
// a stranger's package can take the name of a private one.
func TestSecondIndexIsRefused(t *testing.T) {
	for name, env := range map[string][]string{
		"pip.conf":           {"PIP_CONFIG_FILE=" + writeConf(t, "[global]\nindex-url = https://a.invalid/\nextra-index-url =\n  https://u:pw@b.invalid/simple\n  https://c.invalid\n")},
		"its install part":   {"PIP_CONFIG_FILE=" + writeConf(t, "[install]\nextra_index_url: https://b.invalid/simple\n")},
		"no-index":           {"PIP_NO_INDEX=1"},
		"a variable of pip":  {"PIP_EXTRA_INDEX_URL=https://b.invalid/simple"},
		"in mixed case":      {"PIP_Extra_Index_Url=https://b.invalid/simple"},
		"a variable of uv":   {"UV_EXTRA_INDEX_URL=https://b.invalid/simple"},
		"its newer one":      {"UV_INDEX=corp=https://b.invalid/simple"},
		"uv.toml":            {"UV_CONFIG_FILE=" + writeConf(t, "[[index]]\nurl = \"https://b.invalid/simple\"\n")},
		"uv.toml's old way":  {"UV_CONFIG_FILE=" + writeConf(t, "extra-index-url = [\"https://b.invalid/simple\"]\n")},
		"uv.toml's pip part": {"UV_CONFIG_FILE=" + writeConf(t, "[pip]\nextra-index-url = [\"https://b.invalid/simple\"]\n")},
	} {
		var twice *IndexError
		if _, err := ReadPip(PipPlaces{Env: env}); !errors.As(err, &twice) || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err := ReadPip(PipPlaces{Env: []string{"PIP_CONFIG_FILE=" + writeConf(t, "[global]\nfind-links = /srv/wheels\n"), "UV_FIND_LINKS=/x"}})
	if err != nil || len(r.Unused) != 2 || !strings.Contains(r.Unused[0]+r.Unused[1], "find-links") {
		t.Errorf("a folder of wheels is not named: %q, %v", r.Unused, err)
	}
	for name, env := range map[string][]string{
		"an empty one":       {"PIP_EXTRA_INDEX_URL="},
		"another command's":  {"PIP_CONFIG_FILE=" + writeConf(t, "[download]\nextra-index-url = https://b.invalid/\n")},
		"index that is used": {"PIP_NO_INDEX=false"},
	} {
		if _, err := ReadPip(PipPlaces{Env: env}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The index is the one that pip itself takes, wherever its files are.
func TestIndexIsThatOfPip(t *testing.T) {
	tools := packtest.FindTools(t)
	for name, w := range map[string]struct {
		files map[string]string
		env   []string
	}{
		"the user's file":            {map[string]string{".config/pip/pip.conf": "[global]\nindex-url = https://f.invalid/simple\n"}, nil},
		"the old place":              {map[string]string{".pip/pip.conf": "[global]\nindex-url = https://f.invalid/simple\n"}, nil},
		"both":                       {map[string]string{".pip/pip.conf": "[global]\nindex-url = https://f.invalid/simple\n", ".config/pip/pip.conf": "[global]\nindex-url = https://g.invalid/simple\n"}, nil},
		"XDG_CONFIG_HOME":            {map[string]string{"xdg/pip/pip.conf": "[global]\nindex-url = https://f.invalid/simple\n", ".config/pip/pip.conf": "[global]\nindex-url = https://g.invalid/simple\n"}, []string{"XDG_CONFIG_HOME=HOME/xdg"}},
		"XDG_CONFIG_DIRS":            {map[string]string{"sys/pip/pip.conf": "[global]\nindex-url = https://f.invalid/simple\n"}, []string{"XDG_CONFIG_DIRS=HOME/sys"}},
		"the install part":           {map[string]string{".pip/pip.conf": "[install]\nindex-url = https://f.invalid/simple\n", ".config/pip/pip.conf": "[global]\nindex-url = https://g.invalid/simple\n"}, nil},
		"a colon":                    {map[string]string{".config/pip/pip.conf": "[global]\nindex_url: https://f.invalid/simple\n"}, nil},
		"a variable":                 {map[string]string{".config/pip/pip.conf": "[install]\nindex-url = https://f.invalid/simple\n"}, []string{"PIP_INDEX_URL=https://v.invalid/simple"}},
		"a file that is named":       {map[string]string{"named": "[global]\nindex-url = https://n.invalid/simple\n", ".config/pip/pip.conf": "[global]\nindex-url = https://g.invalid/simple\n"}, []string{"PIP_CONFIG_FILE=HOME/named"}},
		"no file at all":             {map[string]string{".config/pip/pip.conf": "[global]\nindex-url = https://g.invalid/simple\n"}, []string{"PIP_CONFIG_FILE=/dev/null"}},
		"an index that is not asked": {map[string]string{".config/pip/pip.conf": "[download]\nindex-url = https://g.invalid/simple\n"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			for file, text := range w.files {
				file = filepath.Join(home, file)
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			env := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
			for _, kv := range w.env {
				env = append(env, strings.ReplaceAll(kv, "HOME/", home+"/"))
			}
			// pip's own parser reads the same for "pip install".
			cmd := exec.Command(tools.Python, "-c", "from pip._internal.commands import create_command\nprint(create_command('install').parse_args([])[0].index_url)")
			cmd.Env = env
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			want := strings.TrimSpace(string(out))
			r, err := ReadPip(PipPlaces{Home: home, Python: tools.Python, Env: env})
			if err != nil {
				t.Fatal(err)
			}
			if own := r.URL == "" && !strings.Contains(want, ".invalid"); !own && r.URL != want {
				t.Errorf("pip asks %q, mcpen %q", want, r.URL)
			}
		})
	}
}

// Credentials of ~/.netrc go to the machines that it names and to no other.
func TestNetrc(t *testing.T) {
	netrc := "machine a.invalid login u password p\nmachine\n  b.invalid # x\nmacdef init\ncd /machine c.invalid login x\n\nmachine c.invalid\n\tlogin v\n\tpassword \"q\"\n"
	r, err := ReadPip(PipPlaces{Env: []string{"NETRC=" + writeConf(t, netrc), "PIP_INDEX_URL=https://a.invalid:8443/simple"}})
	if err != nil {
		t.Fatal(err)
	}
	auth := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for address, want := range map[string]string{"https://a.invalid:8443/simple/x/": auth("u:p"), "https://a.invalid/y": auth("u:p"), "https://c.invalid/": auth("v:q"),
		"https://b.invalid/": "", "https://d.invalid/": "", "https://a.invalid.evil/": ""} {
		if got := authAt(t, r, address); got != want {
			t.Errorf("%s gets %q, want %q", address, got, want)
		}
	}
}

// Where the registry is only reached through a proxy, npm's and pip's own say
// which.
func TestConfiguredProxy(t *testing.T) {
	npm, err := ReadNPM(NPMPlaces{Env: []string{"npm_config_userconfig=" + writeConf(t, "proxy=http://p.invalid:3128\nnoproxy=free.invalid\n")}})
	if err != nil {
		t.Fatal(err)
	}
	pip, err := ReadPip(PipPlaces{Env: []string{"PIP_PROXY=p.invalid:3128"}})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string][2]string{"https://r.invalid/": {"p.invalid:3128", "p.invalid:3128"}, "https://free.invalid/": {"", "p.invalid:3128"}} {
		for i, r := range []Registry{npm, pip} {
			req, _ := http.NewRequest(http.MethodGet, address, nil)
			via, err := r.Proxy(req)
			got := ""
			if via != nil {
				got = via.Host
			}
			if err != nil || got != want[i] {
				t.Errorf("%s goes through %q, %v, want %q", address, got, err, want[i])
			}
		}
	}
}

// A registry that sends the reader elsewhere must not send the token along.
func TestRedirectsLoseTheToken(t *testing.T) {
	var seen []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
		fmt.Fprint(w, "there")
	}))
	defer other.Close()
	var here []string
	reg := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		here = append(here, r.Header.Get("Authorization"))
		if r.URL.Path == "/a" {
			http.Redirect(w, r, "/b", http.StatusFound)
			return
		}
		http.Redirect(w, r, other.URL+"/c", http.StatusFound)
	}))
	defer reg.Close()
	host := strings.TrimPrefix(reg.URL, "http:")
	r := Registry{URL: reg.URL, Credentials: []Credential{{nerf(host), "Bearer t"}}, Files: []string{"127.0.0.1"}}
	client, err := r.Client()
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(reg.URL + "/a")
	body, _, err := r.Get(context.Background(), client, u, "", 100)
	if err != nil || string(body) != "there" {
		t.Fatalf("%q, %v", body, err)
	}
	if !slices.Equal(here, []string{"Bearer t", "Bearer t"}) || !slices.Equal(seen, []string{""}) {
		t.Errorf("the registry saw %q, the other host %q", here, seen)
	}
}

// An address that is not public is dialled only for a host that the configuration names.
func TestOnlyPublic(t *testing.T) {
	for _, a := range []string{"10.0.0.1:1", "127.0.0.1:1", "[::1]:1", "[::ffff:10.0.0.1]:1", "169.254.169.254:80", "100.64.0.1:1", "[fd00::1]:1", "[fe80::1]:1", "0.0.0.0:1", "[64:ff9b::a00:1]:1"} {
		if onlyPublic(a) == nil {
			t.Errorf("%s passes for public", a)
		}
	}
	if err := onlyPublic("8.8.8.8:443"); err != nil {
		t.Error(err)
	}
}
