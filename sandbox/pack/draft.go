package pack

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mcpen/sandbox/internal/lazy"
)

// Draft is an author's description of a server, as a beginning for a profile. mcpen
// checks none of it, and none of it is about permissions: neither format has any.
type Draft struct {
	Name        string
	Description string
	Ref         Ref      // zero if there is no registry package
	Hashes      []string // "sha256:…" of files that the description names
	Command     []string // with no Ref: the command of the bundle, below its directory
	Args        []string // "${name}" stands for a parameter
	Params      []DraftParam
	Env         []DraftEnv
	Notes       []string // parts of the description that the draft lacks
}

// DraftParam is a value that the user has to give.
type DraftParam struct {
	Name        string
	Type        string // "string", "path" or "secret"
	Description string
	Default     string
	Required    bool
}

// DraftEnv is one variable; Value may hold "${name}". A secret's value is always
// one parameter.
type DraftEnv struct {
	Name   string
	Value  string
	Secret bool
}

// maxDescription bounds a server.json or manifest.json.
const maxDescription = 1 << 20

// ReadDraft reads a server.json of the MCP registry or the manifest.json of an
// MCPB bundle, whichever it is.
func ReadDraft(data []byte) (Draft, error) {
	if len(data) > maxDescription {
		return Draft{}, fmt.Errorf("cannot read the description: larger than %d bytes", maxDescription)
	}
	var kind struct {
		Server          json.RawMessage `json:"server"` // a wrapper's object with the document in it, or MCPB's
		ManifestVersion string          `json:"manifest_version"`
		DXTVersion      string          `json:"dxt_version"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return Draft{}, fmt.Errorf("cannot read the description: %w", err)
	}
	switch {
	case kind.ManifestVersion != "" || kind.DXTVersion != "":
		return readManifestJSON(data)
	case len(kind.Server) > 0:
		return readServerJSON(kind.Server) // as the registry's API wraps it
	}
	return readServerJSON(data)
}

// registryInput is a value of a server.json: of an argument, a variable or a
// placeholder in one.
type registryInput struct {
	Type        string                   `json:"type"`
	Name        string                   `json:"name"`
	Description string                   `json:"description"`
	Value       string                   `json:"value"`
	Default     string                   `json:"default"`
	Hint        string                   `json:"valueHint"`
	Format      string                   `json:"format"`
	Required    bool                     `json:"isRequired"`
	Secret      bool                     `json:"isSecret"`
	Repeated    bool                     `json:"isRepeated"`
	Variables   map[string]registryInput `json:"variables"`
}

type registryPackage struct {
	Type      string          `json:"registryType"`
	BaseURL   string          `json:"registryBaseUrl"`
	ID        string          `json:"identifier"`
	Version   string          `json:"version"`
	SHA256    string          `json:"fileSha256"`
	Runtime   []registryInput `json:"runtimeArguments"`
	Arguments []registryInput `json:"packageArguments"`
	Env       []registryInput `json:"environmentVariables"`
	Transport struct {
		Type string `json:"type"`
	} `json:"transport"`
}

func readServerJSON(data []byte) (Draft, error) {
	var s struct {
		Name        string            `json:"name"`
		Description string            `json:"description"`
		Packages    []registryPackage `json:"packages"`
		Remotes     []any             `json:"remotes"`
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return Draft{}, fmt.Errorf("cannot read server.json: %w", err)
	}
	if s.Name == "" {
		return Draft{}, fmt.Errorf("cannot read the description: it is neither a server.json nor an MCPB manifest")
	}
	d := Draft{Name: s.Name, Description: Printable(s.Description)}
	fit := slices.IndexFunc(s.Packages, func(p registryPackage) bool {
		return (p.Type == "npm" || p.Type == "pypi") && (p.Transport.Type == "" || p.Transport.Type == "stdio")
	})
	if fit < 0 {
		var kinds []string
		for _, p := range s.Packages {
			kinds = append(kinds, strings.TrimSpace(p.Type+" "+p.Transport.Type))
		}
		return Draft{}, fmt.Errorf("cannot use server.json of %q: no npm or PyPI package with stdio in it (it has: %s)", s.Name, strings.Join(kinds, ", "))
	}
	p := s.Packages[fit]
	if p.Version == "" {
		return Draft{}, fmt.Errorf("cannot use server.json of %q: it names no version of its package %q; %s:%s is its newest", s.Name, p.ID, p.Type, p.ID)
	}
	spec := "npm:" + p.ID + "@" + p.Version
	if p.Type == "pypi" {
		spec = "pypi:" + p.ID + "==" + p.Version
	}
	var err error
	if d.Ref, err = ParseRef(spec); err != nil || d.Ref.Version == "" {
		return Draft{}, fmt.Errorf("cannot use server.json of %q: the package %q %q is not one exact version: %w", s.Name, p.ID, p.Version, err)
	}
	if p.SHA256 != "" {
		if !IsSHA256(p.SHA256) {
			return Draft{}, fmt.Errorf("cannot use server.json of %q: fileSha256 is no SHA-256", s.Name)
		}
		d.Hashes = []string{"sha256:" + p.SHA256}
	}
	if p.BaseURL != "" {
		d.Notes = append(d.Notes, fmt.Sprintf("the description names the registry %q; the one that is configured here is used", p.BaseURL))
	}
	if len(p.Runtime) > 0 {
		d.Notes = append(d.Notes, "arguments for npx, uvx or docker are not carried over")
	}
	for _, a := range p.Arguments {
		d.argument(a)
	}
	for _, v := range p.Env {
		d.variable(v)
	}
	return d, nil
}

// argument adds one positional or named argument.
func (d *Draft) argument(a registryInput) {
	if a.Type == "named" && a.Value == "" && a.Default == "" && a.Hint == "" && a.Format == "boolean" {
		d.Args = append(d.Args, a.Name)
		return
	}
	name := a.Hint
	if name == "" {
		name = strings.TrimLeft(a.Name, "-")
	}
	if !a.Required && a.Value == "" && a.Default == "" {
		d.Notes = append(d.Notes, fmt.Sprintf("the optional argument %q is left out", name))
		return
	}
	value := d.fill(a, name)
	if a.Repeated {
		d.Notes = append(d.Notes, fmt.Sprintf("the argument %q can be given more than once", name))
	}
	switch {
	case a.Type == "named" && strings.HasSuffix(a.Name, "="):
		d.Args = append(d.Args, a.Name+value)
	case a.Type == "named":
		d.Args = append(d.Args, a.Name, value)
	default:
		d.Args = append(d.Args, value)
	}
}

var envName = lazy.Pattern(`^[A-Za-z_][A-Za-z0-9_]*$`)

// variable adds one variable of the environment.
func (d *Draft) variable(v registryInput) {
	if !envName().MatchString(v.Name) {
		d.Notes = append(d.Notes, fmt.Sprintf("the variable %q has no usable name", v.Name))
		return
	}
	if !v.Required && !v.Secret && v.Value == "" && v.Default == "" {
		d.Notes = append(d.Notes, fmt.Sprintf("the optional variable %s is left out", v.Name))
		return
	}
	if v.Secret {
		v.Value, v.Default = "", ""
	}
	d.Env = append(d.Env, DraftEnv{Name: v.Name, Value: d.fill(v, strings.ToLower(v.Name)), Secret: v.Secret})
}

// placeholder is "{name}" in a value of a server.json.
var placeholder = lazy.Pattern(`\{([A-Za-z_][A-Za-z0-9_-]*)\}`)

// fill returns the value, with parameters for the user's choices.
func (d *Draft) fill(in registryInput, name string) string {
	if in.Value != "" {
		return placeholder().ReplaceAllStringFunc(in.Value, func(s string) string {
			key := s[1 : len(s)-1]
			v, ok := in.Variables[key]
			if !ok {
				return s
			}
			v.Secret = v.Secret || in.Secret
			return d.fill(v, key)
		})
	}
	if in.Default != "" && !in.Secret {
		return in.Default
	}
	p := DraftParam{Name: paramName(name), Type: "string", Description: Printable(in.Description), Required: in.Required}
	switch {
	case in.Secret:
		p.Type = "secret"
	case in.Format == "filepath":
		p.Type = "path"
	}
	return d.param(p)
}

// param adds a parameter once and gives the text that stands for it.
func (d *Draft) param(p DraftParam) string {
	if !slices.ContainsFunc(d.Params, func(q DraftParam) bool { return q.Name == p.Name }) {
		d.Params = append(d.Params, p)
	}
	return "${" + p.Name + "}"
}

var notParam = lazy.Pattern(`[^a-z0-9]+`)

// paramName makes a name that a profile can use.
func paramName(s string) string {
	s = strings.Trim(notParam().ReplaceAllString(strings.ToLower(s), "_"), "_")
	if s == "" {
		return "value"
	}
	if s[0] >= '0' && s[0] <= '9' {
		return "p" + s
	}
	return s
}

// bundleConfig is one entry of a bundle's user_config.
type bundleConfig struct {
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Default     any    `json:"default"`
	Required    bool   `json:"required"`
	Sensitive   bool   `json:"sensitive"`
	Multiple    bool   `json:"multiple"`
}

func readManifestJSON(data []byte) (Draft, error) {
	var m struct {
		Name        string `json:"name"`
		Version     string `json:"version"`
		Description string `json:"description"`
		Server      struct {
			Type   string `json:"type"`
			Entry  string `json:"entry_point"`
			Config struct {
				Command string            `json:"command"`
				Args    []string          `json:"args"`
				Env     map[string]string `json:"env"`
			} `json:"mcp_config"`
		} `json:"server"`
		Config map[string]bundleConfig `json:"user_config"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return Draft{}, fmt.Errorf("cannot read the bundle's manifest: %w", err)
	}
	if m.Name == "" || m.Server.Config.Command == "" && m.Server.Entry == "" {
		return Draft{}, fmt.Errorf("cannot read the bundle's manifest: it names no server")
	}
	d := Draft{Name: m.Name, Description: Printable(m.Description)}
	b := bundle{draft: &d, config: m.Config}
	var argv []string
	for _, s := range append([]string{m.Server.Config.Command}, m.Server.Config.Args...) {
		argv = append(argv, b.expand(s))
	}
	c, err := FromCommand(argv)
	switch {
	case m.Server.Config.Command != "" && err != nil:
		return Draft{}, fmt.Errorf("cannot use the bundle %q: %w", m.Name, err)
	case m.Server.Config.Command == "":
		d.Command = []string{m.Server.Type, m.Server.Entry}
	case c.Kind == CommandPackage:
		d.Ref, d.Args = c.Ref, c.Args
	default:
		d.Command = argv
	}
	d.Notes = append(d.Notes, c.Notes...)
	if d.Command != nil {
		d.Notes = append(d.Notes, fmt.Sprintf("the program is inside the bundle (version %s): unpack it and say where in place of ${__dirname}", m.Version))
	}
	for _, name := range slices.Sorted(maps.Keys(m.Server.Config.Env)) {
		b.variable(name, m.Server.Config.Env[name])
	}
	return d, nil
}

