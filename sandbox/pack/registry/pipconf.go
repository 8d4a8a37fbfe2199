package registry

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/internal/configparser"

	"github.com/BurntSushi/toml"
	"golang.org/x/sys/unix"
)

// PipPlaces are the places of the configuration of pip and of uv.
type PipPlaces struct {
	Home   string   // the user's; "" for none
	Python string   // the interpreter: a file of its environment is in its prefix
	Env    []string // NAME=VALUE
}

// IndexError says that a configuration takes packages from more than one place.
type IndexError struct {
	From    string // the file or variable
	Setting string // as it is spelt there
	Value   string // without credentials
}

func (e *IndexError) Error() string {
	return fmt.Sprintf("cannot use %s: %s (%s) names a second place for packages, and of two a stranger's package can take the name of yours", e.From, e.Setting, e.Value)
}

// ReadPip reads the source of PyPI packages: uv's and pip's variables, then uv's files,
// then pip's, in pip's own places and order, then ~/.netrc. With two indexes a public
// name can take a private one's place: a setting that adds a second one is an
// *IndexError, whichever tool would read it.
func ReadPip(p PipPlaces) (Registry, error) {
	env := map[string]string{}
	for _, kv := range p.Env {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	var c pipConf
	if err := c.variables(env); err != nil {
		return Registry{}, err
	}
	for _, file := range uvFiles(p.Home, env) {
		if err := c.uv(file); err != nil {
			return Registry{}, err
		}
	}
	for _, section := range []string{"install.", "global."} {
		for _, file := range pipFiles(p, env) {
			if err := c.pip(file, section); err != nil {
				return Registry{}, err
			}
		}
	}
	r, err := c.registry()
	if err != nil {
		return Registry{}, err
	}
	return r, r.netrc(p.Home, env)
}

// xdgDirs are the directories of the user's and then the machine's configuration.
func xdgDirs(home string, env map[string]string) (user, machine []string) {
	switch d := env["XDG_CONFIG_HOME"]; {
	case filepath.IsAbs(d):
		user = []string{d}
	case home != "":
		user = []string{filepath.Join(home, ".config")}
	}
	for _, d := range filepath.SplitList(env["XDG_CONFIG_DIRS"]) {
		if filepath.IsAbs(d) {
			machine = append(machine, d)
		}
	}
	if len(machine) == 0 {
		machine = []string{"/etc/xdg"}
	}
	return user, machine
}

// pipFiles are pip's configuration files, the weightiest first (pip's
// _internal/configuration.py).
func pipFiles(p PipPlaces, env map[string]string) []string {
	named := env["PIP_CONFIG_FILE"]
	if named == os.DevNull {
		return nil
	}
	var files []string
	if named != "" {
		files = append(files, named)
	}
	if p.Python != "" {
		files = append(files, filepath.Join(filepath.Dir(filepath.Dir(p.Python)), "pip.conf"))
	}
	user, machine := xdgDirs(p.Home, env)
	for _, d := range user {
		files = append(files, filepath.Join(d, "pip", "pip.conf"))
	}
	if p.Home != "" {
		files = append(files, filepath.Join(p.Home, ".pip", "pip.conf"))
	}
	files = append(files, "/etc/pip.conf")
	for _, d := range slices.Backward(machine) {
		files = append(files, filepath.Join(d, "pip", "pip.conf"))
	}
	return files
}

// uvFiles are uv's: one that is named replaces all others.
func uvFiles(home string, env map[string]string) []string {
	if f := env["UV_CONFIG_FILE"]; f != "" {
		return []string{f}
	}
	if v := env["UV_NO_CONFIG"]; v != "" && v != "0" && v != "false" {
		return nil
	}
	var files []string
	user, machine := xdgDirs(home, env)
	for _, d := range append(user, machine...) {
		files = append(files, filepath.Join(d, "uv", "uv.toml"))
	}
	return append(files, "/etc/uv/uv.toml")
}

// pipConf holds the settings found so far; the first one that sets a value counts.
type pipConf struct {
	index, cert, proxy string
	unused             []string
}

// leftOut names a further source of packages that mcpen does not use.
func (c *pipConf) leftOut(from, spelt, value string) {
	if value != "" {
		c.unused = append(c.unused, fmt.Sprintf("%s of %s is not used: packages come from the index alone", spelt, from))
	}
}

func take(to *string, value string) {
	if *to == "" {
		*to = value
	}
}

func (c *pipConf) variables(env map[string]string) error {
	for _, name := range []string{"UV_DEFAULT_INDEX", "UV_INDEX_URL"} {
		take(&c.index, env[name])
	}
	c.leftOut("the environment", "UV_FIND_LINKS", env["UV_FIND_LINKS"])
	for _, name := range []string{"UV_EXTRA_INDEX_URL", "UV_INDEX", "UV_NO_INDEX"} {
		if err := second("the environment", name, env[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		// pip takes PIP_ in capitals and the rest in any case.
		if rest, ok := strings.CutPrefix(name, "PIP_"); ok {
			if err := c.set("the environment", name, pipKey(rest), env[name]); err != nil {
				return err
			}
		}
	}
	take(&c.cert, env["SSL_CERT_FILE"])
	return nil
}

func pipKey(s string) string {
	return strings.TrimPrefix(strings.ReplaceAll(strings.ToLower(s), "_", "-"), "--")
}

// set takes one of pip's settings over.
func (c *pipConf) set(from, spelt, key, value string) error {
	switch key {
	case "index-url", "pypi-url":
		take(&c.index, value)
	case "cert":
		take(&c.cert, value)
	case "proxy":
		take(&c.proxy, value)
	case "extra-index-url", "no-index":
		return second(from, spelt, value)
	case "find-links":
		c.leftOut(from, spelt, value)
	}
	return nil
}

// second refuses a setting that adds a place, or takes the index away.
func second(from, spelt, value string) error {
	words := strings.Fields(value)
	if len(words) == 0 || slices.Contains([]string{"0", "false", "no", "off"}, strings.ToLower(value)) {
		return nil
	}
	for i, w := range words {
		if u, err := url.Parse(w); err == nil {
			words[i] = Shown(u)
		}
	}
	return &IndexError{From: from, Setting: spelt, Value: strings.Join(words, " ")}
}

// pip reads one section of a pip.conf.
func (c *pipConf) pip(file, section string) error {
	data, err := readSmall(file, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read pip's configuration: %w", err)
	}
	for _, kv := range configparser.Lines(data) {
		if key, ok := strings.CutPrefix(kv[0], section); ok {
			if err := c.set(fmt.Sprintf("%q", file), key, pipKey(key), kv[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// uvSettings are those of a uv.toml, or of the part of it for "uv pip".
type uvSettings struct {
	IndexURL  string   `toml:"index-url"`
	Extra     []string `toml:"extra-index-url"`
	FindLinks []string `toml:"find-links"`
	NoIndex   bool     `toml:"no-index"`
	Index     []struct {
		URL     string `toml:"url"`
		Default bool   `toml:"default"`
	} `toml:"index"`
}

// uv reads a uv.toml.
func (c *pipConf) uv(file string) error {
	data, err := readSmall(file, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read uv's configuration: %w", err)
	}
	var conf struct {
		uvSettings
		Pip uvSettings `toml:"pip"`
	}
	if err := toml.Unmarshal(data, &conf); err != nil {
		return fmt.Errorf("cannot read uv's configuration %q: %w", file, err)
	}
	from := fmt.Sprintf("%q", file)
	for _, s := range []uvSettings{conf.Pip, conf.uvSettings} {
		if s.NoIndex {
			return second(from, "no-index", "true")
		}
		c.leftOut(from, "find-links", strings.Join(s.FindLinks, " "))
		if err := second(from, "extra-index-url", strings.Join(s.Extra, " ")); err != nil {
			return err
		}
		for _, i := range s.Index {
			if !i.Default {
				return second(from, "[[index]]", i.URL)
			}
			take(&c.index, i.URL)
		}
		take(&c.index, s.IndexURL)
	}
	return nil
}

func (c *pipConf) registry() (Registry, error) {
	r := Registry{URL: c.index, Unused: c.unused}
	if u, err := url.Parse(c.index); err == nil && u.User != nil {
		password, _ := u.User.Password()
		r.Credentials = []Credential{{nerf("//" + u.Host + "/"), basic(u.User.Username(), password)}}
		u.User = nil
		r.URL = u.String()
	}
	if c.cert != "" {
		pem, err := os.ReadFile(c.cert)
		if err != nil {
			return Registry{}, fmt.Errorf("cannot read the configured certificates: %w", err)
		}
		r.CA = pem
	}
	var err error
	r.Proxy, err = proxyOf("pip", c.proxy, "")
	return r, err
}

// netrc adds the credentials of ~/.netrc, which pip and uv send to the machines
// that it names, and to the index where it has a default.
func (r *Registry) netrc(home string, env map[string]string) error {
	file := env["NETRC"]
	if file == "" && home != "" {
		file = filepath.Join(home, ".netrc")
	}
	if file == "" {
		return nil
	}
	data, err := readSmall(file, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the credentials of the package index: %w", err)
	}
	index, _ := url.Parse(r.URL) // an address that is none has no host
	for _, m := range netrcMachines(data) {
		if index != nil && index.Hostname() != "" && (m.name == "" || strings.EqualFold(m.name, index.Hostname())) {
			r.Credentials = append(r.Credentials, Credential{nerf("//" + index.Host + "/"), basic(m.login, m.password)})
		}
		if m.name != "" {
			r.Credentials = append(r.Credentials, Credential{nerf("//" + m.name + "/"), basic(m.login, m.password)})
		}
	}
	return nil
}

// machine is an entry of a netrc; the default one has no name.
type machine struct{ name, login, password string }

// netrcMachines reads a netrc (ftp(1)); macro definitions are passed over.
func netrcMachines(data []byte) []machine {
	var out []machine
	words := bufio.NewScanner(bytes.NewReader(data))
	words.Buffer(nil, 1<<16)
	inMacro := false
	for words.Scan() {
		line := words.Text()
		fields := strings.Fields(line)
		if inMacro {
			inMacro = len(fields) > 0
			continue
		}
		for i := 0; i < len(fields) && !strings.HasPrefix(fields[i], "#"); i++ {
			value := ""
			if i+1 < len(fields) {
				value = strings.Trim(fields[i+1], `"`)
			}
			switch fields[i] {
			case "macdef":
				inMacro, i = true, len(fields)
			case "default":
				out = append(out, machine{})
			case "machine":
				out = append(out, machine{name: value})
				i++
			case "login", "password", "account":
				if n := len(out) - 1; n >= 0 && fields[i] == "login" {
					out[n].login = value
				} else if n >= 0 && fields[i] == "password" {
					out[n].password = value
				}
				i++
			}
		}
	}
	return slices.DeleteFunc(out, func(m machine) bool { return m.login == "" && m.password == "" })
}

// readSmall reads a file that is one and is not too large.
func readSmall(file string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.Mode()&(fs.ModeDir|fs.ModeNamedPipe|fs.ModeSocket) != 0 {
		err = fmt.Errorf("cannot read %q: it is no file", file)
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("cannot read %q: it is larger than %d bytes", file, limit)
	}
	return data, err
}
