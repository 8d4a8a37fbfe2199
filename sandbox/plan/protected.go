package plan

import "strings"

// protectors are the programs that act on a file in a folder without being asked, and
// the names of those files. A name is a base name, or several elements joined by
// slashes that match below any folder. "*" matches any run of characters within one
// element.
//
// The list leaves out the files that a project builds and runs on purpose (Makefile,
// package.json, sources). Changing them is the purpose of a server with write access,
// and a person sees the change in a diff.
var protectors = []struct {
	by    string // the program, and where it says so
	names []string
}{
	{"git: hooks, core.fsmonitor, core.sshCommand, modules/*/config; a file in a worktree (githooks(5), git-config(1))",
		[]string{".config/git", ".git", ".gitconfig"}},
	{"other version control, its hooks and configuration (hg(1), jj-config(1), sl(1), pijul, repo(1), darcs(1))",
		[]string{".hg", ".hgrc", ".jj", ".pijul", ".repo", ".sl", "_darcs"}},
	{"managers of git hooks, at the next commit (husky, lefthook, pre-commit, lint-staged, overcommit)",
		[]string{".config/lefthook*", ".husky", ".huskyrc*", ".lefthook*", ".lefthook.yml", ".lefthook-local.*", ".lintstagedrc*", ".overcommit.yml", ".pre-commit-config.yaml", ".pre-commit-config.yml",
			".simple-git-hooks.*", "lefthook-local.*", "lefthook.*", "lefthook.yml", "lint-staged.config.*"}},
	{"editors when the folder is opened: tasks, settings that name programs, scripts (VS Code, Dev Containers, JetBrains, Vim, Neovim, Emacs, Helix, Zed, Fleet, Theia)",
		[]string{"*.code-workspace", ".config/emacs", ".config/helix", ".config/nvim", ".config/zed", ".devcontainer", ".devcontainer.json", ".dir-locals*.el",
			".emacs", ".emacs.d", ".exrc", ".fleet", ".helix", ".idea", ".lvimrc", ".nvim.lua", ".nvimrc", ".theia", ".vim", ".viminfo", ".vimrc", ".vs", ".vscode", ".zed"}},
	{"coding agents: orders to the model, servers and hooks that are started (each one's documentation of its project files)",
		[]string{".agents", ".aider*", ".aider.conf.yml", ".amazonq", ".augment", ".augment-guidelines", ".claude", ".claude.json", ".cline", ".clinerules", ".codeium", ".codex",
			".continue", ".continuerc.json", ".copilot", ".crush", ".crush.json", ".cursor", ".cursorrules", ".gemini", ".github/agents", ".github/chatmodes",
			".github/copilot-instructions.md", ".github/hooks", ".github/instructions", ".github/prompts", ".goose", ".goosehints", ".junie", ".kilocode",
			".kilocodemodes", ".kiro", ".mcp.json", ".opencode", ".openhands", ".qwen", ".roo", ".roomodes", ".rules", ".trae", ".windsurf", ".windsurfrules",
			"AGENT.md", "AGENTS*.md", "AGENTS.md", "CLAUDE*.md", "CLAUDE.local.md", "CLAUDE.md", "CRUSH.md", "GEMINI.md", "QWEN.md", "WARP.md", "crush.json", "opencode.json", "opencode.jsonc"}},
	{"mcpen: profiles and locks of a project", []string{".mcpen"}},
	{"what a shell runs on entering the folder (direnv, mise, asdf, autoenv, shadowenv, rvm)",
		[]string{".asdfrc", ".autoenv*", ".config/mise", ".direnv", ".env", ".envrc", ".mise", ".mise*.toml", ".mise.toml", ".rtx.toml", ".rvmrc", ".shadowenv.d",
			".tool-versions", "mise.*.toml", "mise.toml"}},
	{"shells, when they start (bash(1), zsh(1), fish(1), tcsh(1), ksh(1), nu, xonsh, readline(3))",
		[]string{".bash_*", ".bash_aliases", ".bash_login", ".bash_logout", ".bash_profile", ".bashrc", ".config/elvish", ".config/fish", ".config/nushell", ".config/xonsh", ".config/zsh", ".cshrc", ".inputrc", ".kshrc",
			".login", ".logout", ".mkshrc", ".profile", ".tcshrc", ".xonshrc", ".zlogin", ".zlogout", ".zprofile", ".zsh*", ".zshenv", ".zshrc"}},
	{"a session, at login (systemd.unit(5), pam_env(8), Xsession(5), XDG autostart, D-Bus activation, tmux(1), screen(1))",
		[]string{".config/autostart", ".config/environment.d", ".config/plasma-workspace", ".config/systemd", ".config/tmux", ".local/share/applications",
			".local/share/dbus-1", ".local/share/systemd", ".pam_environment", ".screenrc", ".tmux.conf", ".xinitrc", ".xprofile", ".xsession", ".xsessionrc"}},
	{"interpreters and debuggers, when they start in the folder (R, irb, pry, pdb, ghci, gdb, lldb, iex, IPython, psql, sqlite3)",
		[]string{".Renviron", ".Rprofile", ".erlang", ".gdbinit", ".ghci", ".iex.exs", ".ipython", ".irbrc", ".julia", ".jupyter", ".lldbinit", ".pdbrc",
			".psqlrc", ".pryrc", ".sqliterc"}},
	{"package and build tools: registries, programs, code that is loaded first (npm, yarn, pnpm, pip, uv, cargo, rustup, maven, gradle, bazel, bundler, terraform)",
		[]string{".bazelrc", ".bundle", ".cargo", ".condarc", ".config/pip", ".config/uv", ".gemrc", ".gradle", ".m2", ".mvn", ".npmrc", ".pip", ".pnp.*",
			".pnpmfile.*", ".pnpmfile.cjs", ".pypirc", ".sbt", ".terraform", ".terraformrc", ".yarn/plugins", ".yarn/releases", ".yarn/sdks", ".yarn/unplugged", ".yarnrc",
			".yarnrc.yml", "pip.conf", "rust-toolchain", "rust-toolchain.toml"}},
	{"clients of clouds and clusters: programs that fetch credentials (docker, aws, kubectl, gcloud, gh, curl)",
		[]string{".aws", ".azure", ".config/gcloud", ".config/gh", ".curlrc", ".docker/cli-plugins", ".docker/config.json", ".docker/contexts", ".kube", ".netrc", ".wgetrc"}},
	{"keys, and configuration that names programs (ssh_config(5), gpg.conf)", []string{".gnupg", ".ssh"}},
	{"code found by name: editors and shells run what is in them; a *.pth runs with every python (npm-folders(5), site in the Python library)",
		[]string{".local/bin", ".local/lib", ".venv", "dist-packages", "node_modules", "pyvenv.cfg", "site-packages", "venv"}},
}

