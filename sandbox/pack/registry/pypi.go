package registry

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"

	"mcpen/sandbox/pack"
)

// SimpleJSON is the media type of the JSON form of the simple API (PEP 691).
const SimpleJSON = "application/vnd.pypi.simple.v1+json"

// maxIndex bounds one project page.
const maxIndex = 64 << 20

// Project is a project page of the simple API.
type Project struct {
	Name  string
	Files []IndexFile
}

// IndexFile is one file of a project page.
type IndexFile struct {
	Filename       string            `json:"filename"`
	URL            string            `json:"url"`
	Hashes         map[string]string `json:"hashes"`
	RequiresPython string            `json:"requires-python,omitempty"`
	Size           int64             `json:"size,omitempty"`
	Uploaded       string            `json:"upload-time,omitempty"`
	Yanked         any               `json:"yanked,omitempty"`
	CoreMetadata   any               `json:"core-metadata,omitempty"`
}

// size is about the memory that a file takes.
func (f IndexFile) size() int {
	n := len(f.Filename) + len(f.URL) + len(f.RequiresPython)
	for k, v := range f.Hashes {
		n += 128 + len(k) + len(v)
	}
	return n
}

// YankReason is the reason for a yank; "" if the file is not yanked.
func (f IndexFile) YankReason() string {
	switch y := f.Yanked.(type) {
	case string:
		return strings.TrimSuffix("yanked: "+y, ": ")
	case bool:
		if y {
			return "yanked"
		}
	}
	return ""
}

// projectURL is the page of a project; the trailing slash is part of it.
func projectURL(base *url.URL, name string) *url.URL {
	return base.JoinPath(name + "/")
}

// FetchProject asks for a project's page: in its JSON form, or where an index does
// not have that as HTML (PEP 503), which has no dates.
func FetchProject(ctx context.Context, r Registry, client *http.Client, name string) (Project, *url.URL, error) {
	base, err := r.Base(name)
	if err != nil {
		return Project{}, nil, err
	}
	u := projectURL(base, name)
	var p Project
	err = r.stream(ctx, client, u, SimpleJSON+", "+simpleHTML+";q=0.2, text/html;q=0.1", maxIndex, func(body io.Reader, head http.Header) error {
		kind, _, _ := mime.ParseMediaType(head.Get("Content-Type"))
		var err error
		switch kind {
		case SimpleJSON, "application/json":
			p, err = readProject(body)
		case simpleHTML, "text/html":
			p, err = readProjectHTML(body, name)
		default:
			err = fmt.Errorf("the answer is %q", kind)
		}
		if err != nil {
			return fmt.Errorf("the answer (%s) is not a project page: %w", kind, err)
		}
		return nil
	})
	if err != nil {
		return Project{}, nil, err
	}
	if pack.NormalizePyPI(p.Name) != name {
		return Project{}, nil, fmt.Errorf("cannot use %s: the index answers for %q", Shown(u), p.Name)
	}
	return p, u, nil
}

// readProject reads one file after the other.
func readProject(body io.Reader) (Project, error) {
	part := &partReader{r: body}
	dec := json.NewDecoder(part)
	var p Project
	var held kept
	err := eachMember(dec, part, func(key string) error {
		switch key {
		case "name":
			return dec.Decode(&p.Name)
		case "files":
			p.Files = nil
			start, err := dec.Token()
			if err != nil || start != json.Delim('[') {
				return errors.Join(err, errors.New("its files are no list"))
			}
			for dec.More() {
				part.n = 0
				var f IndexFile
				if err := dec.Decode(&f); err != nil {
					return err
				}
				if err := held.add(f.size()); err != nil {
					return err
				}
				p.Files = append(p.Files, f)
			}
			_, err = dec.Token()
			return err
		}
		var skipped json.RawMessage
		return dec.Decode(&skipped)
	})
	return p, err
}

// simpleHTML is the media type of the older form (PEP 691).
const simpleHTML = "application/vnd.pypi.simple.v1+html"

