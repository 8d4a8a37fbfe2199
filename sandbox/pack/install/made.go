package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"time"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/store"
)

// made is the result of the last install of a request: of one version of a package, for
// one platform, from one registry.
type made struct {
	Tree   string        `json:"tree"`
	Recipe string        `json:"recipe"`
	At     time.Time     `json:"at"`
	MinAge time.Duration `json:"min_age"`
	Lock   string        `json:"lock"` // as Encode writes it

	record *store.Record
}

// fresh is how long an install does not ask the registry again: npm and pip keep the
// pages of packages for as long, as the registries tell them.
const fresh = 5 * time.Minute

// request is the name of w's request.
func (w *work) request() string {
	text := strings.Join([]string{"2", w.ref.String(), w.in.platform(*w.lock), w.lock.Registry, w.in.Tools.UV}, "\n") + "\n" + strings.Join(append(slices.Clone(w.in.Scripts), w.in.Build...), "\n")
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// recipe is the hash of everything that decides the result of an install: the archives,
// their places, the packages whose scripts run, and the interpreter.
func (w *work) recipe() string {
	var scripts []string
	for _, d := range w.lock.Dependencies {
		if d.Scripts && slices.Contains(w.in.Scripts, d.PackageName()) {
			scripts = append(scripts, d.PackageName())
		}
	}
	var deps []pack.Dependency
	for _, d := range w.lock.Dependencies {
		if d.Bundled {
			continue // it follows from the archive around it
		}
		d.Publisher, d.From, d.Wheels = "", "", nil
		deps = append(deps, d)
	}
	slices.SortFunc(deps, func(a, b pack.Dependency) int { return strings.Compare(a.Path, b.Path) })
	text, err := json.Marshal([]any{"1", w.ref.String(), w.in.platform(*w.lock), scripts, w.lock.With, deps})
	if err != nil {
		panic("internal error: a lock that is no JSON: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// earlier returns the result of the last install of the same request, empty if there
// was none. If several processes have one request at once, one goes on, and the others
// wait for its result. The caller closes it.
func (w *work) earlier(ctx context.Context) (*made, error) {
	record, err := w.in.Store.Record(ctx, w.request())
	if err != nil {
		return nil, err
	}
	m := &made{}
	if json.Unmarshal(record.Text, m) != nil {
		*m = made{} // an unreadable record counts as none
	}
	m.record = record
	return m, nil
}

func (m *made) close() { m.record.Close() }

// keep writes the result down. Without it the next install fetches again.
func (m *made) keep(w *work, tree string) {
	text, err := w.lock.Encode()
	if err != nil {
		return
	}
	m.Tree, m.Recipe, m.At, m.MinAge, m.Lock = tree, w.recipe(), w.in.Now(), w.in.MinAge, string(text)
	if data, err := json.Marshal(m); err == nil {
		m.record.Keep(data)
	}
}

// open gives the tree that was made, if the store still has it whole; nil if not.
func (m *made) open(w *work) *store.Tree {
	if m.Tree == "" {
		return nil
	}
	tree, err := w.in.Store.Open(m.Tree)
	if err != nil {
		return nil
	}
	return tree
}

// lock returns the chosen lock; false if it is unreadable.
func (m *made) lock() (pack.Lock, bool) {
	l, err := pack.ParseLock([]byte(m.Lock))
	return l, err == nil
}

// recent takes over a choice of a moment ago by the same rules.
func (m *made) recent(w *work) bool {
	age := w.in.Now().Sub(m.At)
	l, ok := m.lock()
	if !ok || age < 0 || age > fresh || m.MinAge != w.in.MinAge || l.Package != w.lock.Package || l.Version != w.lock.Version {
		return false
	}
	w.lock.Integrity, w.lock.With, w.lock.Platform, w.lock.Scripts = l.Integrity, l.With, l.Platform, l.Scripts
	w.lock.Dependencies, w.lock.Entry = l.Dependencies, l.Entry
	return true
}

// complete fills in the lock's statements about the contents of a made tree.
func (w *work) complete(tree *store.Tree) error {
	found, err := readInstalled(os.DirFS(tree.Dir), *w.lock)
	if err != nil {
		return err
	}
	w.lock.Dependencies, w.lock.Entry = append(w.lock.Dependencies, found.bundled...), found.entry
	for _, d := range w.lock.Dependencies {
		if d.Scripts && slices.Contains(w.in.Scripts, d.PackageName()) && !slices.Contains(w.lock.Scripts, d.PackageName()) {
			w.lock.Scripts = append(w.lock.Scripts, d.PackageName())
		}
	}
	return w.vet()
}
