package plan

// Protected lists the names below a writable folder from which code later runs
// outside the sandbox, or that steer a program which runs there: base names, or
// two joined by a slash. They stay read-only unless the profile names them.
//
// What a project builds and runs on purpose (Makefile, package.json, sources)
// is not in the list: changing it is what a server with write access is for,
// and a person sees it in a diff. The list holds what acts without being asked.
var Protected = []string{
	// Version control and its hooks: core.fsmonitor, core.sshCommand, modules/*/config
	// name programs. In a git worktree .git is a file.
	".config/git", ".git", ".gitconfig", ".hg", ".husky", ".jj", ".lefthook.yml",
	".pre-commit-config.yaml",
	// Tasks and settings that an editor runs when the folder is opened.
	".devcontainer", ".exrc", ".idea", ".nvimrc", ".vim", ".vimrc", ".vscode", ".zed",
	// Orders and configuration of coding agents; some name servers that are started.
	".aider.conf.yml", ".claude", ".claude.json", ".clinerules", ".codex", ".continue", ".cursor",
	".cursorrules", ".gemini", ".kiro", ".mcp.json", ".mcpen", ".roo", ".windsurf", ".windsurfrules",
	"AGENTS.md", "CLAUDE.local.md", "CLAUDE.md", "GEMINI.md",
	// Run on entering the folder.
	".direnv", ".envrc", ".mise.toml", ".tool-versions", "mise.toml",
	// Read by a shell, or at login, when it starts.
	".bash_aliases", ".bash_login", ".bash_logout", ".bash_profile", ".bashrc", ".config/autostart",
	".config/environment.d", ".config/fish", ".config/systemd", ".cshrc", ".inputrc", ".login",
	".pam_environment", ".profile", ".tcshrc", ".xprofile", ".zlogin", ".zlogout", ".zprofile",
	".zshenv", ".zshrc",
	// Names programs or registries for a package tool.
	".cargo", ".npmrc", ".pnpmfile.cjs", ".yarnrc", ".yarnrc.yml",
	// Executables found by name; *.pth files in .venv run with every python. Keys, with
	// configuration that names programs.
	".gnupg", ".local/bin", ".ssh", ".venv", "node_modules/.bin", "venv",
}
