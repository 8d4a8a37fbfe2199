package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/clients"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

// wrapFlags are those of wrap, unwrap and clients.
func wrapFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringSliceFlag{Name: "client", Usage: "only the files of the client `NAME`; may be repeated"},
		&cli.StringSliceFlag{Name: "server", Usage: "only the server `NAME`; may be repeated"},
		&cli.BoolFlag{Name: "project", Usage: "the files of the repository in which mcpen was started, too: they are everybody's who works on it"},
		&cli.BoolFlag{Name: "json", Usage: "print JSON"},
	}, more...)
}

// changeFlags are those of wrap and unwrap.
func changeFlags(more ...cli.Flag) []cli.Flag {
	return wrapFlags(append([]cli.Flag{
		&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
		&cli.BoolFlag{Name: "dry-run", Usage: "print what would change as a diff, and change nothing"},
	}, more...)...)
}

func (a *app) wrapCommand() *cli.Command {
	return &cli.Command{
		Name: "wrap", Usage: "put the servers of your clients into their pens", ArgsUsage: "[PATH…]",
		Description: "Finds the servers in the configurations of MCP clients, shows what each would be able to\n" +
			"do, asks, installs what is a package, and puts mcpen in front of their commands. Nothing\n" +
			"else of a file changes, and unwrap gives the same bytes back. PATH is one file, or the\n" +
			"folder of a repository, instead of your own files.\n\n" +
			"What is proposed is one of\n" +
			"  library  there is a profile for the package\n" +
			"  lock     the package is given nothing, and nothing says that it needs anything\n" +
			"  try      nobody knows what it needs: mcpen try looks. --all wraps it all the same,\n" +
			"           with no file and no host\n\n" +
			"Clients: " + strings.Join(clients.Names(), ", ") + ".",
		Flags: changeFlags(
			&cli.BoolFlag{Name: "all", Usage: "also the servers of which nobody knows what they need"},
			&cli.StringFlag{Name: "secrets", Value: keepSecrets, Usage: "`WHERE` the secrets of the entries are kept: in the file (keep), or in your keyring\n\t(keyring), from where unwrap gives them back"},
			&cli.BoolFlag{Name: "no-install", Usage: "install nothing: the first start of a package does"},
			setFlag(),
		),
		Action: func(c *cli.Context) error { return a.wrap(c) },
	}
}

// target holds the files of a command, and those that it could not read.
type target struct {
	at       user.Dirs
	places   []clients.Place
	servers  []string // --server
	json     bool
	problems []problem
	told     int // of the problems
}

// problem is a file or an entry that is left alone, and why.
type problem struct {
	Client string `json:"client"`
	File   string `json:"file"`
	Server string `json:"server,omitempty"`
	Error  string `json:"error"`
}

func (t *target) note(p clients.Place, server string, err error) {
	t.problems = append(t.problems, problem{p.Client.Name, p.Path, server, err.Error()})
}

// err is the error of a command that did the rest.
func (t *target) err() error {
	if len(t.problems) == 0 {
		return nil
	}
	return &launch.Error{Code: 1, Err: fmt.Errorf("%s left as it is", plural(len(t.problems), "file or server was", "files or servers were"))}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// files finds the files that a command line means.
func (a *app) files(c *cli.Context, at user.Dirs) (*target, error) {
	t := &target{at: at, servers: c.StringSlice("server"), json: c.Bool("json")}
	names := c.StringSlice("client")
	for _, n := range names {
		if _, err := clients.Named(n); err != nil {
			return nil, usage("mcpen "+c.Command.Name+" --client "+nearest(n, clients.Names()), "%v", err)
		}
	}
	roots := a.roots(at)
	if c.Bool("project") {
		roots.Project = at.Cwd
	}
	if c.NArg() == 0 {
		t.places = clients.Places(roots, names)
		return t, nil
	}
	for _, path := range c.Args().Slice() {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			hint := "mcpen clients"
			if !strings.ContainsAny(path, "/.") {
				hint = "mcpen " + c.Command.Name + " --server " + audit.Command(path)
			}
			return nil, usage(hint, "cannot look at %q: %v", path, errors.Unwrap(err))
		case info.IsDir():
			t.places = append(t.places, clients.Places(clients.Roots{Project: server.AbsolutePath(at, path)}, names)...)
		default:
			p, err := clients.At(path)
			if err != nil {
				return nil, usage("mcpen clients", "%v", err)
			}
			t.places = append(t.places, p)
		}
	}
	return t, nil
}

