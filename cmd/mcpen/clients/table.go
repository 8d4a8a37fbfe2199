package clients

// Client is a program that starts servers, and the places of its files.
type Client struct {
	Name  string // the word for --client: "claude-code"
	Title string // "Claude Code"

	places    []spot
	processes []string // the names of its processes
	flatpaks  []string // its names as a Flatpak
	snaps     []string // its names as a Snap
	readOnly  string   // why mcpen does not write to its files; "" if it does
}

// spot is a file of a client. Its path begins with a prefix that stands for a folder:
// "~/" the home, "config/" XDG_CONFIG_HOME or ~/.config, "project/" a repository, "/"
// the machine. In a path, "*" is any name.
type spot struct {
	path   string
	format format
	shapes []shape
	env    string // a variable that names the folder in which it is, instead
}

// The shapes of the clients.
var (
	plainShapes    = []shape{{at: []string{"mcpServers"}}}
	claudeShapes   = []shape{{at: []string{"mcpServers"}, with: [][2]string{{"type", `"stdio"`}}}, {at: []string{"projects", "*", "mcpServers"}}}
	codeShapes     = []shape{{at: []string{"servers"}, with: [][2]string{{"type", `"stdio"`}}}}
	settingsShapes = []shape{{at: []string{"mcp", "servers"}}}
	opencodeShapes = []shape{{at: []string{"mcp"}, whole: true, env: "environment", with: [][2]string{{"type", `"local"`}, {"enabled", "true"}}}}
	crushShapes    = []shape{{at: []string{"mcp"}, with: [][2]string{{"type", `"stdio"`}}}}
	zedShapes      = []shape{{at: []string{"context_servers"}, nested: true, with: [][2]string{{"source", `"custom"`}}}}
	codexShapes    = []shape{{at: []string{"mcp_servers"}}}
	gooseShapes    = []shape{{at: []string{"extensions"}, command: "cmd", env: "envs", with: [][2]string{{"enabled", "true"}, {"type", `"stdio"`}, {"timeout", "300"}}}}
	continueShapes = []shape{{at: []string{"mcpServers"}, list: true}}
	ampShapes      = []shape{{at: []string{"amp.mcpServers"}}}
	vibeShapes     = []shape{{at: []string{"mcp_servers"}, list: true, with: [][2]string{{"transport", `"stdio"`}}}}
)

func plain(path string) spot { return spot{path: path, format: formatJSON, shapes: plainShapes} }

// vscode are the files of an editor that is made of VS Code's source.
func vscode(folder string) []spot {
	return []spot{
		{path: "config/" + folder + "/User/mcp.json", format: formatJSON, shapes: codeShapes},
		{path: "config/" + folder + "/User/profiles/*/mcp.json", format: formatJSON, shapes: codeShapes},
		{path: "config/" + folder + "/User/settings.json", format: formatJSON, shapes: settingsShapes},
	}
}

const clineFile = "/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"

