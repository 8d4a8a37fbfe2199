package install

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/mirror"
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/pack/store"
)

// work is one install under way.
type work struct {
	in     *Installer
	stage  *store.Stage
	root   *os.Root // stage.Dir as a root: a job's leftovers there cannot lead out of it
	reg    registry.Registry
	mirror *mirror.Mirror
	lock   *pack.Lock
	ref    pack.Ref
	// choosing: the lock is being made, and not followed.
	choosing bool
	bundles  bool      // npm found packages that come inside the archives of others
	youngest time.Time // of the packages, as the registry gave it
	words    []byte    // the last of the tool that failed
}

// begin prepares an install of a lock's packages in a stage. The caller calls end.
func (in *Installer) begin(stage *store.Stage, l *pack.Lock, before time.Time) (w *work, end func(), err error) {
	ref, err := l.Ref()
	if err != nil {
		return nil, nil, err
	}
	reg, err := in.registry(ref.Ecosystem)
	if err != nil {
		return nil, nil, err
	}
	root, err := os.OpenRoot(stage.Dir)
	if err != nil {
		return nil, nil, err
	}
	w = &work{in: in, stage: stage, root: root, lock: l, ref: ref, reg: reg}
	w.mirror, err = mirror.Start(mirror.Config{Registry: reg, Ecosystem: ref.Ecosystem, Limits: in.Limits, Before: before, Dir: stage.Beside("fetched"), Tell: w.fetched,
		Builds: in.Build, Build: w.buildWheel, Interpreter: in.Tools.Interpreter})
	if err != nil {
		root.Close()
		return nil, nil, err
	}
	w.mirror.Want(ref.Name, ref.Version)
	end = func() {
		w.mirror.Close()
		root.Close()
	}
	return w, end, nil
}

// fetched says how far the fetching is.
func (w *work) fetched(pages, archives int, bytes int64) {
	w.in.say("fetch", "packages looked up: %d, archives: %d, %.1f MiB", pages, archives, float64(bytes)/(1<<20))
}

// inStage installs a release and writes its choices into the lock; without a release,
// it installs exactly the packages of the lock.
func (in *Installer) inStage(ctx context.Context, l *pack.Lock, before time.Time, rel *registry.Release) (*store.Tree, error) {
	stage, err := in.Store.Stage()
	if err != nil {
		return nil, err
	}
	defer stage.Close()
	w, end, err := in.begin(stage, l, before)
	if err != nil {
		return nil, err
	}
	defer end()
	for _, dir := range []string{"home", "cache", "tmp", "tree"} {
		if err := w.root.Mkdir(dir, 0o700); err != nil {
			return nil, fmt.Errorf("cannot stage: %w", err)
		}
	}
	var tree *store.Tree
	if rel != nil {
		tree, err = w.make(ctx, *rel)
	} else if err = w.vet(); err == nil {
		tree, err = w.fetch(ctx)
	}
	if err != nil {
		return nil, w.failure(err)
	}
	return tree, nil
}

// vet shows the packages to the Vet function before the install, if there is one.
func (w *work) vet() error {
	if w.in.Vet == nil {
		return nil
	}
	w.in.done()
	return w.in.Vet(*w.lock)
}

// make installs a release and fills in the lock. It takes the result of an earlier
// install from the store: at once if that install chose a moment ago, and otherwise if
// the registry leads to the same choice again.
func (w *work) make(ctx context.Context, rel registry.Release) (*store.Tree, error) {
	w.choosing = true
	w.mirror.Expect(rel)
	was, err := w.earlier(ctx)
	if err != nil {
		return nil, err
	}
	defer was.close()
	tree := was.open(w)
	if tree == nil {
		return w.makeAnew(ctx, rel, was)
	}
	if was.recent(w) {
		w.in.say("store", "%s", w.lock.Package)
		if err := w.vet(); err != nil {
			tree.Close()
			return nil, err
		}
		return tree, nil
	}
	if same, err := w.makeAgain(ctx, rel, was, tree); same || err != nil {
		if err != nil {
			tree.Close()
			return nil, err
		}
		return tree, nil
	}
	tree.Close()
	tree, err = w.fetch(ctx)
	if err == nil {
		was.keep(w, tree.Hash)
	}
	return tree, err
}

// makeAnew has the package manager choose and install in one go.
func (w *work) makeAnew(ctx context.Context, rel registry.Release, was *made) (*store.Tree, error) {
	w.in.say("install", "%s", rel.Ref)
	choose, settle := w.chooseNPM, w.settleNPM
	if w.ref.Ecosystem == pack.PyPI {
		choose, settle = w.choosePyPI, w.settlePyPI
	}
	if err := choose(ctx, nil); err != nil {
		return nil, err
	}
	if err := w.vet(); err != nil {
		return nil, err
	}
	if err := settle(ctx); err != nil {
		return nil, err
	}
	tree, err := w.add(ctx)
	if err == nil {
		was.keep(w, tree.Hash)
	}
	return tree, err
}