// roots are where the clients of this environment look.
func (a *app) roots(at user.Dirs) clients.Roots {
	config := user.Absolute(a.Getenv("XDG_CONFIG_HOME"))
	if config == "" && at.Home != "" {
		config = filepath.Join(at.Home, ".config")
	}
	if own := host.PasswdHome(passwd, os.Getuid()); own != "" && own != at.Home {
		fmt.Fprintf(a.Err, "mcpen: note: HOME is %s, and your account's home is %s: clients' files are looked for in the first\n", audit.Visible(at.Home), audit.Visible(own))
	}
	return clients.Roots{Home: at.Home, Config: config, Env: a.Getenv}
}

// nearest is the name that was meant, or NAME where none is like it.
func nearest(name string, names []string) string {
	for _, n := range names {
		if name != "" && (strings.Contains(n, name) || strings.Contains(name, n)) || policy.DidYouMean(name, []string{n}) != "" {
			return n
		}
	}
	return "NAME"
}

// wants reports whether a server was asked for.
func (t *target) wants(server string) bool {
	return len(t.servers) == 0 || slices.Contains(t.servers, server)
}

// proposals returns wrap's proposals for every server.
func (a *app) proposals(t *target, params map[string][]string) []proposal {
	var out []proposal
	for _, p := range t.places {
		entries, err := p.Servers()
		if err != nil {
			t.note(p, "", err)
			continue
		}
		for _, e := range entries {
			if t.wants(e.Server) {
				out = append(out, a.propose(t.at, p, e, params, slices.Contains(t.servers, e.Server)))
			}
		}
	}
	return out
}

func (a *app) wrap(c *cli.Context) error {
	at, err := a.DirsToRun()
	if err != nil {
		return err
	}
	t, err := a.files(c, at)
	if err != nil {
		return err
	}
	params, err := parameters(c.StringSlice("set"))
	if err != nil {
		return err
	}
	if len(params) > 0 && len(t.servers) == 0 {
		return usage("mcpen wrap --server NAME --set name=value", "--set needs --server: parameters are those of one server's profile")
	}
	mcpen, err := a.self()
	if err != nil {
		return err
	}
	where := c.String("secrets")
	if where != keepSecrets && where != keyringSecrets {
		return usage("mcpen wrap --secrets keyring", "--secrets is %q: it is neither keep nor keyring", where)
	}
	all := a.proposals(t, params)
	w := wrapping{keyring: where == keyringSecrets, app: a, target: t, mcpen: mcpen, all: all, every: c.Bool("all"), install: !c.Bool("no-install"), set: params}
	w.noteMoves()
	switch {
	case c.Bool("dry-run"):
		return w.diff()
	case t.json && !c.Bool("yes"):
		return w.json()
	}
	if !t.json {
		w.table()
	}
	if w.count() == 0 {
		return w.nothing()
	}
	if !c.Bool("yes") {
		switch agreed, err := a.agreedTo(w.question(), "mcpen wrap --yes"); {
		case err != nil:
			return err
		case !agreed:
			return nil
		}
	}
	return w.do(c.Context)
}

// question is the question to a person.
func (w *wrapping) question() string {
	moving := 0
	for _, p := range w.all {
		if p.inside && w.chosen(p) {
			moving++
		}
	}
	var parts []string
	if n := w.count() - moving; n > 0 {
		parts = append(parts, fmt.Sprintf("put %s into %s", plural(n, "server", "servers"), plural1(n, "its pen", "their pens")))
	}
	if moving > 0 {
		parts = append(parts, "move the secrets of "+plural(moving, "wrapped server", "wrapped servers")+" into the keyring")
	}
	return strings.Join(parts, ", and ") + "?"
}

