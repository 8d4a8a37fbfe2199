package main

import (
	"regexp"
	"strings"
)

// page ends a command's help: examples to paste, and the meaning of each exit status.
type page struct{ examples, status []string }

// Lines on exit statuses that several commands share.
const (
	isDone      = "0    it is done"
	isShown     = "0    it was shown"
	isUsage     = "2    wrong usage, or a mistake in a profile"
	isRefused   = "3    refused by policy, or by you"
	isNoBox     = "125  the sandbox could not be built"
	isNoExec    = "126  the program cannot be executed"
	isNotFound  = "127  the program was not found"
	isNoPackage = "127  the package, or a program to install it with, was not found"
	isFailed    = "1    it failed: a file, a registry or a network"
)

// pages maps the words that name a command to its page. mcpen's own key is "".
var pages = map[string]page{
	"run": {[]string{"mcpen run everything", "mcpen run -- node my-server.js"},
		[]string{"The server's own code passes through; a server that a signal ended ends mcpen by the same signal. Otherwise:", isUsage, isRefused, isNoBox, isNoExec, isNotFound}},
	"try": {[]string{"mcpen try npm:@modelcontextprotocol/server-everything", "mcpen try --fail-on amber -- node my-server.js"},
		[]string{"0    the verdict is below the level of --fail-on", isFailed, isUsage, "3    the verdict is of that level, or mcpen refuses the package", "125  the sandbox could not be built, or the registry not be asked", isNoExec, "127  the program was not found, or the registry lacks the package"}},
	"explain": {[]string{"mcpen explain everything", "mcpen explain --json -- node my-server.js"},
		[]string{isShown, isUsage, isRefused, isNoBox, isNoExec, isNotFound}},
	"check": {[]string{"mcpen check --json", "mcpen check .mcpen/notes.toml"},
		[]string{"0    no profile has a mistake", isUsage}},
	"doctor": {[]string{"mcpen doctor", "mcpen doctor --json"},
		[]string{"0    every layer can be had", "2    wrong usage", "125  a sandbox with every layer cannot be built here"}},
	"selftest": {[]string{"mcpen selftest", "mcpen selftest github --json"},
		[]string{"0    no attack works inside", isUsage, "3    an attack works inside, or the profile is refused by policy", "125  nothing could be proved, or the sandbox could not be built"}},
	"log": {[]string{"mcpen log everything --since 2h", "mcpen log notes --last"},
		[]string{isShown, "1    nothing was recorded, or a log cannot be read", "2    wrong usage"}},
	"ps": {[]string{"mcpen ps", "mcpen ps --json"},
		[]string{isShown, isFailed, "2    wrong usage"}},
	"stop": {[]string{"mcpen stop everything", "mcpen stop git filesystem"},
		[]string{"0    each server was told to end", isFailed, "2    wrong usage, or nothing runs of that name"}},
	"profile list": {[]string{"mcpen profile list", "mcpen profile list database --json"},
		[]string{isShown, "1    no profile has these words", "2    wrong usage"}},
	"profile new": {[]string{"mcpen profile new notes -- notes-server", "mcpen profile new notes --package npm:notes-mcp"},
		[]string{"0    the profile is written", isFailed, "2    wrong usage, or there is one of that name"}},
	"profile edit": {[]string{"mcpen profile edit filesystem", "mcpen profile edit .mcpen/notes.toml --repository"},
		[]string{"0    the profile is as you left it", isFailed, isUsage}},
	"profile diff": {[]string{"mcpen profile diff git", "mcpen profile diff git .mcpen/git.toml --json"},
		[]string{"0    the second gives nothing that the first does not", "1    it gives more", isUsage}},
	"profile show": {[]string{"mcpen profile show git", "mcpen profile show filesystem"},
		[]string{isShown, isFailed, "2    wrong usage, or there is no profile of that name"}},
	"add": {[]string{"mcpen add npm:@modelcontextprotocol/server-memory", "mcpen add pypi:mcp-server-git --client claude-code"},
		[]string{isDone, isFailed, isUsage, isRefused, isNoBox, isNoPackage}},
	"update": {[]string{"mcpen update", "mcpen update memory --yes"},
		[]string{"0    each package is as new as it may be", "1    one of them could not be updated", "2    wrong usage", isRefused}},
	"outdated": {[]string{"mcpen outdated", "mcpen outdated memory --json"},
		[]string{isShown, "1    one of them could not be asked about", "2    wrong usage", isRefused}},
	"verify": {[]string{"mcpen verify --json", "mcpen verify memory --repair"},
		[]string{"0    every file is as its lock says", "1    something is not installed, or could not be read", "2    wrong usage", "3    something is not as its lock says"}},
	"scan": {[]string{"mcpen scan --db osv.zip", "mcpen scan notes --descriptions --json"},
		[]string{"0    nothing was found", "1    a server or a database could not be asked", "2    wrong usage", "3    something was found from --level on"}},
	"gc": {[]string{"mcpen gc", "mcpen gc --all"},
		[]string{isDone, isFailed, "2    wrong usage"}},
	"remove": {[]string{"mcpen remove memory", "mcpen remove memory everything"},
		[]string{isDone, isFailed, "2    wrong usage"}},
	"review": {[]string{"mcpen review", "mcpen review everything --approve-all"},
		[]string{isDone, isFailed, "2    wrong usage"}},
	"trust": {[]string{"mcpen trust .mcpen/notes.toml", "mcpen trust .mcpen/notes.toml --revoke"},
		[]string{isDone, isFailed, isUsage, "3    it is not trusted"}},
	"allow": {[]string{"mcpen allow notes api.example.com:443", "mcpen allow notes ~/Documents --write"},
		[]string{"0    the profile has the right", isFailed, "2    wrong usage, or nobody to ask", isRefused}},
	"learn": {[]string{"mcpen learn notes", "mcpen learn notes --since 3d --yes"},
		[]string{"0    the profile has what was learned, or lacks nothing", "1    nothing was recorded, or you said no", "2    wrong usage, or nobody to ask", isRefused}},
	"wrap": {[]string{"mcpen wrap --dry-run", "mcpen wrap --client cursor"},
		[]string{isDone, isFailed, "2    wrong usage, or nobody to ask"}},
	"unwrap": {[]string{"mcpen unwrap --dry-run", "mcpen unwrap --server notes"},
		[]string{isDone, isFailed, "2    wrong usage, or nobody to ask"}},
	"clients": {[]string{"mcpen clients", "mcpen clients --check ."},
		[]string{isShown, "1    with --check: not all is well", "2    wrong usage"}},
	"completion bash": {[]string{"source <(mcpen completion bash)", "mcpen completion bash > ~/.local/share/bash-completion/completions/mcpen"},
		[]string{isShown, "2    wrong usage"}},
	"completion zsh": {[]string{"source <(mcpen completion zsh)", "mcpen completion zsh > ~/.zfunc/_mcpen"},
		[]string{isShown, "2    wrong usage"}},
	"completion fish": {[]string{"mcpen completion fish | source", "mcpen completion fish > ~/.config/fish/completions/mcpen.fish"},
		[]string{isShown, "2    wrong usage"}},
	"": {[]string{"mcpen try npm:@modelcontextprotocol/server-everything", "mcpen help run"},
		[]string{"0    it is done", "1    it failed, or there is something that a command's own help names", isUsage, isRefused, isNoBox, isNoExec, isNotFound, "What a server that \"run\" started ended with passes through."}},
	"profile": {[]string{"mcpen profile list database", "mcpen profile new notes -- notes-server"},
		[]string{"That of the command below it, and", "2    no command named"}},
	"completion": {[]string{"source <(mcpen completion bash)", "mcpen completion fish | source"},
		[]string{isShown, "2    no shell named"}},
}

// wrapped matches a line break within a paragraph. The help breaks lines itself.
var wrapped = regexp.MustCompile(`(\S)\n(\S)`)

// withPage returns a command's help text with its page. path is the command's words.
func withPage(text, path string) string {
	text = wrapped.ReplaceAllString(text, "$1 $2")
	p := pages[strings.TrimSpace(strings.TrimPrefix(path, "mcpen"))]
	if p.status == nil {
		return text
	}
	return strings.TrimLeft(text+
		"\n\nEXAMPLES:\n   "+strings.Join(p.examples, "\n   ")+
		"\n\nEXIT STATUS:\n   "+strings.Join(p.status, "\n   "), "\n")
}
