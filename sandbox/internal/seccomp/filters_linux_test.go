package seccomp

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	libseccomp "github.com/seccomp/libseccomp-golang"

	"mcpen/sandbox/plan"
)

var update = flag.Bool("update", false, "compile the filters anew")

// compiler names the compiler on this machine.
func compiler(t *testing.T) string {
	t.Helper()
	major, minor, micro := libseccomp.GetLibraryVersion()
	binding, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/seccomp/libseccomp-golang").Output()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("libseccomp %d.%d.%d, libseccomp-golang %s", major, minor, micro, strings.TrimSpace(string(binding)))
}

// Filters that do not follow a change of the table would protect nobody, and neither
// would filters that something other than libseccomp made.
func TestFiltersAreLibseccomps(t *testing.T) {
	if *update {
		for _, a := range arches {
			var all []byte
			for _, p := range options() {
				f, err := compile(p, a.name)
				if err != nil {
					t.Fatal(err)
				}
				b, err := f.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, b...)
			}
			if err := os.WriteFile("filters/"+a.name+".bpf", all, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile("filters/made-by", []byte(compiler(t)+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Log("written; run the tests again, which prove what was written")
		return
	}
	if here := compiler(t); here != MadeBy() {
		t.Skipf("the filters were made by %s, here is %s; what they decide is proved all the same", MadeBy(), here)
	}
	for _, a := range arches {
		for _, p := range options() {
			want, err := compile(p, a.name)
			if err != nil {
				t.Fatal(err)
			}
			got, err := For(p, a.name)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.prog, want.prog) || got.listens != want.listens {
				t.Errorf("%s %+v: the filter is not what libseccomp makes of the table: go generate ./sandbox/internal/seccomp", a.name, p)
			}
		}
	}
}

// A trace needs a listener that sees opens, and is for no server: a filter that traced
// with anything else would leave calls unseen.
func TestNoFilterTracesAlone(t *testing.T) {
	for _, p := range []plan.Seccomp{{Trace: true}, {Trace: true, Notify: true}, {Trace: true, Opens: true}, {Trace: true, Notify: true, Opens: true, Alone: true}, {Trace: true, Notify: true, Opens: true, Mediate: true}} {
		p.On = true
		if f, err := For(p, "amd64"); err == nil || f.Len() > 0 {
			t.Errorf("%+v has a filter", p)
		}
	}
	if f, err := For(plan.Seccomp{On: true, Trace: true, Notify: true, Opens: true}, "amd64"); err != nil || f.Len() == 0 {
		t.Errorf("the trial's: %v", err)
	}
	if f, err := For(plan.Seccomp{}, "amd64"); err == nil || f.Len() > 0 {
		t.Error("a plan without the layer has a filter")
	}
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	for name, p := range map[string]struct {
		plan plan.Seccomp
		arch string
	}{"a listener's": {plan.Seccomp{On: true, Notify: true}, runtime.GOARCH}, "another machine's": {plan.Seccomp{On: true}, other}} {
		f, err := For(p.plan, p.arch)
		if err != nil {
			t.Fatal(err)
		}
		for _, load := range []func(Filter) error{Load, LoadAll} {
			if err := load(f); err == nil || !strings.Contains(err.Error(), "internal error: a seccomp filter") {
				t.Errorf("%s filter is loaded: %v", name, err)
			}
		}
	}
	for _, load := range []func(Filter) error{Load, LoadAll} {
		if err := load(Filter{}); err == nil {
			t.Error("no filter is loaded")
		}
	}
	for what, text := range map[string]string{"no seccomp filter": "", "a damaged seccomp filter": strings.Repeat("\xff", headLen)} {
		if n, err := encodedLen(text); err == nil || n != 0 || !strings.Contains(err.Error(), what) {
			t.Errorf("%q: %d, %v, want %s", text, n, err, what)
		}
	}
	if _, err := For(plan.Seccomp{On: true}, "riscv64"); err == nil || !strings.Contains(err.Error(), "riscv64") {
		t.Errorf("an unknown machine: %v", err)
	}
}
