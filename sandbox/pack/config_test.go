package pack

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
	env := func(name string) string { return map[string]string{"TOK": "t1"}[name] }
	password := base64.StdEncoding.EncodeToString([]byte("p"))
	project := writeConf(t, "; comment\nregistry = \"https://a.invalid/npm\"\n")
	user := writeConf(t, "registry=https://b.invalid\n@corp:registry=https://c.invalid/x/\n//a.invalid/npm/:_authToken=${TOK}\n"+
		"//c.invalid/:username=u\n//c.invalid/:_password="+password+"\n//d.invalid/deep/:_auth=Zm9v\n//e.invalid/:_authToken=${NONE}\n")
	r, err := ReadNPMRC([]string{project, filepath.Join(t.TempDir(), "none"), user}, env)
	if err != nil {
		t.Fatal(err)
	}
	if r.Origin() != "https://a.invalid/npm/" {
		t.Errorf("registry %q", r.URL)
	}
	if b, err := r.base("@corp/x"); err != nil || b.String() != "https://c.invalid/x/" {
		t.Errorf("scope: %v, %v", b, err)
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
	for name, text := range map[string]string{"strict-ssl": "strict-ssl=false\n", "cafile": "cafile=/nonexistent\n", "password": "//h/:username=u\n//h/:_password=%%%\n"} {
		if _, err := ReadNPMRC([]string{writeConf(t, text)}, nil); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	if r, err := ReadNPMRC(nil, nil); err != nil || r.URL != "" {
		t.Errorf("nothing configured: %q, %v", r.URL, err)
	} else if _, err := r.base("a"); err == nil {
		t.Error("a registry that nobody named has an address")
	}
}

func TestReadPipConfig(t *testing.T) {
	uv := writeConf(t, "[[index]]\nurl = \"https://extra.invalid/simple\"\n[[index]]\nurl = \"https://uv.invalid/simple\"\ndefault = true\n")
	pip := writeConf(t, "[global]\nindex-url = https://user:pw@pip.invalid/simple\nextra-index-url = https://evil.invalid\n")
	none := func(string) string { return "" }
	for _, tc := range []struct {
		uv, pip []string
		env     map[string]string
		want    string
	}{
		{nil, []string{pip}, nil, "https://pip.invalid/simple/"},
		{[]string{uv}, []string{pip}, nil, "https://uv.invalid/simple/"},
		{[]string{uv}, []string{pip}, map[string]string{"UV_DEFAULT_INDEX": "https://env.invalid/s/"}, "https://env.invalid/s/"},
		{nil, nil, map[string]string{"PIP_INDEX_URL": "https://env.invalid/s/"}, "https://env.invalid/s/"},
	} {
		env := func(name string) string { return tc.env[name] }
		r, err := ReadPipConfig(tc.uv, tc.pip, env)
		if err != nil || r.Origin() != tc.want {
			t.Errorf("%q, want %q: %v", r.Origin(), tc.want, err)
		}
	}
	r, err := ReadPipConfig(nil, []string{pip}, none)
	if err != nil || strings.Contains(r.URL, "pw") || authAt(t, r, "https://pip.invalid/simple/x/") == "" || authAt(t, r, "https://files.invalid/x") != "" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := ReadPipConfig([]string{writeConf(t, "not toml")}, nil, nil); err == nil {
		t.Error("a broken uv.toml was read")
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
	client, err := r.client()
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(reg.URL + "/a")
	body, _, err := r.get(context.Background(), client, u, "", 100)
	if err != nil || string(body) != "there" {
		t.Fatalf("%q, %v", body, err)
	}
	if !slices.Equal(here, []string{"Bearer t", "Bearer t"}) || !slices.Equal(seen, []string{""}) {
		t.Errorf("the registry saw %q, the other host %q", here, seen)
	}
}

func TestInterpreter(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       Runtime
		flags      string
		bad        bool
	}{
		{"a", "#!/usr/bin/env node\n", RuntimeNode, "", false},
		{"a", "#!/usr/bin/env -S node --no-warnings --x\r\n", RuntimeNode, "--no-warnings --x", false},
		{"a", "\ufeff#!/usr/bin/node\n", RuntimeNode, "", false},
		{"a.mjs", "import 'x'", RuntimeNode, "", false},
		{"a", "\x7fELF\x02", RuntimeNone, "", false},
		{"a", "#!/usr/bin/env bun\n", "", "", true},
		{"a", "#!/bin/sh\n", "", "", true},
		{"a", "text", "", "", true},
		{"a", "", "", "", true},
	} {
		p := filepath.Join(t.TempDir(), tc.name)
		os.WriteFile(p, []byte(tc.text), 0o600)
		got, flags, err := interpreter(p)
		if got != tc.want || strings.Join(flags, " ") != tc.flags || (err != nil) != tc.bad {
			t.Errorf("%q: %q %q, %v", tc.text, got, flags, err)
		}
	}
}

func TestEntryChoice(t *testing.T) {
	npm := Ref{Ecosystem: NPM, Name: "@a/thing"}
	for _, tc := range []struct {
		bins map[string]string
		ref  Ref
		want string // "" for an error
	}{
		{map[string]string{"x": "x.js"}, npm, "x"},
		{map[string]string{"x": "x.js", "y": "x.js"}, npm, "x"},
		{map[string]string{"x": "x.js", "thing": "t.js"}, npm, "thing"},
		{map[string]string{"x": "x.js", "y": "y.js"}, npm, ""},
		{nil, npm, ""},
		{map[string]string{"x": "x.js", "y": "y.js"}, Ref{Ecosystem: NPM, Name: "a", Bin: "y"}, "y"},
		{map[string]string{"x": "x.js"}, Ref{Ecosystem: NPM, Name: "a", Bin: "y"}, ""},
		{map[string]string{"my_server": "bin/my_server", "other": "bin/other"}, Ref{Ecosystem: PyPI, Name: "my-server"}, "my_server"},
	} {
		got, err := chooseBin(tc.bins, tc.ref)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%v of %+v: %q, %v", tc.bins, tc.ref, got, err)
		}
		if err != nil && len(tc.bins) > 1 && !strings.Contains(err.Error(), "x, y") {
			t.Errorf("the choices are not named: %v", err)
		}
	}
	p := packageJSON{Name: "@a/b", Bin: map[string]any{"../../x": "../../../etc/passwd", "ok": "./bin/ok.js", "n": 1}}
	if got := p.bins(); len(got) != 2 || got["x"] != "etc/passwd" || got["ok"] != "bin/ok.js" {
		t.Errorf("bins %v", got)
	}
}
