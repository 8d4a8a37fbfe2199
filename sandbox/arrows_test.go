package sandbox_test

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// arrows lists all that one package of this module may know of another, and why. An
// arrow that is missing here is not allowed: the waist is plan, inputs and mechanisms
// depend on its types and never on each other, and only sandbox joins them.
var arrows = []struct{ from, to, why string }{
	{"sandbox/policy", "sandbox/audit", "a grant is written into the text of a profile; it is a leaf"},
	{"sandbox/policy", "sandbox/internal/lazy", "patterns are compiled when a profile is read"},
	{"sandbox/policy", "sandbox/internal/tomlindex", "a mistake stands at a line; it is a leaf and pure"},
	{"sandbox/policy", "sandbox/internal/schema", "a profile's words of JSON Schema are checked where they stand; it is a leaf and pure"},
	{"sandbox/plan", "sandbox/policy", "the waist: policies become plans"},
	{"sandbox/plan", "sandbox/audit", "what would mend a problem is a grant, as in an event; it is a leaf"},

	{"sandbox/host", "sandbox/plan", "answers as the facts that Compile asks for"},
	{"sandbox/program", "sandbox/host", "which paths this machine has"},
	{"sandbox/program", "sandbox/internal/lazy", "patterns are compiled when a program is searched for"},
	{"sandbox/program", "sandbox/plan", "answers with the Program that Compile takes"},
	{"sandbox/pack", "sandbox/audit", "strangers' words are made visible before they stand in lines"},
	{"sandbox/pack", "sandbox/internal/lazy", "patterns are compiled when a package is looked at"},
	{"sandbox/pack", "sandbox/lockfile", "a lock file has two owners; where they meet is a leaf"},
	{"sandbox/pack/archive", "sandbox/pack", "limits, and the names of wheels"},
	{"sandbox/pack/store", "sandbox/pack", "limits and hashes of trees"},
	{"sandbox/pack/registry", "sandbox/internal/configparser", "reads pip.conf; it is a leaf and pure"},
	{"sandbox/pack/registry", "sandbox/internal/lazy", "patterns are compiled when a package is looked at"},
	{"sandbox/pack/registry", "sandbox/pack", "is asked for a reference, and held against a lock"},
	{"sandbox/pack/mirror", "sandbox/pack", "limits, and the names that a job may ask for"},
	{"sandbox/pack/mirror", "sandbox/pack/archive", "looks at what it gives out"},
	{"sandbox/pack/mirror", "sandbox/pack/registry", "asks the registry behind it"},
	{"sandbox/pack/mirror", "sandbox/policy", "the one host that a job is let to"},
	{"sandbox/pack/install", "sandbox/internal/configparser", "reads entry_points.txt; it is a leaf and pure"},
	{"sandbox/pack/install", "sandbox/internal/lazy", "patterns are compiled when a package is looked at"},
	{"sandbox/pack/install", "sandbox/pack", "writes and follows locks"},
	{"sandbox/pack/install", "sandbox/pack/archive", "where the files of a wheel come to lie"},
	{"sandbox/pack/install", "sandbox/pack/mirror", "is all that an install job sees of the registry"},
	{"sandbox/pack/install", "sandbox/pack/registry", "which version is chosen"},
	{"sandbox/pack/install", "sandbox/pack/store", "puts trees into the store"},
	{"sandbox/pack/install", "sandbox/plan", "a package becomes a Program"},
	{"sandbox/pack/install", "sandbox/policy", "the hosts of a job"},
	{"sandbox/pack/advisory", "sandbox/audit", "strangers' words are made visible before they stand in lines"},
	{"sandbox/pack/advisory", "sandbox/pack", "what is held against advisories is a lock"},

	{"sandbox/definition", "sandbox/internal/rpc", "reads the members of an object"},
	{"sandbox/definition", "sandbox/policy", "what a server was given, which its definitions may hold"},
	{"sandbox/finding", "sandbox/audit", "strangers' words are made visible before they stand in sentences"},
	{"sandbox/finding", "sandbox/definition", "the kinds of definitions, and which characters nobody sees"},
	{"sandbox/finding", "sandbox/internal/rpc", "walks through the texts of an object"},
	{"sandbox/guard", "sandbox/audit", "tells what it refused"},
	{"sandbox/guard", "sandbox/definition", "holds what a server says against what was approved"},
	{"sandbox/guard", "sandbox/finding", "has definitions looked through"},
	{"sandbox/guard", "sandbox/internal/rpc", "reads lines"},
	{"sandbox/guard", "sandbox/internal/schema", "arguments must meet the schemas of rules and tools"},
	{"sandbox/guard", "sandbox/plan", "is told by plan.Tools"},
	{"sandbox/guard", "sandbox/policy", "the filters in plan.Tools are the policy's"},
	{"sandbox/guard", "sandbox/internal/flight", "owns the requests in flight"},
	{"sandbox/internal/flight", "sandbox/audit", "a request as events name it"},
	{"sandbox/internal/flight", "sandbox/internal/rpc", "when two ids are the same"},
	{"sandbox/internal/relay", "sandbox/audit", "tells which lines it refused"},
	{"sandbox/internal/relay", "sandbox/internal/rpc", "finds a line's id, to answer a refused request"},
	{"sandbox/internal/egress", "sandbox/audit", "tells what it refused"},
	{"sandbox/internal/egress", "sandbox/internal/dns", "answers the program's questions, and asks the host's name servers"},
	{"sandbox/internal/egress", "sandbox/internal/await", "its loop waits for descriptors; it is a leaf"},
	{"sandbox/internal/egress", "sandbox/internal/hello", "holds the server name of TLS against the rules"},
	{"sandbox/internal/egress", "sandbox/internal/interfaces", "dials no address of this machine"},
	{"sandbox/internal/egress", "sandbox/internal/listeners", "serves what pid 1 opened"},
	{"sandbox/internal/egress", "sandbox/internal/descriptor", "calls the kernel on its connections; it is a leaf"},
	{"sandbox/internal/listeners", "sandbox/internal/descriptor", "sets up the sockets that it opens; it is a leaf"},
	{"sandbox/internal/listeners", "sandbox/plan", "is told by plan.Network"},
	{"sandbox/internal/listeners", "sandbox/policy", "the rules in plan.Network are the policy's"},
	{"sandbox/internal/egress", "sandbox/plan", "is told by plan.Network"},
	{"sandbox/internal/egress", "sandbox/policy", "the rules in plan.Network are the policy's"},
	{"sandbox/internal/interfaces", "sandbox/policy", "the classes of addresses, and what a rule opens"},
	{"sandbox/internal/notify", "sandbox/internal/await", "waits for the calls of a server; it is a leaf"},
	{"sandbox/internal/seccomp", "sandbox/plan", "is told by plan.Seccomp"},
	{"sandbox/internal/writes", "sandbox/plan", "is told by plan.Writes, which also decides"},
	{"sandbox/internal/writes", "sandbox/internal/gitconfig", "what a repository's configuration names; it is a leaf and pure"},
	{"sandbox/host", "sandbox/internal/gitconfig", "what the user's configuration names; it is a leaf and pure"},
	{"sandbox/internal/notify", "sandbox/internal/seccomp", "answers as the filter decides; the eye has a filter of its own"},
	{"sandbox/internal/notify", "sandbox/plan", "is told by plan.Seccomp"},
	{"sandbox/internal/writes", "sandbox/internal/notify", "the filter asks it for calls, and takes its answers"},
	{"sandbox/internal/child", "sandbox/internal/writes", "pid 1 is the mediator"},
	{"sandbox/internal/child", "sandbox/plan", "the stages inside read the plan"},
	{"sandbox/internal/child", "sandbox/policy", "the names of the layers"},
	{"sandbox/internal/child", "sandbox/internal/notify", "what the mediator reports is a call"},
	{"sandbox/internal/child", "sandbox/internal/seccomp", "the last stage loads the filter"},
	{"sandbox/internal/child", "sandbox/internal/listeners", "pid 1 opens the listeners, in the sandbox's namespace"},
	{"sandbox/internal/confine", "sandbox/plan", "the ports in plan.Network"},
	{"sandbox/internal/confine", "sandbox/internal/notify", "the eye stays outside of the launcher's Landlock domain"},
	{"sandbox/internal/confine", "sandbox/internal/seccomp", "the launcher's filter is loaded last"},
	{"sandbox/internal/container", "sandbox/plan", "a plan becomes a configuration"},
	{"sandbox/internal/container", "sandbox/internal/child", "the inodes that pid 1 checks"},

	{"sandbox", "sandbox/audit", "it joins the mechanisms"},
	{"sandbox", "sandbox/definition", "it joins the mechanisms"},
	{"sandbox", "sandbox/finding", "it joins the mechanisms"},
	{"sandbox", "sandbox/guard", "it joins the mechanisms"},
	{"sandbox", "sandbox/host", "it joins the mechanisms"},
	{"sandbox", "sandbox/plan", "it joins the mechanisms"},
	{"sandbox", "sandbox/policy", "it joins the mechanisms"},
	{"sandbox", "sandbox/internal/child", "it joins the mechanisms"},
	{"sandbox", "sandbox/internal/confine", "it joins the mechanisms"},
	{"sandbox", "sandbox/internal/container", "it joins the mechanisms"},
	{"sandbox", "sandbox/internal/egress", "it joins the mechanisms"},
	{"sandbox", "sandbox/internal/listeners", "it joins the mechanisms"},
	{"sandbox", "sandbox/internal/notify", "it joins the mechanisms"},
	{"sandbox", "sandbox/internal/relay", "it joins the mechanisms"},
	{"sandbox", "sandbox/internal/rpc", "it joins the mechanisms"},
	{"sandbox", "sandbox/internal/seccomp", "it joins the mechanisms"},

	{"sandbox/trial", "sandbox", "starts the program that is tried"},
	{"sandbox/trial", "sandbox/audit", "strangers' words are made visible"},
	{"sandbox/trial", "sandbox/definition", "the kinds of definitions"},
	{"sandbox/trial", "sandbox/finding", "finds words for the model in what the program says"},
	{"sandbox/trial", "sandbox/internal/intercept", "the internet that is not real"},
	{"sandbox/trial", "sandbox/plan", "the desk is part of a plan"},

	{"sandbox/launch", "sandbox", "starts what it is ordered to"},
	{"sandbox/launch", "sandbox/audit", "writes the log of a run"},
	{"sandbox/launch", "sandbox/definition", "keeps what was seen and a person decided"},
	{"sandbox/launch", "sandbox/finding", "tells a scan of the tools of other servers"},
	{"sandbox/launch", "sandbox/program", "reports why a program was not found"},
	{"sandbox/launch", "sandbox/internal/scope", "the launcher is scoped before its Go runtime begins"},
	{"sandbox/launch", "sandbox/lockfile", "older pins are in the lock"},
	{"sandbox/launch", "sandbox/plan", "an order holds a plan"},
	{"sandbox/launch", "sandbox/policy", "the names of the layers"},
	{"sandbox/launch", "sandbox/wholefile", "pins are written whole"},

	{"sandbox/user", "sandbox/host", "asks the password database for a home"},
	{"sandbox/user", "sandbox/launch", "cgroups are asked for by the bus of the user's session"},
	{"sandbox/user", "sandbox/plan", "the proxies and variables that Compile asks for"},
	{"sandbox/user", "sandbox/program", "the variables that a search for a program asks for"},
	{"sandbox/user", "sandbox/policy", "directories as a profile's words mean them"},
	{"sandbox/origin", "profiles", "the profiles that ship are nobody else's"},
	{"sandbox/origin", "sandbox/host", "follows symlinks, and knows repositories"},
	{"sandbox/origin", "sandbox/plan", "which folders a plan gives to write"},
	{"sandbox/origin", "sandbox/policy", "how much of a file is read"},
	{"sandbox/origin", "sandbox/user", "where this user's things are"},
	{"sandbox/origin", "sandbox/wholefile", "files are read and written whole"},
	{"sandbox/catalog", "profiles", "the profiles that ship"},
	{"sandbox/catalog", "sandbox/host", "follows symlinks"},
	{"sandbox/catalog", "sandbox/launch", "knows where pins are, and how errors are told"},
	{"sandbox/catalog", "sandbox/origin", "a repository's profile does not get the name of the person's"},
	{"sandbox/catalog", "sandbox/policy", "parses profiles"},
	{"sandbox/catalog", "sandbox/user", "where this user's things are"},
	{"sandbox/catalog", "sandbox/wholefile", "files are read whole"},
	{"sandbox/trust", "profiles", "the profiles that ship run commands as they wish"},
	{"sandbox/trust", "sandbox/audit", "strangers' words are made visible"},
	{"sandbox/trust", "sandbox/catalog", "finds what lies beside a profile"},
	{"sandbox/trust", "sandbox/definition", "what a person decided is part of what they trust"},
	{"sandbox/trust", "sandbox/host", "follows symlinks"},
	{"sandbox/trust", "sandbox/launch", "reads pins, and how errors are told"},
	{"sandbox/trust", "sandbox/lockfile", "a lock without its pins is part of what a person trusts"},
	{"sandbox/trust", "sandbox/origin", "only a file of another author needs trust"},
	{"sandbox/trust", "sandbox/policy", "the words of a profile"},
	{"sandbox/trust", "sandbox/user", "where this user's things are"},
	{"sandbox/trust", "sandbox/wholefile", "files are read and written whole"},

	{"sandbox/locked", "sandbox", "an install runs in a sandbox"},
	{"sandbox/locked", "sandbox/audit", "strangers' words are made visible"},
	{"sandbox/locked", "sandbox/catalog", "finds the profile that a lock lies beside, and its rules"},
	{"sandbox/locked", "sandbox/host", "asks this machine what Compile asks for"},
	{"sandbox/locked", "sandbox/launch", "writes the log of an install, and how errors are told"},
	{"sandbox/locked", "sandbox/lockfile", "how large a lock may be"},
	{"sandbox/locked", "sandbox/origin", "what others could have made gives an install nothing"},
	{"sandbox/locked", "sandbox/pack", "what a lock holds"},
	{"sandbox/locked", "sandbox/pack/advisory", "refuses packages that are known to be malicious"},
	{"sandbox/locked", "sandbox/pack/install", "installs packages"},
	{"sandbox/locked", "sandbox/pack/registry", "has the configuration of registries read"},
	{"sandbox/locked", "sandbox/pack/store", "opens what is installed"},
	{"sandbox/locked", "sandbox/plan", "compiles the plan of an install"},
	{"sandbox/locked", "sandbox/policy", "the rules of installs"},
	{"sandbox/locked", "sandbox/program", "finds interpreters and installers"},
	{"sandbox/locked", "sandbox/user", "who asks, and where their things are"},
	{"sandbox/locked", "sandbox/wholefile", "locks are read and written whole"},

	{"sandbox/server", "profiles", "the profiles that ship"},
	{"sandbox/server", "sandbox/audit", "strangers' words are made visible"},
	{"sandbox/server", "sandbox/catalog", "finds profiles and what lies beside them"},
	{"sandbox/server", "sandbox/host", "asks this machine what Compile asks for"},
	{"sandbox/server", "sandbox/launch", "fills in orders, and knows where pins are"},
	{"sandbox/server", "sandbox/locked", "opens packages under their locks"},
	{"sandbox/server", "sandbox/origin", "what others could have made names no program and no certificate"},
	{"sandbox/server", "sandbox/pack", "which package a word means, and what its lock holds"},
	{"sandbox/server", "sandbox/pack/store", "opens what is installed"},
	{"sandbox/server", "sandbox/plan", "compiles"},
	{"sandbox/server", "sandbox/policy", "parses and resolves profiles"},
	{"sandbox/server", "sandbox/program", "finds the program of a command"},
	{"sandbox/server", "sandbox/trust", "starts nothing that is not trusted"},
	{"sandbox/server", "sandbox/user", "who asks, and where their things are"},
	{"sandbox/server", "sandbox/wholefile", "files are read and written whole"},

	{"sandbox/explain", "sandbox/audit", "strangers' words are made visible"},
	{"sandbox/explain", "sandbox/catalog", "a foreign profile that has a name of the person's"},
	{"sandbox/explain", "sandbox/launch", "says what a layer that is left out means, as a start does"},
	{"sandbox/explain", "sandbox/locked", "which packages a lock installs"},
	{"sandbox/explain", "sandbox/origin", "which project a profile is from"},
	{"sandbox/explain", "sandbox/plan", "what it explains"},
	{"sandbox/explain", "sandbox/policy", "the words of a plan that are a profile's"},
	{"sandbox/explain", "sandbox/trust", "what a person is asked to trust"},
	{"sandbox/explain", "sandbox/user", "where this user's things are"},
	{"sandbox/explain", "sandbox/wholefile", "client files are read whole"},

	{"sandbox/interview", "sandbox", "starts the server that is asked"},
	{"sandbox/interview", "sandbox/audit", "strangers' words are made visible"},
	{"sandbox/interview", "sandbox/definition", "the kinds of definitions, and when two differ"},
	{"sandbox/interview", "sandbox/finding", "finds words for the model in what a server says"},
	{"sandbox/interview", "sandbox/launch", "writes the log of the run"},
	{"sandbox/interview", "sandbox/plan", "starts a plan"},
	{"sandbox/interview", "sandbox/policy", "what a server was given, which its definitions may hold"},
	{"sandbox/subject", "profiles", "the profiles that ship"},
	{"sandbox/subject", "sandbox/audit", "strangers' words are made visible"},
	{"sandbox/subject", "sandbox/catalog", "finds profiles"},
	{"sandbox/subject", "sandbox/host", "asks this machine what Compile asks for"},
	{"sandbox/subject", "sandbox/launch", "tells mistakes"},
	{"sandbox/subject", "sandbox/locked", "installs a package under a lock of the trial's own"},
	{"sandbox/subject", "sandbox/pack", "which package a word means, and what its lock holds"},
	{"sandbox/subject", "sandbox/pack/install", "resolves and installs"},
	{"sandbox/subject", "sandbox/pack/store", "opens what is installed"},
	{"sandbox/subject", "sandbox/plan", "compiles"},
	{"sandbox/subject", "sandbox/policy", "the closed profile, and the hosts of --net"},
	{"sandbox/subject", "sandbox/program", "finds the program of a bundle"},
	{"sandbox/subject", "sandbox/server", "what a word on the command line means"},
	{"sandbox/subject", "sandbox/trial", "holds the trial"},
	{"sandbox/subject", "sandbox/user", "who asks, and where their things are"},
	{"sandbox/subject", "sandbox/wholefile", "files are read and written whole"},
	{"sandbox/draft", "profiles", "the profiles that ship"},
	{"sandbox/draft", "sandbox/audit", "strangers' words are made visible"},
	{"sandbox/draft", "sandbox/launch", "tells mistakes"},
	{"sandbox/draft", "sandbox/pack", "which package a word means, and what its lock holds"},
	{"sandbox/draft", "sandbox/server", "what a word on the command line means"},
	{"sandbox/addition", "profiles", "the profiles that ship"},
	{"sandbox/addition", "sandbox/audit", "strangers' words are made visible"},
	{"sandbox/addition", "sandbox/catalog", "finds profiles"},
	{"sandbox/addition", "sandbox/draft", "begins its profile"},
	{"sandbox/addition", "sandbox/launch", "tells mistakes"},
	{"sandbox/addition", "sandbox/locked", "makes its lock"},
	{"sandbox/addition", "sandbox/pack", "which package a word means, and what its lock holds"},
	{"sandbox/addition", "sandbox/pack/install", "resolves and installs"},
	{"sandbox/addition", "sandbox/pack/registry", "what the registry says of a release"},
	{"sandbox/addition", "sandbox/policy", "parses what it writes"},
	{"sandbox/addition", "sandbox/server", "what a word on the command line means"},
	{"sandbox/addition", "sandbox/user", "who asks, and where their things are"},
	{"sandbox/addition", "sandbox/wholefile", "files are read and written whole"},
	{"sandbox/lesson", "sandbox/audit", "reads the log"},
	{"sandbox/lesson", "sandbox/catalog", "the profiles that a profile extends"},
	{"sandbox/lesson", "sandbox/host", "which files hold something of the person's"},
	{"sandbox/lesson", "sandbox/launch", "tells mistakes"},
	{"sandbox/lesson", "sandbox/plan", "which places are protected"},
	{"sandbox/lesson", "sandbox/policy", "writes a right into a text"},
	{"sandbox/lesson", "sandbox/server", "holds the profile against a baseline"},
	{"sandbox/lesson", "sandbox/trial", "which hosts are telemetry"},
	{"sandbox/lesson", "sandbox/user", "who asks, and where their things are"},
	{"sandbox/lesson", "sandbox/wholefile", "files are written whole"},
	{"sandbox/interview", "sandbox/server", "prepares the server that is asked"},
	{"sandbox/interview", "sandbox/user", "where the log is"},

	{"sandbox/review", "sandbox/audit", "strangers' words are made visible"},
	{"sandbox/review", "sandbox/definition", "what is decided about"},
	{"sandbox/review", "sandbox/finding", "finds words for the model in what is shown"},
	{"sandbox/review", "sandbox/launch", "where decisions are kept"},
	{"sandbox/review", "sandbox/trust", "a decision of the person's keeps their trust"},
	{"sandbox/review", "sandbox/user", "where this user's things are"},

	{"sandbox/selftest", "sandbox", "starts what is attacked"},
	{"sandbox/selftest", "sandbox/audit", "strangers' words are made visible"},
	{"sandbox/selftest", "sandbox/catalog", "finds the profile under attack"},
	{"sandbox/selftest", "sandbox/server", "prepares it as a run does"},
	{"sandbox/selftest", "sandbox/user", "who asks, and where their things are"},
	{"sandbox/selftest", "sandbox/internal/probe", "the attacks"},
	{"sandbox/selftest", "sandbox/internal/probe/stage", "what they are aimed at, and how they are made outside"},
	{"sandbox/selftest", "sandbox/plan", "is given the plan that is attacked"},
	{"sandbox/selftest", "sandbox/policy", "the names of the layers"},

	{"sandbox/internal/probe/hostile", "sandbox/internal/probe", "the attacks as a program"},
	{"sandbox/internal/probe/stage", "sandbox/internal/probe", "what the attacks are run in"},
	{"sandbox/internal/seccomp/seccomptest", "sandbox/internal/seccomp", "tests run programs under a filter"},
	{"sandbox/internal/seccomp/seccomptest", "sandbox/plan", "selects the filter"},
}