// Protected lists the names below a writable folder from which code later runs outside
// the sandbox, or that configure a program that runs there (see protectors). The server
// cannot change them unless the profile names them.
var Protected = func() []string {
	var out []string
	for _, p := range protectors {
		out = append(out, p.names...)
	}
	return out
}()

// shorts maps the short name that FAT and NTFS give a protected element to that
// element. The key leaves out the number.
type shorts map[shortName]string

// shortName is an 8.3 name: base is the part before "~", ending the part after the last
// dot.
type shortName struct{ base, ending string }

// maxShort is the length of "ABCDEF~1.GHI".
const maxShort = 12

// add enters a folded element. It skips an element that fits into 8.3, since that has
// no other name.
func (s shorts) add(element string) {
	base, ending := split(strings.TrimLeft(element, "."))
	base = strings.NewReplacer(".", "", " ", "").Replace(base)
	if base == "" || strings.Contains(element, "*") || !strings.HasPrefix(element, ".") && len(base) <= 8 && len(ending) <= 3 {
		return
	}
	s[shortName{base[:min(6, len(base))], ending[:min(3, len(ending))]}] = element
	s[shortName{base[:min(2, len(base))] + "####", ending[:min(3, len(ending))]}] = element // the fifth of its kind, with a checksum
}

// long returns the protected element with this short name, or else the element itself.
// VFAT and NTFS open .vscode as VSCODE~1, too, and the kernel reports the name that the
// caller used. Other file systems have no short names, and hardly anybody gives a file
// such a name.
func (s shorts) long(element string) string {
	if len(element) > maxShort || !strings.Contains(element, "~") {
		return element
	}
	base, ending := split(element)
	base, number, _ := strings.Cut(base, "~")
	if number == "" || strings.Trim(number, "0123456789") != "" {
		return element
	}
	if long, ok := s[shortName{base, ending}]; ok {
		return long
	}
	if len(base) > 4 && strings.Trim(base[len(base)-4:], "0123456789abcdef") == "" {
		if long, ok := s[shortName{base[:len(base)-4] + "####", ending}]; ok {
			return long
		}
	}
	return element
}

// split cuts a name at its last dot.
func split(name string) (base, ending string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return name, ""
}