func plural1(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// agreedTo asks a person at a terminal; elsewhere it is an error with the flag to use.
func (a *app) agreedTo(question, hint string) (bool, error) {
	if !a.Terminal(a.in) {
		return false, usage(hint, "nothing was changed: there is nobody to ask")
	}
	if !a.yes(question) {
		fmt.Fprintln(a.out, "nothing was changed")
		return false, nil
	}
	return true, nil
}

// self is the path under which this mcpen is started: the one on PATH where that is this
// very file, so that a link which an update moves stays one.
func (a *app) self() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("cannot tell where this mcpen is: %w", err)
	}
	is, err := os.Stat(own)
	if err != nil {
		return "", fmt.Errorf("cannot tell where this mcpen is: %w", err)
	}
	for _, name := range []string{a.args[0], "mcpen"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if path, err = filepath.Abs(path); err != nil || filepath.Base(path) != "mcpen" {
			continue
		}
		if there, err := os.Stat(path); err == nil && os.SameFile(is, there) {
			return path, nil
		}
	}
	if filepath.Base(own) != "mcpen" {
		return "", usage("make install", "cannot be started by a client as %q: clients' files are read again by the name mcpen", own)
	}
	return own, nil
}

// wrapping is one "mcpen wrap".
type wrapping struct {
	app     *app
	target  *target
	mcpen   string
	all     []proposal
	every   bool // --all
	install bool
	keyring bool // --secrets keyring
	set     map[string][]string
	done    []proposal
}

// chosen reports whether to carry out a proposal. It leaves out a server that would not
// start, unless the person named it.
func (w *wrapping) chosen(p proposal) bool {
	if p.inside {
		return w.keyring && p.place.Refused() == nil
	}
	named := len(w.target.servers) > 0 && p.kind != "" && p.kind != byTrial
	return p.place.Refused() == nil && (p.wrapped(w.every) || named && len(w.set) == 0 && p.policy.Name != "" && !strings.Contains(p.needs, "the profile sets"))
}

func (w *wrapping) count() (n int) {
	for _, p := range w.all {
		if w.chosen(p) {
			n++
		}
	}
	return n
}

// table shows every server that was found.
func (w *wrapping) table() {
	room := columns(w.app.out)
	g := grid{rows: [][]string{{"CLIENT", "SERVER", "COMMAND", "PROFILE", "CAN"}}, give: []give{{2, 20}, {4, 24}, {1, 12}, {3, 7}, {2, 8}, {4, 8}}, middle: 2}
	for _, p := range w.all {
		can := p.can
		if p.needs != "" && p.kind == byLibrary {
			can = "needs: " + p.needs
		}
		command := p.entry.Inner()
		g.rows = append(g.rows, []string{clientTitle(p.place), audit.Visible(entryName(w.target.at, p.entry)), audit.Visible(strings.Join(audit.RedactArgs(command), " ")), p.label(room == 0 || room >= 120), audit.Visible(can)})
	}
	if len(g.rows) > 1 {
		g.write(w.app.out, room)
	}
	w.said()
}

// entryName is the name of a server in a table.
func entryName(at user.Dirs, e clients.Entry) string {
	if e.Scope != "" {
		return e.Server + " in " + tilde(at, e.Scope)
	}
	return e.Server
}

// clientTitle is the name of a client's file in a table.
func clientTitle(p clients.Place) string {
	switch {
	case p.Pack != "":
		return p.Client.Name + " (" + p.Pack + ")"
	case p.Scope == clients.Project:
		return p.Client.Name + " (project)"
	case p.Scope == clients.Machine:
		return p.Client.Name + " (machine)"
	}
	return p.Client.Name
}

// said reports the things that do not fit into a table.
func (w *wrapping) said() {
	a := w.app
	var refused []string
	for _, p := range w.all {
		if err := p.place.Refused(); err != nil && !slices.Contains(refused, p.place.Path) {
			refused = append(refused, p.place.Path)
			fmt.Fprintf(a.Err, "mcpen: note: %s is left as it is: %v\n", audit.Visible(p.place.Path), err)
		}
		if p.kind != "" && len(p.notes) > 0 {
			fmt.Fprintf(a.Err, "mcpen: note: %s: %s\n", audit.Visible(p.entry.Key()), audit.Visible(strings.Join(p.notes, "; ")))
		}
		if p.hint != "" && !w.chosen(p) {
			launch.Say(a.Err, "hint", audit.Visible(p.hint))
		}
	}
	for _, p := range w.target.places {
		if p.Scope == clients.Project && slices.ContainsFunc(w.all, func(o proposal) bool { return o.place.Path == p.Path && w.chosen(o) }) {
			fmt.Fprintf(a.Err, "mcpen: note: %s is everybody's who works on the project: all of them will need mcpen\n", audit.Visible(p.Path))
		}
	}
	a.tellProblems(w.target)
}