// Above the sandbox anything may be known but the mechanisms, which the
// compiler holds: they are internal.
var above = []string{"cmd/", "examples/", "scripts/"}

func TestArrows(t *testing.T) {
	used := map[[2]string]bool{}
	for _, f := range sources(t) {
		if f.above() {
			continue
		}
		for _, to := range f.inModule() {
			used[[2]string{f.pkg, to}] = true
			if !slices.ContainsFunc(arrows, func(a struct{ from, to, why string }) bool { return a.from == f.pkg && a.to == to }) {
				t.Errorf("%s: %s must not know %s", f.name, f.pkg, to)
			}
		}
	}
	for _, a := range arrows {
		if !used[[2]string{a.from, a.to}] {
			t.Errorf("%s does not use %s: take the arrow out", a.from, a.to)
		}
	}
}

// exceptions are files below the commands that may do things reserved for commands.
var exceptions = []struct{ file, what, why string }{
	{"sandbox/internal/child/hook.go", "os.Args os.Getenv os.Exit", "a stage of the sandbox is this binary, told apart by its arguments"},
	{"sandbox/host/hook_linux.go", "os.Args", "a trial of the recipe is this binary, told apart by its arguments"},
	{"sandbox/launch/bus.go", "os.Setenv", "libcontainer finds the bus in the environment alone"},
	{"sandbox/internal/probe/", "os.Args os.Environ os.LookupEnv os.Exit", "the attacker, and the stage around it"},
	{"sandbox/internal/await/await.go", "os.Getenv", "the environment alone tells whether Go's scheduler interrupts"},
	{"sandbox/internal/golden/", "flag.Bool", "-update of a test binary"},
	{"sandbox/internal/seccomp/seccomptest/", "os.Getenv os.Unsetenv os.Environ os.Exit", "a job is the test binary, told apart by its environment"},
	{"sandbox/internal/listeners/nettest/", "os.Getenv os.Environ", "a network is for a copy of the test binary, told apart by its environment"},
}