// makeAgain has the package manager choose, and says whether that leads to the tree
// that was made before.
func (w *work) makeAgain(ctx context.Context, rel registry.Release, was *made, tree *store.Tree) (same bool, err error) {
	w.in.say("dependencies", "%s", rel.Ref)
	choose := w.chooseNPM
	if w.ref.Ecosystem == pack.PyPI {
		choose = w.choosePyPI
	}
	if err := choose(ctx, was); err != nil {
		return false, err
	}
	if err := w.vet(); err != nil {
		return false, err
	}
	if w.recipe() != was.Recipe {
		return false, nil
	}
	if err := w.complete(tree); err != nil {
		return false, err
	}
	was.keep(w, tree.Hash)
	return true, nil
}

// fetch has the package manager install the packages of the lock, and puts them into
// the store.
func (w *work) fetch(ctx context.Context) (*store.Tree, error) {
	if !w.choosing && w.in.MinAge > 0 {
		youngest, err := w.age(ctx)
		if err != nil {
			return nil, w.mirror.Verdict(err)
		}
		w.youngest = youngest
	}
	install := w.installNPM
	if w.ref.Ecosystem == pack.PyPI {
		install = w.installPyPI
	}
	if err := install(ctx); err != nil {
		return nil, err
	}
	return w.add(ctx)
}

// add puts the installed packages into the store.
func (w *work) add(ctx context.Context) (*store.Tree, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if w.youngest.IsZero() {
		w.youngest = w.confirmed()
	}
	w.in.say("store", "%s", w.lock.Package)
	return w.in.Store.Add(w.stage, "tree", w.lock.Trees[w.in.platform(*w.lock)], w.youngest)
}

// errTool is the error of a tool, with the tool's own words in one line.
func errTool(name string, err error, words []byte) error {
	text := gist(pack.Printable(string(words)))
	if text == "" {
		return fmt.Errorf("cannot install: %s failed: %w", name, err)
	}
	return fmt.Errorf("cannot install: %s failed: %w: %s", name, err, text)
}

// gist returns the important part of a package manager's last words: the lines that are
// marked as errors, or else the last one.
func gist(words string) string {
	var marked, plain []string
	for line := range strings.Lines(words) {
		line = strings.Join(strings.Fields(line), " ")
		text := line
		for _, mark := range []string{"npm error ", "npm ERR! ", "ERROR: ", "error: ", "× "} {
			text = strings.TrimPrefix(text, mark)
		}
		switch {
		case text == "" || strings.HasPrefix(text, "A complete log") || strings.HasPrefix(text, "code ") || strings.Contains(text, "in lines "):
		case text != line:
			marked = append(marked, text)
		default:
			plain = append(plain, text)
		}
	}
	if len(marked) == 0 && len(plain) > 0 {
		marked = plain[len(plain)-1:]
	}
	text := strings.Join(marked[:min(len(marked), 3)], "; ")
	if r := []rune(text); len(r) > 500 {
		text = string(r[:500]) + "…"
	}
	return text
}

// run runs one tool with the network of the mirror, or with none.
func (w *work) run(ctx context.Context, name string, argv, env []string, network bool) error {
	return w.runTo(ctx, io.Discard, name, argv, env, network)
}

// runTo is run for a tool whose output the caller needs.
func (w *work) runTo(ctx context.Context, out io.Writer, name string, argv, env []string, network bool) error {
	if len(argv) == 0 || !filepath.IsAbs(argv[0]) {
		return fmt.Errorf("cannot install: no program is known for %s", name)
	}
	dir := w.stage.Dir
	job := Job{Name: name, For: w.ref.String(), Argv: argv, Dir: dir, Reads: slices.Clone(w.in.Tools.Reads), Stdout: out}
	job.Env = append([]string{"PATH=" + w.in.Tools.Path, "HOME=" + filepath.Join(dir, "home"), "TMPDIR=" + filepath.Join(dir, "tmp"),
		"LANG=C.UTF-8", "NO_COLOR=1", "CI=1"}, env...)
	if network {
		job.Network = w.mirror.Hosts()
	}
	var words tail
	job.Stderr = &words
	limit := w.in.Limits.Filled().Tool
	ctx, stop := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s did not end within %s", name, limit))
	defer stop()
	err := w.in.Run(ctx, job)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("cannot install: %w", context.Cause(ctx))
	}
	if err != nil {
		// The tool knows the registry by the mirror's address, which means nothing to a
		// person.
		said := bytes.ReplaceAll(words.buf, []byte(w.mirror.Base()), []byte(w.reg.Origin()))
		w.words = bytes.ReplaceAll(said, []byte(dir+"/"), nil)
		err = errTool(name, err, said)
		if held := w.mirror.WithheldNote(words.buf); held != "" {
			err = pack.Refuse("%w (%s)", err, held)
		}
	}
	return w.mirror.Verdict(err)
}

// read reads a file that a job wrote, as long as it is one and is not too large.
func (w *work) read(name string, limit int64) ([]byte, error) {
	info, err := w.root.Lstat(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read what the job left: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("cannot read what the job left: %q is no file of at most %d bytes", name, limit)
	}
	return w.root.ReadFile(name)
}
