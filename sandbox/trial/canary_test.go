package trial

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/ascii85"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every secret of the desk is found in every form that a thief would likely use, and
// nothing is found where there is none.
func TestCanariesAreFound(t *testing.T) {
	d := newDesk(time.Now())
	x := d.Index()
	forms := map[string]func([]byte) []byte{
		"plain":            func(b []byte) []byte { return b },
		"base64":           func(b []byte) []byte { return []byte("x=" + base64.StdEncoding.EncodeToString(b)) },
		"base64url":        func(b []byte) []byte { return []byte(base64.RawURLEncoding.EncodeToString(append([]byte("a"), b...))) },
		"hex":              func(b []byte) []byte { return []byte(hex.EncodeToString(b)) },
		"url":              func(b []byte) []byte { return []byte("q=" + url.QueryEscape(string(b))) },
		"base32":           func(b []byte) []byte { return []byte(base32.StdEncoding.EncodeToString(b)) },
		"backwards":        func(b []byte) []byte { b = slices.Clone(b); slices.Reverse(b); return b },
		"gzip":             zipped,
		"gzip in base64":   func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(zipped(b))) },
		"bzip2":            func(b []byte) []byte { return piped(t, b, "bzip2") },
		"zlib":             func(b []byte) []byte { return append([]byte("head: x\r\n\r\n"), deflated(b, true)...) },
		"deflate":          func(b []byte) []byte { return deflated(b, false) },
		"base85":           func(b []byte) []byte { return ascii85d(b) },
		"XOR":              func(b []byte) []byte { return each(b, func(c byte) byte { return c ^ 0x5a }) },
		"ROT13":            func(b []byte) []byte { return each(b, rot13) },
		"UTF-16":           func(b []byte) []byte { return []byte(strings.Join(strings.Split(string(b), ""), "\x00")) },
		"dashes":           func(b []byte) []byte { return []byte(strings.Join(strings.Split(string(b), ""), "-")) },
		"numbers":          func(b []byte) []byte { return []byte(strings.Trim(fmt.Sprint(b), "[]")) },
		"a Buffer in JSON": func(b []byte) []byte { return []byte(strings.ReplaceAll(fmt.Sprint(b), " ", ", ")) },
		"escapes of JSON":  func(b []byte) []byte { return escaped(b, `\u00%02x`) },
		"escapes of C":     func(b []byte) []byte { return escaped(b, `\x%02x`) },
		"an array of C":    func(b []byte) []byte { return escaped(b, "0x%02x, ") },
		"backwards in base64": func(b []byte) []byte {
			b = slices.Clone(b)
			slices.Reverse(b)
			return []byte(base64.StdEncoding.EncodeToString(b))
		},
		"base64 backwards": func(b []byte) []byte { b = []byte(base64.StdEncoding.EncodeToString(b)); slices.Reverse(b); return b },
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
	other := newDesk(time.Now())
	for _, f := range other.Files {
		if found := x.Find([]byte(f.Content)); len(found) > 0 {
			t.Errorf("%s of another desk is taken for this one's %s", f.Path, found[0].Canary.File)
		}
	}
}

func each(b []byte, f func(byte) byte) []byte {
	out := slices.Clone(b)
	for i, c := range out {
		out[i] = f(c)
	}
	return out
}

func rot13(c byte) byte {
	switch {
	case c >= 'a' && c <= 'z':
		return 'a' + (c-'a'+13)%26
	case c >= 'A' && c <= 'Z':
		return 'A' + (c-'A'+13)%26
	}
	return c
}

func escaped(b []byte, format string) []byte {
	var out []byte
	for _, c := range b {
		out = fmt.Appendf(out, format, c)
	}
	return out
}

func deflated(b []byte, head bool) []byte {
	var out bytes.Buffer
	var w io.WriteCloser = zlib.NewWriter(&out)
	if !head {
		w, _ = flate.NewWriter(&out, 9) // a valid level
	}
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func ascii85d(b []byte) []byte {
	out := make([]byte, ascii85.MaxEncodedLen(len(b)))
	return out[:ascii85.Encode(out, b)]
}

func piped(t *testing.T, b []byte, program string) []byte {
	cmd := exec.Command(program)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return out
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// A secret that crosses two pieces of a stream is found, and so is one spread over the
// labels of names.
func TestCanariesInPieces(t *testing.T) {
	d := newDesk(time.Now())
	x := d.Index()
	secret := d.Canaries[3].text
	var hits []Hit
	w := x.watch(nil, func(h Hit) { hits = append(hits, h) })
	w.Write(bytes.Repeat([]byte{'.'}, chunk-len(secret)/2))
	w.Write([]byte(secret))
	w.Write(bytes.Repeat([]byte{'.'}, 3*chunk))
	w.Close()
	if len(hits) != 1 || hits[0].Canary.File != d.Canaries[3].File {
		t.Errorf("found %+v", hits)
	}
	coded := hex.EncodeToString([]byte(secret))
	name := strings.Join([]string{coded[:20], coded[20:40], "evil.example"}, ".")
	if found := x.searchName(name, nil); len(found) != 1 {
		t.Errorf("in %s found %+v", name, found)
	}
}

// A secret that is sent in small pieces, each in a message of its own and in any order,
// is found. A few pieces do not count.
func TestCanariesInManyMessages(t *testing.T) {
	d := newDesk(time.Now())
	x := d.Index()
	secret := d.Canaries[len(d.Canaries)-1].text
	for _, c := range []struct {
		from, want int
	}{{0, 1}, {len(secret) / 2, 0}} {
		p := &pieces{}
		var found []Hit
		for at := len(secret) - 7; at >= c.from; at -= 7 {
			found = append(found, x.searchName(fmt.Sprintf("%d.%s.evil.example", at, secret[at:at+7]), p)...)
		}
		if len(found) > 0 != (c.want > 0) || len(found) > 0 && found[0].How != "in pieces" {
			t.Errorf("from %d on: found %+v", c.from, found)
		}
	}
}

// A flood is searched about as fast as it arrives.
func BenchmarkFind(b *testing.B) {
	x := newDesk(time.Now()).Index()
	text := bytes.Repeat([]byte("x"), 64<<10)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		x.Find(text)
	}
}

func FuzzFind(f *testing.F) {
	x := newDesk(time.Now()).Index()
	f.Add([]byte(strings.Repeat(" ", 40)))
	f.Add([]byte("%41\\n\x1f\x8b\x08aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ="))
	f.Fuzz(func(t *testing.T, b []byte) {
		if found := x.Find(b); len(found) > 0 {
			t.Errorf("a secret that nobody knows is found in %q", b)
		}
	})
}
