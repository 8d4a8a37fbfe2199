package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Bounds of a packument: the largest in the public registry have some tens of
// megabytes, almost all of it descriptions. mcpen keeps only the part that a package
// manager needs.
const (
	maxPackument = 256 << 20 // as it comes
	maxVersion   = 8 << 20   // one version, or any other part
	maxKept      = 64 << 20  // of everything that is kept, about
)

// Packument is a package's document in an npm registry, as far as it matters.
type Packument struct {
	Name     string
	Tags     map[string]string
	Versions map[string]NPMVersion
	Time     map[string]time.Time
	// Bad are the versions that do not read, or that name something else.
	Bad map[string]error
}

// NPMVersion is one version in a packument: the part that mcpen reads and passes on to
// npm.
type NPMVersion struct {
	Name         string                     `json:"name"`
	Version      string                     `json:"version"`
	Deprecated   deprecation                `json:"deprecated,omitempty"`
	License      any                        `json:"license,omitempty"`
	Scripts      lifecycle                  `json:"scripts,omitempty"`
	Gypfile      any                        `json:"gypfile,omitempty"`
	Installs     any                        `json:"hasInstallScript,omitempty"`
	Dependencies map[string]json.RawMessage `json:"dependencies,omitempty"`
	Optional     json.RawMessage            `json:"optionalDependencies,omitempty"`
	Peer         json.RawMessage            `json:"peerDependencies,omitempty"`
	PeerMeta     json.RawMessage            `json:"peerDependenciesMeta,omitempty"`
	Bundle       json.RawMessage            `json:"bundleDependencies,omitempty"`
	Bundled      json.RawMessage            `json:"bundledDependencies,omitempty"`
	AcceptDeps   json.RawMessage            `json:"acceptDependencies,omitempty"`
	Shrinkwrap   json.RawMessage            `json:"_hasShrinkwrap,omitempty"`
	Bin          json.RawMessage            `json:"bin,omitempty"`
	Engines      json.RawMessage            `json:"engines,omitempty"`
	OS           json.RawMessage            `json:"os,omitempty"`
	CPU          json.RawMessage            `json:"cpu,omitempty"`
	Libc         json.RawMessage            `json:"libc,omitempty"`
	Publisher    npmUser                    `json:"_npmUser,omitzero"`
	Dist         NPMDist                    `json:"dist"`
}

type NPMDist struct {
	Tarball   string `json:"tarball"`
	Integrity string `json:"integrity,omitempty"`
	Shasum    string `json:"shasum,omitempty"`
	Size      int64  `json:"unpackedSize,omitempty"`
}

type npmUser struct {
	Name string `json:"name,omitempty"`
}

// UnmarshalJSON takes a user that is no object for none: old documents have texts.
func (u *npmUser) UnmarshalJSON(data []byte) error {
	var v struct {
		Name any `json:"name"`
	}
	_ = json.Unmarshal(data, &v) // an unreadable value names nobody
	u.Name, _ = v.Name.(string)
	return nil
}

// deprecation is a version's notice. An empty text or false takes one back.
type deprecation string

// UnmarshalJSON takes true for a notice without words.
func (d *deprecation) UnmarshalJSON(data []byte) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	switch v := v.(type) {
	case string:
		*d = deprecation(v)
	case bool:
		if *d = ""; v {
			*d = "deprecated"
		}
	}
	return nil
}

// lifecycle are the scripts that npm runs when it installs a package.
type lifecycle map[string]string

// UnmarshalJSON leaves all others out.
func (l *lifecycle) UnmarshalJSON(data []byte) error {
	var all map[string]any
	_ = json.Unmarshal(data, &all) // scripts that are no object are none
	*l = nil
	for _, name := range lifecycleNames {
		if s, ok := all[name].(string); ok && s != "" {
			if *l == nil {
				*l = lifecycle{}
			}
			(*l)[name] = s
		}
	}
	return nil
}

var lifecycleNames = []string{"preinstall", "install", "postinstall"}

// packumentURL is where a registry keeps a package's document: the slash of a
// scope is escaped.
func packumentURL(base *url.URL, name string) *url.URL {
	u := *base
	u.RawPath = u.EscapedPath() + strings.Replace(name, "/", "%2f", 1)
	u.Path += name
	return &u
}

// FetchPackument asks for the whole document, since the short form has no dates,
// and reads it as it comes.
func FetchPackument(ctx context.Context, r Registry, client *http.Client, name string) (Packument, error) {
	base, err := r.Base(name)
	if err != nil {
		return Packument{}, err
	}
	u := packumentURL(base, name)
	var p Packument
	err = r.stream(ctx, client, u, "application/json", maxPackument, func(body io.Reader, head http.Header) error {
		var err error
		if p, err = readPackument(body, name); err != nil {
			return fmt.Errorf("the answer (%q) is not a packument: %w", head.Get("Content-Type"), err)
		}
		return nil
	})
	if err != nil {
		return Packument{}, err
	}
	if p.Name != name {
		return Packument{}, fmt.Errorf("cannot use %s: the registry answers for %q", Shown(u), p.Name)
	}
	return p, nil
}

