package pack

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/BurntSushi/toml"
)

// ReadNPMRC reads npm's configuration: the files in npm's own order of weight
// (project, user, global), then the environment's npm_config_* where env has
// them. A file that does not exist says nothing. env is asked for ${NAME} in
// values and for npm_config_registry and npm_config_cafile; it may be nil.
//
// A configuration that names no registry gives a Registry without a URL: npm's
// own default is npm's to say (see Installer.DefaultRegistry).
//
// "strict-ssl = false" is an error: what answers without a certificate would
// choose what is installed.
func ReadNPMRC(files []string, env func(string) string) (Registry, error) {
	if env == nil {
		env = func(string) string { return "" }
	}
	values := map[string]string{}
	var ca []byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return Registry{}, fmt.Errorf("cannot read npm's configuration: %w", err)
		}
		for _, kv := range iniLines(data) {
			key, value := expandNPM(kv[0], env), expandNPM(kv[1], env)
			if key == "ca[]" || key == "ca" && value != "null" && value != "" {
				ca = append(ca, strings.ReplaceAll(value, `\n`, "\n")+"\n"...)
			}
			if _, set := values[key]; !set {
				values[key] = value
			}
		}
	}
	for _, key := range []string{"registry", "cafile", "strict-ssl"} {
		if v := env("npm_config_" + strings.ReplaceAll(key, "-", "_")); v != "" {
			values[key] = v
		}
	}
	return npmRegistry(values, ca)
}

func npmRegistry(values map[string]string, ca []byte) (Registry, error) {
	r := Registry{URL: values["registry"], CA: ca, Scopes: map[string]string{}}
	if values["strict-ssl"] == "false" {
		return Registry{}, errors.New("cannot use npm's configuration: strict-ssl is off; name the authority with cafile instead")
	}
	if f := values["cafile"]; f != "" && f != "null" {
		pem, err := os.ReadFile(f)
		if err != nil {
			return Registry{}, fmt.Errorf("cannot read npm's cafile: %w", err)
		}
		r.CA = append(r.CA, pem...)
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

// nerf is npm's "nerf dart": an address without its scheme, one slash at the
// end.
func nerf(prefix string) string {
	prefix = strings.TrimPrefix(strings.TrimPrefix(prefix, "https:"), "http:")
	host, path, _ := strings.Cut(strings.TrimPrefix(prefix, "//"), "/")
	prefix = "//" + strings.ToLower(host) + "/" + path
	return strings.TrimRight(prefix, "/") + "/"
}

// expandNPM fills in ${NAME}; a name that is not set stays as it is written, as
// npm leaves it.
func expandNPM(s string, env func(string) string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		j := strings.IndexByte(s[max(i, 0):], '}')
		if i < 0 || j < 0 {
			return b.String() + s
		}
		j += i
		b.WriteString(s[:i])
		name, optional := strings.CutSuffix(s[i+2:j], "?")
		if v := env(name); v != "" || optional {
			b.WriteString(v)
		} else {
			b.WriteString(s[i : j+1])
		}
		s = s[j+1:]
	}
}

// iniLines gives the "key = value" lines of an ini file with its section before
// the key: "global.index-url". The empty section adds nothing. A line that is
// indented continues the value before it, as in pip's configuration.
func iniLines(data []byte) [][2]string {
	var out [][2]string
	section := ""
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		raw := lines.Text()
		line := strings.TrimSpace(raw)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[' && line[len(line)-1] == ']':
			section = strings.TrimSpace(line[1:len(line)-1]) + "."
		case section != "" && (raw[0] == ' ' || raw[0] == '\t') && len(out) > 0:
			out[len(out)-1][1] = strings.TrimSpace(out[len(out)-1][1] + "\n" + line)
		default:
			key, value, _ := strings.Cut(line, "=")
			out = append(out, [2]string{section + strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"'`)})
		}
	}
	return out
}

// ReadPipConfig reads where PyPI packages come from: uv's and pip's variables
// from env, then uv's files (uv.toml), then pip's (pip.conf), each list in order
// of weight. env may be nil. Additional indexes are not used: with two indexes a
// public name can take a private one's place.
func ReadPipConfig(uvFiles, pipFiles []string, env func(string) string) (Registry, error) {
	if env == nil {
		env = func(string) string { return "" }
	}
	index, ca := "", ""
	take := func(to *string, value string) {
		if *to == "" {
			*to = value
		}
	}
	for _, name := range []string{"UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"} {
		take(&index, env(name))
	}
	for _, name := range []string{"PIP_CERT", "SSL_CERT_FILE"} {
		take(&ca, env(name))
	}
	for _, file := range uvFiles {
		found, err := uvIndex(file)
		if err != nil {
			return Registry{}, err
		}
		take(&index, found)
	}
	for _, file := range pipFiles {
		data, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return Registry{}, fmt.Errorf("cannot read pip's configuration: %w", err)
		}
		for _, kv := range iniLines(data) {
			switch strings.ReplaceAll(kv[0], "_", "-") {
			case "global.index-url", "install.index-url":
				take(&index, kv[1])
			case "global.cert", "install.cert":
				take(&ca, kv[1])
			}
		}
	}
	return pipRegistry(index, ca)
}

func pipRegistry(index, ca string) (Registry, error) {
	r := Registry{URL: index}
	if u, err := url.Parse(index); err == nil && u.User != nil {
		password, _ := u.User.Password()
		r.Credentials = []Credential{{nerf("//" + u.Host + "/"), basic(u.User.Username(), password)}}
		u.User = nil
		r.URL = u.String()
	}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return Registry{}, fmt.Errorf("cannot read the configured certificates: %w", err)
		}
		r.CA = pem
	}
	return r, nil
}

// uvIndex is the default index of a uv.toml, "" where it names none.
func uvIndex(file string) (string, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot read uv's configuration: %w", err)
	}
	var conf struct {
		IndexURL string `toml:"index-url"`
		Pip      struct {
			IndexURL string `toml:"index-url"`
		} `toml:"pip"`
		Index []struct {
			URL     string `toml:"url"`
			Default bool   `toml:"default"`
		} `toml:"index"`
	}
	if err := toml.Unmarshal(data, &conf); err != nil {
		return "", fmt.Errorf("cannot read uv's configuration %q: %w", file, err)
	}
	for _, i := range conf.Index {
		if i.Default {
			return i.URL, nil
		}
	}
	if conf.Pip.IndexURL != "" {
		return conf.Pip.IndexURL, nil
	}
	return conf.IndexURL, nil
}
