package sandbox

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// A run that ends while others start and clean up ends without an error, and its
// directory is gone.
func TestSessionsEndWhileOthersStart(t *testing.T) {
	runtime := filepath.Join(t.TempDir(), "run")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				s, err := newSession(runtime)
				if err != nil {
					t.Errorf("cannot start beside others: %v", err)
					return
				}
				if err := os.WriteFile(filepath.Join(s.dir, recordName), []byte("{}"), 0o600); err != nil {
					t.Errorf("the directory of a run was taken away: %v", err)
				}
				if err := s.close(); err != nil {
					t.Errorf("cannot end beside others: %v", err)
				}
			}
		})
	}
	all.Wait()
	collect(runtime)
	left, err := os.ReadDir(runtime)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
