package pack

import (
	"cmp"
	"testing"
)

// In the order of PEP 440 and of semver.org: who compares otherwise runs an old
// release, or a release that was not wanted.
func TestVersionsAreInOrder(t *testing.T) {
	for _, c := range []struct {
		name  string
		order func(a, b string) (int, error)
		in    []string
	}{
		{"pypi", PyPI.Compare, []string{"0.9", "1.0.dev456", "1.0a1", "1.0a2.dev456", "1.0a12.dev456", "1.0a12", "1.0b1.dev456", "1.0b2",
			"1.0b2.post345.dev456", "1.0b2.post345", "1.0rc1.dev456", "1.0rc1", "1.0", "1.0.post456.dev34", "1.0.post456", "1.0.15", "1.1.dev1", "1.10", "2024.1.1", "1!0.1"}},
		{"npm", NPM.Compare, []string{"0.9.10", "1.0.0-0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
			"1.0.0", "1.0.1", "1.9.0", "1.10.0", "2025.11.25"}},
	} {
		for i, a := range c.in {
			for j, b := range c.in {
				got, err := c.order(a, b)
				if err != nil || cmp.Compare(got, 0) != cmp.Compare(i, j) {
					t.Errorf("%s: %s beside %s: %d, %v", c.name, a, b, got, err)
				}
			}
		}
	}
}

// Only a request by name chooses a release that is not final.
func TestPreviewsAreTold(t *testing.T) {
	for s, pre := range map[string]bool{"1.0": false, "1.0.post1": false, "1!2.0": false, "1.0a1": true, "1.0.dev1": true, "1.0rc1": true, "1.0b2.post1": true} {
		if v, ok := PyPIVersion(s); !ok || IsPyPIPreview(v) != pre {
			t.Errorf("pypi %s: %v", s, v)
		}
	}
	for s, pre := range map[string]bool{"1.0.0": false, "1.0.0-0": true, "1.0.0-rc.1": true} {
		if v, ok := NPMVersion(s); !ok || v.IsPrerelease() != pre {
			t.Errorf("npm %s: %v", s, v)
		}
	}
	for _, s := range []string{"", "1", "1.0", "v1.0.0", "=1.0.0", " 1.0.0", "1.0.0 ", "1.x.0", "*", "01.0.0", "1.0.0-01", "1.0.0.0", "1.0.0-", "^1.0.0", "1.0.0 || 2.0.0"} {
		if _, ok := NPMVersion(s); ok {
			t.Errorf("npm: %q is one version", s)
		}
	}
	for _, s := range []string{"", "1.*", "*", "==1.0", "1.0 || 2", "latest", "1..0", "1.0-", "1.0;x"} {
		if _, ok := PyPIVersion(s); ok {
			t.Errorf("pypi: %q is one version", s)
		}
	}
}