// Only a command reads arguments and the environment, prints and exits: on the standard
// output of "run" every byte is the protocol's, and a server's rights depend on the
// profile alone.
func TestOnlyCommandsMeetTheProcess(t *testing.T) {
	process := regexp.MustCompile(`^(os\.(Args|Environ|Getenv|LookupEnv|ExpandEnv|Expand|Setenv|Unsetenv|Clearenv|Exit|UserHomeDir|UserConfigDir|UserCacheDir|TempDir)|` +
		`syscall\.(Environ|Getenv|Setenv|Exit)|fmt\.Print(|f|ln)|log\.(Print|Fatal|Panic|Output|Default|SetOutput)\w*|slog\.(Debug|Info|Warn|Error|Log|Default|SetDefault)\w*|print|println|flag\.\w+)$`)
	met := map[string]bool{}
	for _, f := range sources(t) {
		if f.above() {
			continue
		}
		for _, use := range f.uses() {
			if !process.MatchString(use.name) {
				continue
			}
			i := slices.IndexFunc(exceptions, func(e struct{ file, what, why string }) bool {
				return strings.HasPrefix(f.name, e.file) && slices.Contains(strings.Fields(e.what), use.name)
			})
			if i < 0 {
				t.Errorf("%s:%d: %s is for commands", f.name, use.line, use.name)
				continue
			}
			met[exceptions[i].file+" "+use.name] = true
		}
	}
	for _, e := range exceptions {
		for _, what := range strings.Fields(e.what) {
			if !met[e.file+" "+what] {
				t.Errorf("%s does not use %s: take the exception out", e.file, what)
			}
		}
	}
}