// readProjectHTML reads the links of a page (PEP 503).
func readProjectHTML(body io.Reader, name string) (Project, error) {
	p := Project{Name: name}
	var held kept
	z := html.NewTokenizer(body)
	z.SetMaxBuf(maxVersion)
	for {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); err != io.EOF {
				return Project{}, err
			}
			if len(p.Files) == 0 {
				return Project{}, errors.New("it lists no file")
			}
			return p, nil
		case html.StartTagToken:
			if t := z.Token(); t.Data == "a" {
				f, ok := linkedFile(t)
				if !ok {
					continue
				}
				if err := held.add(f.size()); err != nil {
					return Project{}, err
				}
				p.Files = append(p.Files, f)
			}
		}
	}
}

// linkedFile is a file of an HTML page; its hash is behind the address.
func linkedFile(t html.Token) (IndexFile, bool) {
	var f IndexFile
	for _, a := range t.Attr {
		switch a.Key {
		case "href":
			u, err := url.Parse(a.Val)
			if err != nil {
				return f, false
			}
			if sum, ok := strings.CutPrefix(u.Fragment, "sha256="); ok {
				f.Hashes = map[string]string{"sha256": sum}
			}
			u.Fragment = ""
			f.URL, f.Filename = u.String(), path.Base(u.Path)
		case "data-requires-python":
			f.RequiresPython = a.Val
		case "data-yanked":
			f.Yanked = a.Val
			if a.Val == "" {
				f.Yanked = true
			}
		case "data-core-metadata":
			f.CoreMetadata = a.Val
		}
	}
	return f, f.URL != ""
}

// resolvePyPI chooses a version of a PyPI package among those that have a wheel
// for this interpreter or may be built; see resolveNPM for how the age counts.
func resolvePyPI(p Project, ref pack.Ref, i Interpreter, build bool, minAge time.Duration, now time.Time) (Release, IndexFile, error) {
	all, first := pypiCandidates(p, ref.Name, i, build)
	if len(all) == 0 && len(p.Files) > 0 {
		return Release{}, IndexFile{}, &pack.SourceError{Name: ref.Name}
	}
	if !build && onlySource(p, ref) {
		return Release{}, IndexFile{}, &pack.SourceError{Name: ref.Name}
	}
	all, err := within(all, ref)
	if err != nil {
		return Release{}, IndexFile{}, err
	}
	slices.SortStableFunc(all, newestFirst)
	want := ""
	for _, c := range all {
		if ref.Version != "" && pack.SamePyPIVersion(c.version, ref.Version) {
			want = c.version
		}
	}
	if want == "" {
		want = ref.Version
	}
	c, err := choose(slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return c.needs != "" }), ref, want, "", minAge, now)
	for _, x := range all {
		if err != nil && x.needs != "" && (x.version == want || want == "" && x.version == newestOf(all, func(candidate) bool { return true })) {
			err = &pack.UnfitError{Err: fmt.Errorf("cannot install %s: %s needs %s, and this is Python %s", ref, x.version, x.needs, i.Version)}
		}
	}
	if err != nil {
		return Release{}, IndexFile{}, err
	}
	c.fallback = c.fallback && c.version != c.newest
	file := first[c.version]
	chosen := ref
	chosen.Version, chosen.Range = c.version, ""
	rel := Release{Ref: chosen, Published: Uploaded(file), Size: file.Size, Deprecated: file.YankReason()}
	rel.explain(c, all, minAge)
	return rel, file, nil
}

// onlySource reports whether the index has the version that was asked for as a source
// distribution, and no wheel of it.
func onlySource(p Project, ref pack.Ref) bool {
	source := false
	for _, f := range p.Files {
		if w, ok := pack.ParseWheel(f.Filename); ok && pack.SamePyPIVersion(w.Version, ref.Version) {
			return false
		}
		v, ok := pack.ParseSdist(f.Filename, ref.Name)
		source = source || ok && pack.SamePyPIVersion(v, ref.Version)
	}
	return source
}

// pypiWithdrawn is npmWithdrawn for an index.
func pypiWithdrawn(p Project, l pack.Lock) string {
	ref, err := l.Ref()
	if err != nil {
		return ""
	}
	wheels := map[string]bool{}
	for _, d := range l.Dependencies {
		if d.Path == ref.Name {
			wheels[d.File+" "+d.Integrity] = true
		}
	}
	for _, f := range p.Files {
		if !wheels[f.Filename+" sha256:"+f.Hashes["sha256"]] {
			continue
		}
		if y := f.YankReason(); y != l.Deprecated {
			return y
		}
		return ""
	}
	return "withdrawn: the index does not list its wheel any more"
}

