package seccomp

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	libseccomp "github.com/seccomp/libseccomp-golang"
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
