package sandbox_test

import (
	"os"

	"mcpen/sandbox/plan"
)

func fixDirs(p plan.Plan) plan.Plan {
	for i, m := range p.Root {
		if m.Kind == plan.MountBind {
			if fi, err := os.Stat(m.Source); err == nil {
				p.Root[i].Dir = fi.IsDir()
			}
		}
	}
	return p
}
