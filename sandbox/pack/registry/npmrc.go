package registry

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"mcpen/sandbox/internal/lazy"

	"golang.org/x/net/http/httpproxy"
)

// NPMPlaces are the places of npm's configuration.
type NPMPlaces struct {
	Home string   // the user's; "" for none
	Node string   // the interpreter: the global file is in etc/npmrc of its prefix
	CLI  string   // npm's own program, bin/npm-cli.js: its builtin file is beside it
	Env  []string // NAME=VALUE
}

// ReadNPM reads npm's configuration as npm does (@npmcli/config): the
// environment's npm_config_* in any case, the user's file, the global one and
// npm's own, the first that says something. A project's .npmrc is not among them:
// the folder that mcpen is started in has no say in where packages come from.
//
// A configuration that names no registry gives a Registry without a URL: npm's
// own default is npm's to say (see Installer.DefaultRegistry).
func ReadNPM(p NPMPlaces) (Registry, error) {
	values, lookup := npmEnvironment(p.Env)
	ca := values.authorities(nil)
	prefix := values["prefix"]
	read := func(file string) error {
		more, err := npmFile(file, lookup)
		if err == nil {
			ca = more.authorities(ca)
			values.below(more)
		}
		return err
	}
	user := values["userconfig"]
	if user == "" && p.Home != "" {
		user = filepath.Join(p.Home, ".npmrc")
	}
	var builtin npmValues
	if filepath.Base(filepath.Dir(p.CLI)) == "bin" {
		var err error
		if builtin, err = npmFile(filepath.Join(filepath.Dir(filepath.Dir(p.CLI)), "npmrc"), lookup); err != nil {
			return Registry{}, err
		}
	}
	if err := read(user); err != nil {
		return Registry{}, err
	}
	for _, s := range []string{values["prefix"], builtin["prefix"], first(lookup("PREFIX"))} {
		if prefix == "" {
			prefix = s
		}
	}
	if prefix == "" && p.Node != "" {
		prefix = filepath.Dir(filepath.Dir(p.Node))
	}
	global := values["globalconfig"]
	if global == "" && prefix != "" {
		global = filepath.Join(prefix, "etc", "npmrc")
	}
	if err := read(global); err != nil {
		return Registry{}, err
	}
	ca = builtin.authorities(ca)
	values.below(builtin)
	return npmRegistry(values, ca)
}

func first(s string, _ bool) string { return s }

// npmValues are settings of npm by their names; "ca[]" holds all of its values.
type npmValues map[string]string

// below adds the settings that v lacks.
func (v npmValues) below(more npmValues) {
	for key, value := range more {
		if _, set := v[key]; !set {
			v[key] = value
		}
	}
}

// authorities adds the certificates that stand in the settings themselves.
func (v npmValues) authorities(ca []byte) []byte {
	for _, key := range []string{"ca", "ca[]"} {
		if value := v[key]; value != "" && value != "null" {
			ca = append(ca, strings.ReplaceAll(value, `\n`, "\n")+"\n"...)
		}
	}
	return ca
}

// npmEnvironment reads npm_config_*, in any case and with _ for -, except in a
// setting of one registry (//host/:key), and gives a way to look a variable up.
func npmEnvironment(environ []string) (npmValues, func(string) (string, bool)) {
	all := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		all[name] = value
	}
	lookup := func(name string) (string, bool) { v, ok := all[name]; return v, ok }
	values := npmValues{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		const prefix = "npm_config_"
		if len(name) <= len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) || value == "" {
			continue
		}
		key := name[len(prefix):]
		if !strings.HasPrefix(key, "//") {
			key = strings.ToLower(key[:1] + strings.ReplaceAll(key[1:], "_", "-"))
		}
		values[expandNPM(key, lookup)] = expandNPM(value, lookup)
	}
	return values, lookup
}

// maxConfig bounds one configuration file.
const maxConfig = 4 << 20

// npmFile reads one .npmrc; one that is not there says nothing.
func npmFile(file string, lookup func(string) (string, bool)) (npmValues, error) {
	values := npmValues{}
	if file == "" {
		return values, nil
	}
	data, err := readSmall(file, maxConfig)
	if errors.Is(err, os.ErrNotExist) {
		return values, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read npm's configuration: %w", err)
	}
	for line := range strings.FieldsFuncSeq(string(data), func(r rune) bool { return r == '\n' || r == '\r' }) {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == ';' || trimmed[0] == '#' {
			continue
		}
		if trimmed[0] == '[' && strings.HasSuffix(trimmed, "]") {
			break // npm reads no settings in a section
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			value = "true"
		}
		key, value = expandNPM(unsafeINI(key), lookup), expandNPM(unsafeINI(value), lookup)
		if key == "ca[]" && values[key] != "" {
			value = values[key] + "\n" + value
		}
		values[key] = value
	}
	return values, nil
}