// knownClients are the clients that mcpen knows, by name.
var knownClients = []Client{
	{Name: "amazon-q", Title: "Amazon Q", processes: []string{"q", "qchat"},
		places: []spot{plain("~/.aws/amazonq/mcp.json"), plain("~/.aws/amazonq/default.json"), plain("~/.aws/amazonq/agents/*.json"), plain("project/.amazonq/mcp.json")}},
	{Name: "amp", Title: "Amp", processes: []string{"amp"},
		places: []spot{{path: "config/amp/settings.json", format: formatJSON, shapes: ampShapes}}},
	{Name: "antigravity", Title: "Antigravity", processes: []string{"antigravity"}, places: []spot{plain("~/.gemini/antigravity/mcp_config.json")}},
	{Name: "claude-code", Title: "Claude Code", processes: []string{"claude"},
		places: []spot{{path: "~/.claude.json", format: formatJSON, shapes: claudeShapes, env: "CLAUDE_CONFIG_DIR"}, plain("project/.mcp.json")}},
	{Name: "claude-desktop", Title: "Claude Desktop", processes: []string{"claude-desktop", "Claude"}, flatpaks: []string{"com.anthropic.Claude", "com.anthropic.claude-desktop"}, snaps: []string{"claude-desktop"},
		places: []spot{plain("config/Claude/claude_desktop_config.json"), plain("config/claude/claude_desktop_config.json")}},
	{Name: "cline", Title: "Cline", processes: []string{"code", "cursor"},
		places: []spot{plain("config/Code" + clineFile), plain("config/Code - Insiders" + clineFile), plain("config/Cursor" + clineFile), plain("config/VSCodium" + clineFile), plain("config/Windsurf" + clineFile),
			plain("~/.vscode-server/data" + clineFile), plain("~/.cline/data/settings/cline_mcp_settings.json")}},
	{Name: "codex", Title: "Codex", processes: []string{"codex"},
		places: []spot{{path: "~/.codex/config.toml", format: formatTOML, shapes: codexShapes, env: "CODEX_HOME"}, {path: "project/.codex/config.toml", format: formatTOML, shapes: codexShapes},
			{path: "/etc/codex/config.toml", format: formatTOML, shapes: codexShapes}}},
	{Name: "continue", Title: "Continue", processes: []string{"cn"},
		places: []spot{{path: "~/.continue/config.yaml", format: formatYAML, shapes: continueShapes, env: "CONTINUE_GLOBAL_DIR"}, {path: "~/.continue/mcpServers/*.yaml", format: formatYAML, shapes: continueShapes},
			plain("~/.continue/mcpServers/*.json"), {path: "project/.continue/mcpServers/*.yaml", format: formatYAML, shapes: continueShapes}}},
	{Name: "copilot", Title: "Copilot CLI", processes: []string{"copilot"}, places: []spot{plain("~/.copilot/mcp-config.json"), plain("config/.copilot/mcp-config.json")}},
	{Name: "crush", Title: "Crush", processes: []string{"crush"},
		places: []spot{{path: "config/crush/crush.json", format: formatJSON, shapes: crushShapes}, {path: "project/crush.json", format: formatJSON, shapes: crushShapes}, {path: "project/.crush.json", format: formatJSON, shapes: crushShapes}}},
	{Name: "cursor", Title: "Cursor", processes: []string{"cursor", "Cursor"}, flatpaks: []string{"com.cursor.Cursor"}, places: []spot{plain("~/.cursor/mcp.json"), plain("project/.cursor/mcp.json")}},
	{Name: "factory", Title: "Factory", processes: []string{"droid"}, places: []spot{plain("~/.factory/mcp.json"), plain("project/.factory/mcp.json")}},
	{Name: "gemini", Title: "Gemini CLI", processes: []string{"gemini"}, places: []spot{plain("~/.gemini/settings.json"), plain("project/.gemini/settings.json")}},
	{Name: "goose", Title: "Goose", processes: []string{"goose", "goosed"}, places: []spot{{path: "config/goose/config.yaml", format: formatYAML, shapes: gooseShapes}}},
	{Name: "junie", Title: "JetBrains Junie", processes: []string{"junie", "idea", "pycharm", "goland", "webstorm"}, places: []spot{plain("~/.junie/mcp/mcp.json"), plain("project/.junie/mcp/mcp.json")}},
	{Name: "kimi", Title: "Kimi CLI", processes: []string{"kimi"}, places: []spot{plain("~/.kimi/mcp.json")}},
	{Name: "kiro", Title: "Kiro", processes: []string{"kiro", "kiro-cli"}, places: []spot{plain("~/.kiro/settings/mcp.json"), plain("project/.kiro/settings/mcp.json")}},
	{Name: "librechat", Title: "LibreChat", places: []spot{{path: "project/librechat.yaml", format: formatYAML, shapes: plainShapes}}},
	{Name: "lm-studio", Title: "LM Studio", processes: []string{"lm-studio", "lms"}, places: []spot{plain("~/.lmstudio/mcp.json"), plain("~/.cache/lm-studio/mcp.json")}},
	{Name: "opencode", Title: "opencode", processes: []string{"opencode"},
		places: []spot{{path: "config/opencode/opencode.json", format: formatJSON, shapes: opencodeShapes}, {path: "config/opencode/opencode.jsonc", format: formatJSON, shapes: opencodeShapes},
			{path: "project/opencode.json", format: formatJSON, shapes: opencodeShapes}, {path: "project/opencode.jsonc", format: formatJSON, shapes: opencodeShapes}}},
	{Name: "qoder", Title: "Qoder", processes: []string{"qoder"}, places: []spot{plain("~/.qoder/mcp.json")}},
	{Name: "qwen", Title: "Qwen Code", processes: []string{"qwen"}, places: []spot{plain("~/.qwen/settings.json"), plain("project/.qwen/settings.json")}},
	{Name: "roo", Title: "Roo Code", readOnly: "Roo Code is no longer kept, and its files are only looked at",
		places: []spot{plain("config/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"), plain("project/.roo/mcp.json")}},
	{Name: "trae", Title: "Trae", processes: []string{"trae"}, places: []spot{plain("config/Trae/User/mcp.json")}},
	{Name: "vibe", Title: "Mistral Vibe", processes: []string{"vibe"}, places: []spot{{path: "~/.vibe/config.toml", format: formatTOML, shapes: vibeShapes}}},
	{Name: "vscode", Title: "VS Code", processes: []string{"code"}, flatpaks: []string{"com.visualstudio.code"}, snaps: []string{"code"},
		places: append(vscode("Code"), spot{path: "project/.vscode/mcp.json", format: formatJSON, shapes: codeShapes})},
	{Name: "vscode-insiders", Title: "VS Code Insiders", processes: []string{"code-insiders"}, flatpaks: []string{"com.visualstudio.code.insiders"}, snaps: []string{"code-insiders"}, places: vscode("Code - Insiders")},
	{Name: "vscode-server", Title: "VS Code Server", places: []spot{{path: "~/.vscode-server/data/User/mcp.json", format: formatJSON, shapes: codeShapes}, {path: "~/.vscode-server-insiders/data/User/mcp.json", format: formatJSON, shapes: codeShapes}}},
	{Name: "vscodium", Title: "VSCodium", processes: []string{"codium"}, flatpaks: []string{"com.vscodium.codium"}, snaps: []string{"codium"}, places: vscode("VSCodium")},
	{Name: "warp", Title: "Warp", processes: []string{"warp", "warp-terminal"}, places: []spot{plain("~/.warp/.mcp.json"), plain("project/.warp/.mcp.json")}},
	{Name: "windsurf", Title: "Windsurf", processes: []string{"windsurf"}, places: []spot{plain("~/.codeium/windsurf/mcp_config.json"), plain("~/.codeium/mcp_config.json")}},
	{Name: "zed", Title: "Zed", processes: []string{"zed", "zed-editor", "zeditor"}, flatpaks: []string{"dev.zed.Zed"},
		places: []spot{{path: "config/zed/settings.json", format: formatJSON, shapes: zedShapes}, {path: "project/.zed/settings.json", format: formatJSON, shapes: zedShapes}}},
}