// The meaning of a profile, and its enforcement, depend only on the values passed in:
// they are the same on every machine, and in every test.
func TestCompileStepsArePure(t *testing.T) {
	world := regexp.MustCompile(`^(os|os/.*|net|net/http|syscall|io/ioutil|path/filepath|plugin|runtime|runtime/.*|math/rand|math/rand/v2|crypto/rand|golang\.org/x/sys/.*)$`)
	clock := regexp.MustCompile(`^time\.(Now|Since|Until|After|AfterFunc|Tick|NewTimer|NewTicker|Sleep)$`)
	pure := map[string]bool{"sandbox/policy": true, "sandbox/plan": true, "sandbox/internal/rpc": true, "sandbox/internal/schema": true, "sandbox/internal/tomlindex": true, "sandbox/internal/lazy": true}
	for _, f := range sources(t) {
		if !pure[f.pkg] {
			continue
		}
		for _, imp := range f.imports() {
			if world.MatchString(imp) {
				t.Errorf("%s: %s is pure and must not import %s", f.name, f.pkg, imp)
			}
		}
		for _, use := range f.uses() {
			if clock.MatchString(use.name) {
				t.Errorf("%s:%d: %s is pure and must not look at a clock (%s)", f.name, use.line, f.pkg, use.name)
			}
		}
	}
}

