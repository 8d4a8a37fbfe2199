package plan

import (
	"strings"
	"testing"
)

// A server escapes its folder through each of these names: code outside runs the files
// there. A name that drops out of the list reopens the hole.
func TestEveryProtectedNameIsKept(t *testing.T) {
	j := NewJudge(Writes{Folders: []string{"/ws"}, Names: Protected})
	for name := range strings.FieldsSeq(`
		.config/git .git .gitconfig .hg .hgrc .jj .pijul .repo .sl _darcs .config/lefthook* .husky .huskyrc* .lefthook* .lefthook.yml .lefthook-local.*
		.lintstagedrc* .overcommit.yml .pre-commit-config.yaml .pre-commit-config.yml .simple-git-hooks.* lefthook-local.* lefthook.* lefthook.yml
		lint-staged.config.* *.code-workspace .config/emacs .config/helix .config/nvim .config/zed .devcontainer .devcontainer.json .dir-locals*.el .emacs
		.emacs.d .exrc .fleet .helix .idea .lvimrc .nvim.lua .nvimrc .theia .vim .viminfo .vimrc .vs .vscode .zed .agents .aider* .aider.conf.yml .amazonq
		.augment .augment-guidelines .claude .claude.json .cline .clinerules .codeium .codex .continue .continuerc.json .copilot .crush .crush.json .cursor
		.cursorrules .gemini .github/agents .github/chatmodes .github/copilot-instructions.md .github/hooks .github/instructions .github/prompts .goose
		.goosehints .junie .kilocode .kilocodemodes .kiro .mcp.json .opencode .openhands .qwen .roo .roomodes .rules .trae .windsurf .windsurfrules AGENT.md
		AGENTS*.md AGENTS.md CLAUDE*.md CLAUDE.local.md CLAUDE.md CRUSH.md GEMINI.md QWEN.md WARP.md crush.json opencode.json opencode.jsonc .mcpen .asdfrc
		.autoenv* .config/mise .direnv .env .envrc .mise .mise*.toml .mise.toml .rtx.toml .rvmrc .shadowenv.d .tool-versions mise.*.toml mise.toml .bash_*
		.bash_aliases .bash_login .bash_logout .bash_profile .bashrc .config/elvish .config/fish .config/nushell .config/xonsh .config/zsh .cshrc .inputrc
		.kshrc .login .logout .mkshrc .profile .tcshrc .xonshrc .zlogin .zlogout .zprofile .zsh* .zshenv .zshrc .config/autostart .config/environment.d
		.config/plasma-workspace .config/systemd .config/tmux .local/share/applications .local/share/dbus-1 .local/share/systemd .pam_environment .screenrc
		.tmux.conf .xinitrc .xprofile .xsession .xsessionrc .Renviron .Rprofile .erlang .gdbinit .ghci .iex.exs .ipython .irbrc .julia .jupyter .lldbinit
		.pdbrc .psqlrc .pryrc .sqliterc .bazelrc .bundle .cargo .condarc .config/pip .config/uv .gemrc .gradle .m2 .mvn .npmrc .pip .pnp.* .pnpmfile.*
		.pnpmfile.cjs .pypirc .sbt .terraform .terraformrc .yarn/plugins .yarn/releases .yarn/sdks .yarn/unplugged .yarnrc .yarnrc.yml pip.conf rust-toolchain
		rust-toolchain.toml .aws .azure .config/gcloud .config/gh .curlrc .docker/cli-plugins .docker/config.json .docker/contexts .kube .netrc .wgetrc .gnupg
		.ssh .local/bin .local/lib .venv dist-packages node_modules pyvenv.cfg site-packages venv
	`) {
		name = strings.ReplaceAll(name, "*", "x")
		for _, p := range []string{"/ws/" + name, "/ws/deep/down/" + name} {
			if standing, held := j.At(p, Known{}); standing != Kept || held.Place == "" {
				t.Errorf("%s may be changed: %v, %+v", p, standing, held)
			}
		}
	}
	if standing, _ := j.At("/ws/README", Known{}); standing != Changing {
		t.Errorf("a file like any other: %v", standing)
	}
}
