package trial

import (
	"bytes"
	"compress/gzip"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every secret of the desk is found in every form that a thief is expected to give
// it, and where it is not, nothing is found.
func TestCanariesAreFound(t *testing.T) {
	d := NewDesk(time.Now())
	x := d.Index()
	forms := map[string]func([]byte) []byte{
		"plain":          func(b []byte) []byte { return b },
		"base64":         func(b []byte) []byte { return []byte("x=" + base64.StdEncoding.EncodeToString(b)) },
		"base64url":      func(b []byte) []byte { return []byte(base64.RawURLEncoding.EncodeToString(append([]byte("a"), b...))) },
		"hex":            func(b []byte) []byte { return []byte(hex.EncodeToString(b)) },
		"url":            func(b []byte) []byte { return []byte("q=" + url.QueryEscape(string(b))) },
		"base32":         func(b []byte) []byte { return []byte(base32.StdEncoding.EncodeToString(b)) },
		"backwards":      func(b []byte) []byte { b = slices.Clone(b); slices.Reverse(b); return b },
		"gzip":           zipped,
		"gzip in base64": func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(zipped(b))) },
		"base64 twice": func(b []byte) []byte {
			return []byte(base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString(b))))
		},
	}
	for name, form := range forms {
		for _, f := range d.Files {
			if _, decoy := d.lures[f.Path]; !decoy || !slices.ContainsFunc(d.Canaries, func(c Canary) bool { return c.File == f.Path }) {
				continue
			}
			found := x.Find(form([]byte(f.Content)))
			if !slices.ContainsFunc(found, func(h Hit) bool { return h.Canary.File == f.Path }) {
				t.Errorf("%s: %s is not found", name, f.Path)
			}
			if i := slices.IndexFunc(found, func(h Hit) bool { return h.Canary.File != f.Path }); i >= 0 {
				t.Errorf("%s: %s is taken for %s", name, f.Path, found[i].Canary.File)
			}
		}
	}
	other := NewDesk(time.Now())
	for _, f := range other.Files {
		if found := x.Find([]byte(f.Content)); len(found) > 0 {
			t.Errorf("%s of another desk is taken for this one's %s", f.Path, found[0].Canary.File)
		}
	}
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// What crosses from one piece of a stream to the next is not missed, and neither is
// what is spread over the labels of names.
func TestCanariesInPieces(t *testing.T) {
	d := NewDesk(time.Now())
	x := d.Index()
	secret := d.Canaries[3].text
	var hits []Hit
	w := x.watch(func(h Hit) { hits = append(hits, h) })
	w.Write(bytes.Repeat([]byte{'.'}, chunk-len(secret)/2))
	w.Write([]byte(secret))
	w.Write(bytes.Repeat([]byte{'.'}, 3*chunk))
	w.Close()
	if len(hits) != 1 || hits[0].Canary.File != d.Canaries[3].File {
		t.Errorf("found %+v", hits)
	}
	coded := hex.EncodeToString([]byte(secret))
	name := strings.Join([]string{coded[:20], coded[20:40], "evil.example"}, ".")
	if found := x.FindName(name); len(found) != 1 {
		t.Errorf("in %s found %+v", name, found)
	}
}

// A flood is looked through about as fast as it comes.
func BenchmarkFind(b *testing.B) {
	x := NewDesk(time.Now()).Index()
	text := bytes.Repeat([]byte("x"), 64<<10)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		x.Find(text)
	}
}

func FuzzFind(f *testing.F) {
	x := NewDesk(time.Now()).Index()
	f.Add([]byte("%41\\n\x1f\x8b\x08aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ="))
	f.Fuzz(func(t *testing.T, b []byte) {
		if found := x.Find(b); len(found) > 0 {
			t.Errorf("a secret that nobody knows is found in %q", b)
		}
	})
}