// The name of a file shows that the compiler does not check all of it.
func TestUnsafeIsInTheName(t *testing.T) {
	named := regexp.MustCompile(`_unsafe(_[a-z0-9]+)?(_test)?\.go$`)
	for _, f := range sources(t) {
		unsafe := slices.Contains(f.imports(), "unsafe")
		if unsafe && !named.MatchString(f.name) {
			t.Errorf("%s imports unsafe: name it …_unsafe.go", f.name)
		}
		if !unsafe && named.MatchString(f.name) {
			t.Errorf("%s does not import unsafe: name it otherwise", f.name)
		}
	}
}

// The checks above must find planted mistakes.
func TestSourceChecksSee(t *testing.T) {
	const text = "package p\nimport (\n\tio \"os\"\n\t\"fmt\"\n)\nfunc f(os struct{ Exit int }) { io.Exit(1); fmt.Println(); println(os.Exit) }\n"
	f := source{name: "p.go", set: token.NewFileSet()}
	var err error
	if f.file, err = parser.ParseFile(f.set, f.name, text, 0); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(f.uses()); got != "[{os.Exit 6} {fmt.Println 6} {println 6}]" {
		t.Errorf("uses: %s", got)
	}
	if got := sources(t); len(got) < 100 || !slices.ContainsFunc(got, func(f source) bool { return f.name == "sandbox/plan/plan.go" && f.pkg == "sandbox/plan" }) {
		t.Errorf("only %d files of the module were found", len(got))
	}
}