// tellProblems names the files that are left alone, each once.
func (a *app) tellProblems(t *target) {
	from := min(t.told, len(t.problems))
	t.told = len(t.problems)
	for _, p := range t.problems[from:] {
		name := p.File
		if p.Server != "" {
			name += ": " + p.Server
		}
		launch.Say(a.Err, "error", audit.Visible(fmt.Sprintf("%s is left as it is: %s", name, p.Error)))
	}
}

// nothing is the end of a wrap that had nothing to do.
func (w *wrapping) nothing() error {
	switch {
	case w.target.json:
		return w.json()
	case len(w.all) == 0 && len(w.target.problems) == 0:
		fmt.Fprintln(w.app.out, "no servers were found: no client that mcpen knows has any")
	default:
		fmt.Fprintln(w.app.out, "nothing was changed: there is nothing to wrap")
		if slices.ContainsFunc(w.all, func(p proposal) bool { return p.kind == byTrial && p.wrapped(true) }) {
			launch.Say(w.app.Err, "hint", "mcpen wrap --all   # closes in those as well of which nobody knows what they need: no file, no host")
		}
	}
	return w.target.err()
}

// words returns wrap's words for the servers of a file.
func (w *wrapping) words(place clients.Place) clients.Words {
	return func(e clients.Entry) ([]string, bool) {
		i := slices.IndexFunc(w.all, func(p proposal) bool {
			return p.place.Path == place.Path && p.entry.Key() == e.Key() && slices.Equal(p.entry.Command, e.Command)
		})
		if i < 0 || !w.chosen(w.all[i]) {
			return nil, false
		}
		return w.all[i].words, true
	}
}

// starter is mcpen's word in a file: a path, or the name alone if others use the file
// as well.
func (w *wrapping) starter(p clients.Place) string {
	if p.Scope == clients.Project {
		return "mcpen"
	}
	return w.mcpen
}

// diff prints the changes to make.
func (w *wrapping) diff() error {
	for _, p := range w.target.places {
		if p.Refused() != nil {
			continue
		}
		change, err := p.Wrap(w.starter(p), w.words(p), w.moves(p))
		if err != nil {
			continue // it was noted when it was read
		}
		fmt.Fprint(w.app.out, masked(change).Diff())
		for _, l := range change.Left {
			w.target.note(p, l.Key(), l.Err)
		}
	}
	w.app.tellProblems(w.target)
	return w.target.err()
}

// do installs and writes.
func (w *wrapping) do(ctx context.Context) error {
	if w.install {
		if err := w.prepare(ctx); err != nil {
			return err
		}
	}
	for _, p := range w.target.places {
		if slices.ContainsFunc(w.all, func(o proposal) bool { return o.place.Path == p.Path && w.chosen(o) }) {
			w.apply(p)
		}
	}
	if err := remember(w.target.at, w.target.places); err != nil {
		w.app.Warn("what is wrapped was not remembered: %v", err)
	}
	if w.target.json {
		return w.json()
	}
	w.app.tellProblems(w.target)
	return w.target.err()
}

// prepare installs the packages, so that the first start of each is an instant one. A
// server whose package cannot be installed is left as it is.
func (w *wrapping) prepare(ctx context.Context) error {
	for i := range w.all {
		p := &w.all[i]
		if !w.chosen(*p) || p.inside {
			continue
		}
		ch := p.choice
		ch.Look = false
		_, tree, err := w.app.Program(ctx, ch, w.target.at, p.policy)
		if tree != nil {
			tree.Close()
		}
		if ctx.Err() != nil {
			return locked.Explained(ctx, ctx.Err())
		}
		if err != nil {
			p.kind, p.needs = "", err.Error()
			w.target.note(p.place, p.entry.Key(), err)
		}
	}
	return nil
}

