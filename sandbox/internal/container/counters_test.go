package container

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// A share rounded to zero would mean everything or nothing.
func TestCountersAreAPart(t *testing.T) {
	for _, c := range []struct {
		have map[string]string
		want map[string]string
	}{
		{map[string]string{"max_inotify_instances": "128\n", "max_inotify_watches": "8192\n"}, map[string]string{"user.max_inotify_instances": "32", "user.max_inotify_watches": "4096"}},
		{map[string]string{"max_inotify_instances": "1\n", "max_inotify_watches": "0\n"}, map[string]string{"user.max_inotify_instances": "1", "user.max_inotify_watches": "1"}},
		{map[string]string{"max_inotify_instances": "2147483647\n"}, map[string]string{"user.max_inotify_instances": "536870911"}},
		{map[string]string{"max_inotify_instances": "many\n", "max_inotify_watches": ""}, map[string]string{}},
		{nil, map[string]string{}},
	} {
		dir := t.TempDir()
		for name, text := range c.have {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := countersBelow(dir); !maps.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.have, got, c.want)
		}
	}
}