// source is one Go file of the module that is no test.
type source struct {
	name, pkg string // relative to the module
	set       *token.FileSet
	file      *ast.File
}

// sources parses the module, whatever the build constraints say, but for files
// that are run by themselves ("ignore").
func sources(t *testing.T) []source {
	t.Helper()
	out, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var parsed = sync.OnceValues(func() ([]source, error) {
	root := ".." // of this package
	var out []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := d.Name(); d.IsDir() && p != root && (base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_') {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		s := source{name: rel, pkg: path.Dir(rel), set: token.NewFileSet()}
		if s.file, err = parser.ParseFile(s.set, rel, text, parser.ParseComments); err != nil {
			return err
		}
		if !ignored(s.file) {
			out = append(out, s)
		}
		return nil
	})
	return out, err
})

func ignored(f *ast.File) bool {
	for _, g := range f.Comments {
		for _, c := range g.List {
			if x, err := constraint.Parse(c.Text); err == nil && x.String() == "ignore" {
				return true
			}
		}
	}
	return false
}

func (s source) above() bool {
	return slices.ContainsFunc(above, func(dir string) bool { return strings.HasPrefix(s.name, dir) })
}

func (s source) imports() []string {
	var out []string
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value) // the parser has checked it
		out = append(out, p)
	}
	return out
}

// inModule lists the packages of this module that the file imports.
func (s source) inModule() []string {
	var out []string
	for _, p := range s.imports() {
		if rel, ok := strings.CutPrefix(p, "mcpen/"); ok {
			out = append(out, rel)
		}
	}
	return out
}

type use struct {
	name string
	line int
}

// uses lists the file's references to other packages, by the packages' own names, and
// its calls of print and println.
func (s source) uses() []use {
	local := map[string]string{}
	for i, p := range s.imports() {
		name := path.Base(p)
		if n := s.file.Imports[i].Name; n != nil {
			name = n.Name
		}
		local[name] = path.Base(p)
	}
	var out []use
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			// Obj is set where the name is a variable of the file's.
			if x, ok := n.X.(*ast.Ident); ok && x.Obj == nil && local[x.Name] != "" {
				out = append(out, use{local[x.Name] + "." + n.Sel.Name, s.set.Position(n.Pos()).Line})
			}
		case *ast.CallExpr:
			if x, ok := n.Fun.(*ast.Ident); ok && x.Obj == nil && (x.Name == "print" || x.Name == "println") {
				out = append(out, use{x.Name, s.set.Position(n.Pos()).Line})
			}
		}
		return true
	})
	return out
}