// apply writes one file, and tells of it.
func (w *wrapping) apply(p clients.Place) {
	a := w.app
	change, err := clients.Apply(p, func() (clients.Change, error) {
		change, err := p.Wrap(w.starter(p), w.words(p), w.moves(p))
		if err == nil {
			err = keep(change.Moved)
		}
		return change, err
	})
	a.tellChange(w.target, p, change, err)
	if err != nil {
		a.dropMoved(change.Moved)
		return
	}
	for i := range w.all {
		if o := w.all[i]; slices.ContainsFunc(change.Done, func(e clients.Entry) bool { return o.place.Path == p.Path && o.entry.Key() == e.Key() }) {
			w.done = append(w.done, o)
		}
	}
	if w.target.json {
		return
	}
	for _, inside := range []bool{false, true} {
		done := slices.DeleteFunc(slices.Clone(change.Done), func(e clients.Entry) bool { return (e.State == clients.Wrapped) != inside })
		if len(done) > 0 {
			fmt.Fprintf(a.out, "%s %s in %s\n", map[bool]string{false: "wrapped", true: "moved the secrets of"}[inside], audit.Visible(keys(done)), audit.Visible(tilde(w.target.at, p.Path)))
		}
	}
}

// keys are the names of entries in a sentence.
func keys(entries []clients.Entry) string {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Key()
	}
	return strings.Join(names, ", ")
}

// tellChange reports the change of a file, or the reason why there is none.
func (a *app) tellChange(t *target, p clients.Place, change clients.Change, err error) {
	for _, l := range change.Left {
		t.note(p, l.Key(), l.Err)
	}
	for _, k := range change.Kept {
		a.Warn("%s may be an edit of somebody else's, of the moment at which an mcpen was killed: compare it with %s", audit.Visible(k), audit.Visible(p.Path))
	}
	if err != nil {
		t.note(p, "", err)
		return
	}
	if len(change.Done) == 0 {
		return
	}
	open := change.Open
	for _, r := range p.Client.Running() {
		if !slices.Contains(open, r) {
			open = append(open, r)
		}
	}
	if len(open) > 0 {
		a.Warn("%s runs, and may write its file anew from memory: end it and start it again: %s", p.Client.Title, audit.Visible(clients.List(open)))
	}
}

// wrapJSON is wrap's output for a program.
type wrapJSON struct {
	Client  string   `json:"client"`
	File    string   `json:"file"`
	Scope   string   `json:"scope"`
	Project string   `json:"project,omitempty"` // of Claude Code's local servers
	Server  string   `json:"server"`
	State   string   `json:"state"`
	Why     string   `json:"why,omitempty"`
	Command []string `json:"command,omitempty"`
	Options []string `json:"options,omitempty"` // of a wrapped server
	Propose string   `json:"propose,omitempty"`
	Profile string   `json:"profile,omitempty"`
	Can     string   `json:"can,omitempty"`
	Words   []string `json:"words,omitempty"`
	Needs   string   `json:"needs,omitempty"`
	Notes   []string `json:"notes,omitempty"`
	Wrapped bool     `json:"wrapped"` // by this run
}

func (w *wrapping) json() error {
	out := struct {
		Servers  []wrapJSON `json:"servers"`
		Problems []problem  `json:"problems"`
	}{[]wrapJSON{}, []problem{}}
	for _, p := range w.all {
		e := p.entry
		j := wrapJSON{Client: p.place.Client.Name, File: p.place.Path, Scope: string(p.place.Scope), Project: e.Scope, Server: e.Server,
			State: string(e.State), Why: e.Why, Command: audit.RedactArgs(e.Inner()), Options: e.Options(), Propose: p.kind, Profile: p.profile, Words: p.words, Needs: p.needs, Notes: p.notes}
		if p.kind != "" {
			j.Can = p.can
		}
		j.Wrapped = !p.inside && slices.ContainsFunc(w.done, func(o proposal) bool { return o.place.Path == p.place.Path && o.entry.Key() == e.Key() })
		out.Servers = append(out.Servers, j)
	}
	out.Problems = append(out.Problems, w.target.problems...)
	if err := writeJSON(w.app.out, out); err != nil {
		return err
	}
	return w.target.err()
}

func writeJSON(f *os.File, v any) error {
	enc := json.NewEncoder(f)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