// unsafeINI takes the quotes, the escapes and the comment off a value, as npm's
// ini does.
func unsafeINI(s string) string {
	s = strings.TrimSpace(s)
	if n := len(s); n > 1 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		if s[0] == '\'' {
			return s[1 : n-1]
		}
		var text string
		if json.Unmarshal([]byte(s), &text) == nil {
			return text
		}
		return s
	}
	var b strings.Builder
	escaped := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case escaped:
			if c != '\\' && c != ';' && c != '#' {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
			escaped = false
		case c == ';' || c == '#':
			return strings.TrimSpace(b.String())
		case c == '\\':
			escaped = true
		default:
			b.WriteByte(c)
		}
	}
	if escaped {
		b.WriteByte('\\')
	}
	return strings.TrimSpace(b.String())
}

var npmVariable = lazy.Pattern(`(\\*)\$\{([^${}?]+)(\?)?\}`)

// expandNPM fills in ${NAME}; it leaves an unset name as written, as npm does, and
// removes it if it is ${NAME?}.
func expandNPM(s string, lookup func(string) (string, bool)) string {
	return npmVariable().ReplaceAllStringFunc(s, func(all string) string {
		m := npmVariable().FindStringSubmatch(all)
		if len(m[1])%2 == 1 {
			return all[(len(m[1])+1)/2:]
		}
		value, set := lookup(m[2])
		if !set && m[3] == "" {
			value = "${" + m[2] + "}"
		}
		return m[1][len(m[1])/2:] + value
	})
}

// npmRegistry makes a registry of settings. "strict-ssl = false" is an error: a server
// without a certificate would choose the installed packages.
func npmRegistry(values npmValues, ca []byte) (Registry, error) {
	r := Registry{CA: ca, Scopes: map[string]string{}}
	set := func(key string) string {
		if v := values[key]; v != "null" && v != "false" {
			return v
		}
		return ""
	}
	r.URL = set("registry")
	if values["strict-ssl"] == "false" {
		return Registry{}, errors.New("cannot use npm's configuration: strict-ssl is off; name the authority with cafile instead")
	}
	if f := set("cafile"); f != "" {
		pem, err := os.ReadFile(f)
		if err != nil {
			return Registry{}, fmt.Errorf("cannot read npm's cafile: %w", err)
		}
		r.CA = append(r.CA, pem...)
	}
	var err error
	via := set("https-proxy")
	if via == "" {
		via = set("proxy")
	}
	if r.Proxy, err = proxyOf("npm", via, set("noproxy")); err != nil {
		return Registry{}, err
	}
	for key, value := range values {
		if scope, ok := strings.CutSuffix(key, ":registry"); ok && strings.HasPrefix(scope, "@") {
			r.Scopes[scope] = value
		}
		prefix, ok := strings.CutSuffix(key, ":_authToken")
		if ok {
			r.Credentials = append(r.Credentials, Credential{nerf(prefix), Secret("Bearer " + value)})
		}
		if prefix, ok := strings.CutSuffix(key, ":_auth"); ok {
			r.Credentials = append(r.Credentials, Credential{nerf(prefix), Secret("Basic " + value)})
		}
		if prefix, ok := strings.CutSuffix(key, ":username"); ok {
			password, err := base64.StdEncoding.DecodeString(values[prefix+":_password"])
			if err != nil {
				return Registry{}, fmt.Errorf("cannot read npm's configuration: the _password of %q is not base64", prefix)
			}
			r.Credentials = append(r.Credentials, Credential{nerf(prefix), basic(value, string(password))})
		}
	}
	return r, nil
}

var proxyScheme = lazy.Pattern(`^[a-z0-9]+://`)

// proxyOf is the proxy that a configuration names; nil if it names none.
func proxyOf(tool, via, except string) (func(*http.Request) (*url.URL, error), error) {
	if via == "" {
		return nil, nil
	}
	if !proxyScheme().MatchString(via) {
		via = "http://" + via
	}
	if u, err := url.Parse(via); err != nil || u.Host == "" {
		return nil, fmt.Errorf("cannot use %s's configuration: its proxy is no address", tool)
	}
	to := (&httpproxy.Config{HTTPProxy: via, HTTPSProxy: via, NoProxy: except}).ProxyFunc()
	return func(req *http.Request) (*url.URL, error) { return to(req.URL) }, nil
}

// nerf is npm's "nerf dart": an address without its scheme, one slash at the
// end.
func nerf(prefix string) string {
	prefix = strings.TrimPrefix(strings.TrimPrefix(prefix, "https:"), "http:")
	host, path, _ := strings.Cut(strings.TrimPrefix(prefix, "//"), "/")
	prefix = "//" + strings.ToLower(host) + "/" + path
	return strings.TrimRight(prefix, "/") + "/"
}
