package pack

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
)

// work is one install under way.
type work struct {
	in    *Installer
	stage *Stage
	root  *os.Root // of stage.Dir: what a job left there cannot lead out of it
	proxy *proxy
	lock  *Lock
	ref   Ref
	// choosing: the lock is being made, and not followed.
	choosing bool
}

// begin prepares an install of what a lock lists, in a stage. The caller calls end.
func (in *Installer) begin(stage *Stage, l *Lock, before time.Time) (w *work, end func(), err error) {
	ref, err := l.Ref()
	if err != nil {
		return nil, nil, err
	}
	reg := in.NPM
	if ref.Ecosystem == PyPI {
		reg = in.PyPI
	}
	root, err := os.OpenRoot(stage.Dir)
	if err != nil {
		return nil, nil, err
	}
	proxy, err := startProxy(ref.Ecosystem, reg, in.Limits, before, filepath.Join(stage.base, "fetched"))
	if err != nil {
		root.Close()
		return nil, nil, err
	}
	end = func() {
		proxy.close()
		root.Close()
	}
	return &work{in: in, stage: stage, root: root, proxy: proxy, lock: l, ref: ref}, end, nil
}

// inStage installs what the lock lists, once choose has filled that in; with no
// choose the lock is whole.
func (in *Installer) inStage(ctx context.Context, l *Lock, before time.Time, choose func(*work) error) (*Tree, error) {
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
	w.choosing = choose != nil
	for _, dir := range []string{"home", "cache", "tmp", "tree"} {
		if err := w.root.Mkdir(dir, 0o700); err != nil {
			return nil, fmt.Errorf("cannot stage: %w", err)
		}
	}
	if choose != nil {
		if err := choose(w); err != nil {
			return nil, err
		}
	}
	if in.Vet != nil {
		if err := in.Vet(*l); err != nil {
			return nil, err
		}
	}
	youngest, err := w.confirmed(ctx)
	if err != nil {
		return nil, w.proxy.verdict(err)
	}
	if !w.choosing {
		return w.fetch(ctx, stage, youngest)
	}
	tree, release, err := w.made(ctx)
	if err != nil {
		return nil, err
	}
	if tree != nil {
		release("")
		return tree, nil
	}
	if tree, err = w.fetch(ctx, stage, youngest); err != nil {
		release("")
		return nil, err
	}
	release(tree.Hash)
	return tree, nil
}

// fetch has the package manager install what the lock lists, and puts it into the
// store.
func (w *work) fetch(ctx context.Context, stage *Stage, youngest time.Time) (*Tree, error) {
	in, l := w.in, w.lock
	fetch := w.installNPM
	if w.ref.Ecosystem == PyPI {
		fetch = w.installPyPI
	}
	if err := fetch(ctx); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	in.say("store", "%s", l.Package)
	return in.Store.add(stage, "tree", l.Trees[in.platform(*l)], youngest)
}

// choose has a tool work out all that a release needs.
func (w *work) choose(ctx context.Context, rel Release) error {
	w.in.say("dependencies", "%s", rel.Ref)
	if w.ref.Ecosystem == PyPI {
		return w.choosePyPI(ctx)
	}
	return w.chooseNPM(ctx)
}

// errTool is the error of a tool, with what it says is missing, in one line.
func errTool(name string, err error, words []byte) error {
	text := gist(printable(string(words)))
	if text == "" {
		return fmt.Errorf("cannot install: %s failed: %w", name, err)
	}
	return fmt.Errorf("cannot install: %s failed: %w: %s", name, err, text)
}

// gist is what matters of a package manager's last words: the lines that are
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

// printable keeps what a tool says in lines of a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r >= ' ' && r != 0x7f && !(r >= 0x80 && r < 0xa0) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, "?"))
}

// run runs one tool with the network of the proxy, or with none.
func (w *work) run(ctx context.Context, name string, argv, env []string, network bool) error {
	return w.runTo(ctx, io.Discard, name, argv, env, network)
}

// runTo is run for a tool whose output is wanted.
func (w *work) runTo(ctx context.Context, out io.Writer, name string, argv, env []string, network bool) error {
	if len(argv) == 0 || !filepath.IsAbs(argv[0]) {
		return fmt.Errorf("cannot install: no program is known for %s", name)
	}
	dir := w.stage.Dir
	job := Job{Name: name, Argv: argv, Dir: dir, Reads: slices.Clone(w.in.Tools.Reads), Stdout: out}
	job.Env = append([]string{"PATH=" + w.in.Tools.Path, "HOME=" + filepath.Join(dir, "home"), "TMPDIR=" + filepath.Join(dir, "tmp"),
		"LANG=C.UTF-8", "NO_COLOR=1", "CI=1"}, env...)
	if network {
		job.Network = w.proxy.hosts()
	}
	var words tail
	job.Stderr = &words
	err := w.in.Run(ctx, job)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("cannot install: %w", context.Cause(ctx))
	}
	if err != nil {
		// The tool knows the registry by the proxy's address, which tells nobody anything.
		said := bytes.ReplaceAll(words.buf, []byte(w.proxy.base()), []byte(w.proxy.reg.Origin()))
		err = errTool(name, err, said)
		if held := w.proxy.withheldNote(words.buf); held != "" {
			err = refuse("%w (%s)", err, held)
		}
	}
	return w.proxy.verdict(err)
}

// withheldNote says which versions a tool could not see for their age, of those
// packages that it complains about.
func (p *proxy) withheldNote(words []byte) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range sortedKeys(p.withheld) {
		if strings.Contains(string(words), name) {
			return fmt.Sprintf("%s of %s is younger than install.min-age and was withheld", strings.Join(p.withheld[name], ", "), name)
		}
	}
	return ""
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
