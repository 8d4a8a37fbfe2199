package install

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"

	"mcpen/sandbox/pack"
)

// requiresScript says which requirements of the packages in a directory are not
// met in it, as this interpreter reads their markers. The extras of the package
// itself are those that were asked for; of another, those that some package asks
// for.
const requiresScript = `import importlib.metadata, json, re, sys
from pip._vendor.packaging.requirements import Requirement
norm = lambda s: re.sub(r"[-_.]+", "-", s).lower()
dists = {norm(d.metadata["Name"]): d for d in importlib.metadata.distributions(path=[sys.argv[1]])}
todo, seen, lack = [(sys.argv[2], tuple(sys.argv[3:]))], set(), set()
while todo:
    name, extras = todo.pop()
    if (name, extras) in seen or name not in dists:
        continue
    seen.add((name, extras))
    for text in dists[name].requires or []:
        r = Requirement(text)
        if r.marker and not any(r.marker.evaluate({"extra": e}) for e in ("",) + extras):
            continue
        key = norm(r.name)
        if key not in dists or not r.specifier.contains(dists[key].version, prereleases=True):
            lack.add("%s (for %s)" % (r.name + str(r.specifier), name))
        todo.append((key, tuple(sorted(norm(e) for e in r.extras))))
print(json.dumps(sorted(lack)))`

// checkRequires refuses a lock of another Python if this one needs a further package:
// requirements differ by environment markers (PEP 508), and the server would end with a
// failed import.
func (w *work) checkRequires(ctx context.Context) error {
	out := tail{limit: 1 << 20}
	argv := append([]string{w.in.Tools.Python, "-I", "-c", requiresScript, filepath.Join(w.stage.Dir, "tree/lib"), w.ref.Name}, w.ref.Extras...)
	if err := w.runTo(ctx, &out, "checking requirements", argv, w.pipEnv(), false); err != nil {
		return err
	}
	var lack []string
	if err := json.Unmarshal(out.buf, &lack); err != nil {
		return errTool("checking requirements", err, out.buf)
	}
	if len(lack) > 0 {
		return pack.Refuse("cannot use the lock of %s %s with this Python (%s): it does not list %s; lock it again here", w.lock.Package, w.lock.Version, w.in.platform(*w.lock), pack.Printable(strings.Join(lack, ", ")))
	}
	return nil
}