// pypiCandidates groups wheels by version. A version is as old as its youngest
// wheel: files can be added to a version at any time.
func pypiCandidates(p Project, name string, i Interpreter, build bool) ([]candidate, map[string]IndexFile) {
	dates, first, gone := map[string]time.Time{}, map[string]IndexFile{}, map[string]bool{}
	needs := map[string]string{} // of the versions without a wheel that fits
	for _, f := range p.Files {
		w, ok := pack.ParseWheel(f.Filename)
		source := false
		if v, is := pack.ParseSdist(f.Filename, name); build && is {
			w, ok, source = pack.Wheel{Name: name, Version: v}, true, true
		}
		if !ok || w.Name != name || !pack.IsSHA256(f.Hashes["sha256"]) || !pack.ExactPEP440(w.Version) {
			continue
		}
		t := Uploaded(f)
		if old, seen := dates[w.Version]; !seen || !old.IsZero() && (t.IsZero() || t.After(old)) {
			dates[w.Version] = t
		}
		lack := needsOf("Python", f.RequiresPython, i.FitsPython)
		if lack == "" && !source && !i.Loads(w) {
			lack = "a wheel for this machine (it has " + w.Tags + ")"
		}
		_, seen := first[w.Version]
		switch {
		case !seen:
			first[w.Version], needs[w.Version] = f, lack
		case lack == "" && (needs[w.Version] != "" || w.Anywhere() || sourceFile(first[w.Version])):
			first[w.Version], needs[w.Version] = f, ""
		}
		gone[w.Version] = f.YankReason() != ""
	}
	var all []candidate
	for s, t := range dates {
		v, ok := pack.PyPIVersion(s)
		if !ok {
			continue
		}
		all = append(all, candidate{version: s, published: t, pre: pack.IsPyPIPreview(v), gone: gone[s], needs: needs[s], newer: pack.NewerThan(v, pack.PyPIVersion)})
	}
	slices.SortFunc(all, func(a, b candidate) int { return strings.Compare(a.version, b.version) })
	return all, first
}

func sourceFile(f IndexFile) bool { return strings.HasSuffix(f.Filename, ".tar.gz") }

func Uploaded(f IndexFile) time.Time {
	t, err := time.Parse(time.RFC3339, f.Uploaded)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// describePyPI adds the facts of the wheel's metadata file (PEP 658). If an index lacks
// these files, the fields stay empty.
func describePyPI(ctx context.Context, r Registry, client *http.Client, page *url.URL, f IndexFile, rel Release) (Release, error) {
	if f.CoreMetadata == nil || f.CoreMetadata == false {
		return rel, nil
	}
	u, err := r.File(page, f.URL)
	if err != nil {
		return Release{}, fmt.Errorf("cannot use %q of %s: %w", f.Filename, rel.Ref, err)
	}
	u.Path, u.RawPath = u.Path+".metadata", ""
	body, _, err := r.Get(ctx, client, u, "", 8<<20)
	if errors.Is(err, ErrNotFound) {
		return rel, nil
	}
	if err != nil {
		return Release{}, err
	}
	fields, err := MetadataFields(body)
	if err != nil {
		return rel, nil
	}
	rel.License = fields.Get("License-Expression")
	if s := fields.Get("License"); rel.License == "" && len(s) < 80 {
		rel.License = s
	}
	for _, c := range fields["Classifier"] {
		if s, ok := strings.CutPrefix(c, "License :: "); ok && rel.License == "" {
			rel.License = s[strings.LastIndex(s, ":: ")+1:]
			rel.License = strings.TrimSpace(strings.TrimPrefix(rel.License, ":"))
		}
	}
	for _, key := range []string{"Author", "Author-Email", "Maintainer"} {
		if rel.Publisher == "" {
			rel.Publisher = fields.Get(key)
		}
	}
	for _, d := range fields["Requires-Dist"] {
		if !strings.Contains(d, "extra ==") {
			rel.Dependencies++
		}
	}
	return rel, nil
}

// MetadataFields reads the headers of core metadata. The part after them is a text and
// no MIME body.
func MetadataFields(data []byte) (textproto.MIMEHeader, error) {
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	head, _, _ := bytes.Cut(data, []byte("\n\n"))
	return textproto.NewReader(bufio.NewReader(bytes.NewReader(append(slices.Clip(head), "\n\n"...)))).ReadMIMEHeader()
}