// readPackument reads one value after the other and keeps the needed part of each.
func readPackument(body io.Reader, name string) (Packument, error) {
	part := &partReader{r: body}
	r := packumentReader{dec: json.NewDecoder(part), part: part, name: name}
	r.p.Tags = map[string]string{}
	err := eachMember(r.dec, part, func(key string) error {
		switch key {
		case "name":
			return r.dec.Decode(&r.p.Name)
		case "dist-tags":
			r.p.Tags = map[string]string{}
			return r.texts(func(tag, version string) { r.p.Tags[tag] = version })
		case "time":
			r.p.Time = map[string]time.Time{}
			return r.texts(func(version, at string) {
				if t, err := time.Parse(time.RFC3339, at); err == nil {
					r.p.Time[version] = t.UTC()
				}
			})
		case "versions":
			r.p.Versions, r.p.Bad = map[string]NPMVersion{}, map[string]error{}
			return eachMember(r.dec, part, r.version)
		}
		var skipped json.RawMessage
		return r.dec.Decode(&skipped)
	})
	return r.p, err
}

// packumentReader is a document that is being read.
type packumentReader struct {
	dec  *json.Decoder
	part *partReader
	name string
	p    Packument
	kept kept
}

// kept counts about the memory of a document. It holds no more than maxKept even of an
// endless document of small parts.
type kept int

func (k *kept) add(bytes int) error {
	if *k += kept(bytes + 256); *k > maxKept {
		return fmt.Errorf("it needs more than %d bytes of memory", maxKept)
	}
	return nil
}

// texts calls f for the members of an object that are texts.
func (r *packumentReader) texts(f func(key, value string)) error {
	return eachMember(r.dec, r.part, func(key string) error {
		var v any
		err := r.dec.Decode(&v)
		if s, ok := v.(string); ok {
			f(key, s)
			err = errors.Join(err, r.kept.add(len(key)+len(s)))
		}
		return err
	})
}

// version reads one version. One that does not read, or names something else, is
// no version of the package.
func (r *packumentReader) version(version string) error {
	var raw json.RawMessage
	if err := r.dec.Decode(&raw); err != nil {
		return err
	}
	var v NPMVersion
	err := json.Unmarshal(raw, &v)
	if err == nil && (v.Version != version || v.Name != r.name) {
		err = fmt.Errorf("the registry describes it as %q %q", v.Name, v.Version)
	}
	if err != nil {
		r.p.Bad[version] = err
		return r.kept.add(len(version) + len(err.Error()))
	}
	r.p.Versions[version] = v
	return r.kept.add(v.size())
}

// size is about the memory that a version takes.
func (v NPMVersion) size() int {
	n := 1024 + len(v.Name) + len(v.Version) + len(v.Deprecated) + len(v.Dist.Tarball) + len(v.Dist.Integrity)
	for _, raw := range []json.RawMessage{v.Optional, v.Peer, v.PeerMeta, v.Bundle, v.Bundled, v.AcceptDeps, v.Bin, v.Engines, v.OS, v.CPU, v.Libc} {
		n += len(raw)
	}
	for k, d := range v.Dependencies {
		n += 64 + len(k) + len(d)
	}
	for k, s := range v.Scripts {
		n += 64 + len(k) + len(s)
	}
	return n
}

// eachMember calls f for every member of an object, whose value f reads.
func eachMember(dec *json.Decoder, part *partReader, f func(key string) error) error {
	start, err := dec.Token()
	if err != nil {
		return unexpectedEnd(err)
	}
	if start != json.Delim('{') {
		return errors.New("no object")
	}
	for dec.More() {
		part.n = 0
		key, err := dec.Token()
		if err != nil {
			return unexpectedEnd(err)
		}
		if err := f(key.(string)); err != nil {
			return unexpectedEnd(err)
		}
	}
	_, err = dec.Token()
	return unexpectedEnd(err)
}

func unexpectedEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// partReader ends a document if one part is too large to hold.
type partReader struct {
	r io.Reader
	n int
}

func (p *partReader) Read(b []byte) (int, error) {
	if p.n > maxVersion {
		return 0, fmt.Errorf("one part of it is larger than %d bytes", maxVersion)
	}
	n, err := p.r.Read(b)
	p.n += n
	return n, err
}

// node is a package's requirement on its node, as engines.node; "" if it has none.
func (v NPMVersion) node() string {
	var engines map[string]any
	if json.Unmarshal(v.Engines, &engines) != nil {
		return "" // old packages have a list here, which npm passes over as well
	}
	s, _ := engines["node"].(string)
	return strings.TrimSpace(s)
}