// bundle fills in the values that a manifest leaves to the user.
type bundle struct {
	draft  *Draft
	config map[string]bundleConfig
}

var bundleValue = lazy.Pattern(`\$\{user_config\.([^}]+)\}`)

// expand turns "${user_config.NAME}" into a parameter. "${HOME}" and
// "${__dirname}" stay as they are.
func (b bundle) expand(s string) string {
	return bundleValue().ReplaceAllStringFunc(s, func(ref string) string {
		key := bundleValue().FindStringSubmatch(ref)[1]
		c := b.config[key]
		p := DraftParam{Name: paramName(key), Type: "string", Description: Printable(c.Description), Required: c.Required}
		if p.Description == "" {
			p.Description = Printable(c.Title)
		}
		switch {
		case c.Sensitive:
			p.Type = "secret"
		case c.Type == "directory" || c.Type == "file":
			p.Type = "path"
		}
		if c.Multiple {
			b.draft.Notes = append(b.draft.Notes, fmt.Sprintf("%q can have more than one value", key))
		}
		if c.Default != nil && !c.Sensitive {
			p.Default = Printable(fmt.Sprint(c.Default))
		}
		return b.draft.param(p)
	})
}

func (b bundle) variable(name, value string) {
	if !envName().MatchString(name) {
		b.draft.Notes = append(b.draft.Notes, fmt.Sprintf("the variable %q has no usable name", name))
		return
	}
	e := DraftEnv{Name: name, Value: b.expand(value)}
	for _, m := range bundleValue().FindAllStringSubmatch(value, -1) {
		e.Secret = e.Secret || b.config[m[1]].Sensitive
	}
	b.draft.Env = append(b.draft.Env, e)
}
