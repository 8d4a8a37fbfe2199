package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mcpen/sandbox/pack/packtest"
)

// A registry that drips, or whose document does not end, ends the install and not
// the machine.
func TestEndlessRegistry(t *testing.T) {
	var sent atomic.Int64
	version := `"1.0.%d": {"name": "a", "version": "1.0.%d", "dist": {"tarball": "x"}, "readme": "` + strings.Repeat("x", 1<<16) + `"},`
	for name, tc := range map[string]struct {
		answer func(w io.Writer, i int) error
		want   string
	}{
		"a byte at a time": {func(w io.Writer, i int) error {
			time.Sleep(20 * time.Millisecond)
			_, err := io.WriteString(w, " ")
			return err
		}, "bytes came in"},
		"versions without end": {func(w io.Writer, i int) error {
			if i == 0 {
				io.WriteString(w, `{"name": "a", "versions": {`)
			}
			_, err := fmt.Fprintf(w, version, i, i)
			return err
		}, "larger than"},
		"dates without end": {func(w io.Writer, i int) error {
			if i == 0 {
				io.WriteString(w, `{"name": "a", "time": {`)
			}
			var b strings.Builder
			for j := range 1000 {
				fmt.Fprintf(&b, `"%d.%d":"2024-01-01T00:00:00Z",`, i, j)
			}
			_, err := io.WriteString(w, b.String())
			return err
		}, "of memory"},
		"bad versions without end": {func(w io.Writer, i int) error {
			if i == 0 {
				io.WriteString(w, `{"name": "a", "versions": {`)
			}
			var b strings.Builder
			for j := range 1000 {
				fmt.Fprintf(&b, `"%d.%d":0,`, i, j)
			}
			_, err := io.WriteString(w, b.String())
			return err
		}, "of memory"},
		"one endless text": {func(w io.Writer, i int) error {
			if i == 0 {
				io.WriteString(w, `{"name": "a", "readme": "`)
			}
			_, err := io.WriteString(w, strings.Repeat("x", 1<<16))
			return err
		}, "one part of it"},
	} {
		f := packtest.New(t, false)
		f.Answer = func(w http.ResponseWriter, r *http.Request) bool {
			for i := 0; r.Context().Err() == nil; i++ {
				if tc.answer(w, i) != nil {
					return true
				}
				w.(http.Flusher).Flush()
				sent.Add(1)
			}
			return true
		}
		reg := Registry{URL: f.URL + "/npm/"}
		reg.Timeout, reg.Whole = 500*time.Millisecond, 2*time.Minute
		client, err := reg.Client()
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		_, err = FetchPackument(context.Background(), reg, client, "a")
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		if grew := int64(after.Sys) - int64(before.Sys); grew > 96<<20 {
			t.Errorf("%s: it took %d MiB", name, grew>>20)
		}
		reg.Whole = 100 * time.Millisecond
		start := time.Now()
		if _, err = FetchPackument(context.Background(), reg, client, "a"); err == nil || time.Since(start) > time.Minute {
			t.Errorf("%s: the whole of a fetch is not bounded: %v", name, err)
		}
		f.CloseClientConnections()
	}
}

// A document whose version names another, or that takes a deprecation back.
func TestPackumentReads(t *testing.T) {
	p, err := readPackument(strings.NewReader(`{"name":"a","extra":[{"deep":{}}],"dist-tags":{"latest":"1.0.0","odd":7},"time":{"1.0.0":"2024-01-01T00:00:00Z","unpublished":{"x":1}},
		"versions":{"1.0.0":{"name":"a","version":"1.0.0","deprecated":"","dist":{},"engines":["node"],"scripts":{"postinstall":"x","test":"y"}},"1.1.0":{"name":"a","version":"9.9.9"},
		"1.2.0":{"name":"a","version":"1.2.0","deprecated":"no more","scripts":[]},"1.3.0":{"name":"a","version":"1.3.0","deprecated":false},"1.4.0":{"name":"b","version":"1.4.0"},"1.5.0":7}}`), "a")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Versions) != 3 || len(p.Bad) != 3 || p.Versions["1.0.0"].Deprecated != "" || p.Versions["1.2.0"].Deprecated != "no more" || p.Versions["1.3.0"].Deprecated != "" {
		t.Errorf("%+v", p)
	}
	if s := p.Versions["1.0.0"].Scripts; len(s) != 1 || s["postinstall"] != "x" || p.Tags["latest"] != "1.0.0" || len(p.Tags) != 1 || len(p.Time) != 1 {
		t.Errorf("%+v", p)
	}
	for _, torn := range []string{``, `[]`, `{"versions":{"1.0.0":{}`, `{"name":"a"`, `{"name":7}`} {
		if _, err := readPackument(strings.NewReader(torn), "a"); err == nil {
			t.Errorf("%q: read", torn)
		}
	}
}

// mcpen gives up an endless document after a bounded time and in bounded memory.
func BenchmarkEndlessPackument(b *testing.B) {
	one := `"1.0.%d": {"name": "a", "version": "1.0.%d", "dist": {"tarball": "x"}, "readme": "` + strings.Repeat("x", 1<<16) + `"},`
	var most uint64
	for b.Loop() {
		endless := &repeated{head: `{"name": "a", "versions": {`, text: func(i int) string { return fmt.Sprintf(one, i, i) }}
		if _, err := readPackument(io.LimitReader(endless, maxPackument), "a"); err == nil {
			b.Fatal("it was read")
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	}
	b.ReportMetric(float64(most)/(1<<20), "MiB-heap")
	b.ReportMetric(float64(maxPackument)/(1<<20), "MiB-read")
}

// mcpen gives up a registry that sends a byte a second after a bounded time, by the
// bounds that hold for everybody, and so a registry that sends nothing.
func BenchmarkDrippingRegistry(b *testing.B) {
	for name, head := range map[string]string{"byte": " ", "nothing": ""} {
		b.Run(name, func(b *testing.B) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					io.WriteString(w, head)
					w.(http.Flusher).Flush()
					time.Sleep(time.Second)
				}
			}))
			defer server.Close()
			defer server.CloseClientConnections()
			reg := Registry{URL: server.URL + "/"}
			client, err := reg.Client()
			if err != nil {
				b.Fatal(err)
			}
			var m runtime.MemStats
			for b.Loop() {
				if _, err := FetchPackument(context.Background(), reg, client, "a"); err == nil {
					b.Fatal("it was read")
				}
			}
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MiB-heap")
		})
	}
}

// repeated is a text that goes on as long as somebody reads.
type repeated struct {
	head string
	text func(i int) string
	n    int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.head == "" {
		r.head = r.text(r.n)
		r.n++
	}
	n := copy(p, r.head)
	r.head = r.head[n:]
	return n, nil
}

// An index that has only HTML says which files there are and which are taken back.
func TestProjectPageOfHTML(t *testing.T) {
	p, err := readProjectHTML(strings.NewReader(`<!DOCTYPE html><A HREF="/a-1.0-py3-none-any.whl#sha256=00" data-yanked>x</A><a>no</a><a href="b-1.0.tar.gz" data-yanked="bad">y</a>`), "a")
	if err != nil || len(p.Files) != 2 || p.Files[0].YankReason() != "yanked" || p.Files[1].YankReason() != "yanked: bad" || p.Files[0].Hashes["sha256"] != "00" {
		t.Errorf("%+v, %v", p, err)
	}
}
