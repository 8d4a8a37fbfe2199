package program

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/host"

	"github.com/BurntSushi/toml"
)

// known returns the directories in which version managers put programs. Find searches
// them in this order for a command that PATH does not have.
func (f *finder) known(command string) []string {
	var dirs []string
	add := func(dir string) {
		if dir != "" {
			dirs = append(dirs, dir)
		}
	}
	add(f.nvmBin())
	add(f.fnmBin())
	add(f.below(".volta/bin"))
	if v := f.env.Vars["VOLTA_HOME"]; v != "" {
		add(filepath.Join(v, "bin"))
	}
	if m := f.miseRoot(); m != "" {
		add(filepath.Join(m, "shims"))
	}
	for _, root := range []string{f.asdfRoot(), f.pyenvRoot()} {
		if root != "" {
			add(filepath.Join(root, "shims"))
		}
	}
	add(f.below(".local/bin"))
	for _, own := range []struct{ variable, dir string }{{"BUN_INSTALL", ".bun"}, {"DENO_INSTALL", ".deno"}} {
		if base := cmp.Or(f.env.Vars[own.variable], f.below(own.dir)); base != "" {
			add(filepath.Join(base, "bin"))
		}
	}
	add(f.env.Vars["PNPM_HOME"])
	add(f.dataDir("pnpm"))
	add(f.below(".cargo/bin"))
	add(f.below(".npm-global/bin"))
	add(f.uvPython(command))
	if prefix := f.env.Vars["HOMEBREW_PREFIX"]; prefix != "" {
		add(filepath.Join(prefix, "bin"))
	}
	add(f.at("/home/linuxbrew/.linuxbrew/bin"))
	add(f.below(".linuxbrew/bin"))
	add(f.below(".nix-profile/bin"))
	add(f.below(".local/state/nix/profile/bin"))
	if user := f.env.Vars["USER"]; user != "" && !strings.Contains(user, "/") {
		add(f.at("/etc/profiles/per-user/" + user + "/bin"))
	}
	add(f.at("/nix/var/nix/profiles/default/bin"))
	add(f.at("/run/current-system/sw/bin"))
	if opt, err := filepath.Glob(f.at("/opt/*/bin")); err == nil {
		dirs = append(dirs, opt...)
	}
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/bin", "/snap/bin"} {
		add(f.at(dir))
	}
	return dirs
}

// nvmBin returns the directory of nvm's default node, or of the newest one where it
// cannot tell the default.
func (f *finder) nvmBin() string {
	root := cmp.Or(f.env.Vars["NVM_DIR"], f.below(".nvm"))
	if root == "" {
		return ""
	}
	versions := filepath.Join(root, "versions/node")
	alias := "default"
	for range 5 { // default → lts/* → lts/jod → v22.11.0
		text := words(filepath.Join(root, "alias", alias))
		if len(text) == 0 {
			break
		}
		alias = text[0]
		if strings.Contains(alias, "..") {
			return ""
		}
	}
	if dir := installed(versions, alias); dir != "" && alias != "default" {
		return filepath.Join(dir, "bin")
	}
	return newest(versions, "bin")
}

// newest returns the directory sub below the newest version in dir, or "".
func newest(dir, sub string) string {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return ""
	}
	last := slices.MaxFunc(entries, func(a, b os.DirEntry) int { return compareVersions(a.Name(), b.Name()) })
	return filepath.Join(dir, last.Name(), sub)
}

// fnmBin returns the directory of fnm's default node, or of the newest one.
func (f *finder) fnmBin() string {
	for _, root := range []string{f.env.Vars["FNM_DIR"], f.dataDir("fnm"), f.below(".fnm")} {
		if root == "" {
			continue
		}
		if real, _, err := host.Resolve(filepath.Join(root, "aliases/default")); err == nil {
			return filepath.Join(real, "bin")
		}
		if bin := newest(filepath.Join(root, "node-versions"), "installation/bin"); bin != "" {
			return bin
		}
	}
	return ""
}

// uvPython returns the directory of the newest python that uv installed and that has
// the command.
func (f *finder) uvPython(command string) string {
	root := cmp.Or(f.env.Vars["UV_PYTHON_INSTALL_DIR"], f.dataDir("uv/python"))
	if root == "" {
		return ""
	}
	found, err := filepath.Glob(filepath.Join(root, "cpython-*/bin", command))
	if err != nil || len(found) == 0 {
		return ""
	}
	real := slices.MaxFunc(found, compareVersions)
	return filepath.Dir(real)
}

// volta resolves a shim. The version is in the nearest package.json with a "volta"
// section, or else in tools/user/platform.json. The command of an installed package has
// its own platform in tools/user/bins.
func (f *finder) volta(shim, command string) (string, error) {
	root := f.env.Vars["VOLTA_HOME"]
	if root == "" {
		root = filepath.Dir(filepath.Dir(shim))
	}
	image := filepath.Join(root, "tools/image")
	platform, from, err := f.voltaPlatform(root)
	if err != nil {
		return "", f.fail(NotFound, "", "%s is a volta shim: %v", shim, err)
	}
	var at string
	switch tool := map[string]string{"node": "node", "npm": "npm", "npx": "npm", "yarn": "yarn", "yarnpkg": "yarn", "pnpm": "pnpm", "pnpx": "pnpm"}[command]; {
	case tool == "node", tool == "npm" && platform["npm"] == "":
		if platform["node"] == "" {
			return "", f.fail(NotFound, "volta install node", "%s is a volta shim, and no version of node is set", shim)
		}
		at = filepath.Join(image, "node", platform["node"], "bin", command)
	case tool != "":
		if platform[tool] == "" {
			return "", f.fail(NotFound, "volta install "+tool, "%s is a volta shim, and no version of %s is set", shim, tool)
		}
		at = filepath.Join(image, tool, platform[tool], "bin", command)
	default:
		if at, from, platform, err = voltaPackage(root, command, platform); err != nil {
			return "", f.fail(NotFound, "volta install "+command, "%s is a volta shim: %v", shim, err)
		}
	}
	if kind, why := executable(at); kind != 0 {
		return "", f.fail(NotFound, "volta fetch node@"+platform["node"], "%s is a volta shim, and %s (%s)", shim, why, from)
	}
	if node := filepath.Join(image, "node", platform["node"], "bin/node"); platform["node"] != "" && host.Exists(node) {
		f.node = node
	}
	f.via("volta shim %s → %s (%s)", shim, at, from)
	return at, nil
}

// voltaPlatform returns the versions in force by tool, and the file that sets them.
func (f *finder) voltaPlatform(root string) (map[string]string, string, error) {
	def := filepath.Join(root, "tools/user/platform.json")
	var user struct {
		Node struct {
			Runtime string `json:"runtime"`
			NPM     string `json:"npm"`
		} `json:"node"`
		PNPM string `json:"pnpm"`
		Yarn string `json:"yarn"`
	}
	if err := readJSON(def, &user); err != nil && !os.IsNotExist(err) {
		return nil, "", err
	}
	platform := map[string]string{"node": user.Node.Runtime, "npm": user.Node.NPM, "pnpm": user.PNPM, "yarn": user.Yarn}
	for _, file := range f.upward("package.json") {
		var pkg struct {
			Volta map[string]string `json:"volta"`
		}
		if err := readJSON(file, &pkg); err != nil {
			return nil, "", err
		}
		project, from := pkg.Volta, file
		for hops := 0; project["node"] == "" && project["extends"] != "" && hops < 8; hops++ {
			from = filepath.Join(filepath.Dir(from), project["extends"])
			if err := readJSON(from, &pkg); err != nil {
				return nil, "", err
			}
			project = pkg.Volta
		}
		if project["node"] == "" {
			continue
		}
		merged := map[string]string{"node": project["node"], "npm": project["npm"]}
		for _, tool := range []string{"yarn", "pnpm"} {
			merged[tool] = cmp.Or(project[tool], platform[tool])
		}
		return merged, from, nil
	}
	return platform, def, nil
}

// voltaPackage finds the command of a package that volta installed.
func voltaPackage(root, command string, platform map[string]string) (at, from string, own map[string]string, err error) {
	from = filepath.Join(root, "tools/user/bins", command+".json")
	var bin struct {
		Package  string `json:"package"`
		Platform struct {
			Node string `json:"node"`
		} `json:"platform"`
	}
	if err := readJSON(from, &bin); err != nil {
		return "", from, platform, err
	}
	own = map[string]string{"node": cmp.Or(bin.Platform.Node, platform["node"])}
	return filepath.Join(root, "tools/image/packages", filepath.FromSlash(bin.Package), "bin", command), from, own, nil
}

func readJSON(file string, v any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

func (f *finder) miseRoot() string {
	return cmp.Or(f.env.Vars["MISE_DATA_DIR"], f.dataDir("mise"))
}

// miseTool is one tool in a configuration of mise.
type miseTool struct{ name, version, from string }

// miseFiles are the names of mise's configurations, in order of precedence.
var miseFiles = []string{
	"mise.local.toml", ".mise.local.toml", "mise.toml", ".mise.toml", "mise/config.toml", ".mise/config.toml",
	".config/mise.toml", ".config/mise/config.toml", ".tool-versions",
}

// mise resolves a shim. It searches the tools that the configurations name, nearest
// first, for the command.
func (f *finder) mise(shim, command string) (string, error) {
	tools, err := f.miseTools()
	if err != nil {
		return "", f.fail(NotFound, "", "%s is a mise shim: %v", shim, err)
	}
	var missing []string
	for _, t := range tools {
		if t.version == "system" {
			continue
		}
		tool := strings.NewReplacer(":", "-", "/", "-").Replace(strings.TrimPrefix(t.name, "core:"))
		base := filepath.Join(f.miseRoot(), "installs", tool)
		dir := installed(base, strings.TrimPrefix(t.version, "prefix:"))
		if dir == "" && (t.version == "latest" || t.version == "lts") {
			dir = newest(base, "")
		}
		if path, ok := strings.CutPrefix(t.version, "path:"); ok {
			dir = path
		}
		if dir == "" {
			missing = append(missing, t.name+"@"+t.version)
			continue
		}
		if at := inBin(dir, command); at != "" {
			f.via("mise shim %s → %s (%s)", shim, at, t.from)
			return at, nil
		}
	}
	if len(missing) > 0 {
		return "", f.fail(NotFound, "mise install", "%s is a mise shim, and %s is not installed", shim, strings.Join(missing, ", "))
	}
	return "", errElsewhere
}

// miseTools returns the tools in force. The nearest setting of a name wins.
func (f *finder) miseTools() ([]miseTool, error) {
	var tools []miseTool
	add := func(t miseTool) {
		if !slices.ContainsFunc(tools, func(o miseTool) bool { return o.name == t.name && o.from != t.from }) {
			tools = append(tools, t)
		}
	}
	for key, v := range f.env.Vars {
		if tool, ok := strings.CutPrefix(key, "MISE_"); ok && strings.HasSuffix(tool, "_VERSION") && v != "" {
			add(miseTool{strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(tool, "_VERSION"), "_", "-")), v, key})
		}
	}
	slices.SortFunc(tools, func(a, b miseTool) int { return cmp.Compare(a.name, b.name) })
	files := f.upward(miseFiles...)
	config := f.env.Vars["MISE_CONFIG_DIR"]
	if config == "" && f.env.Vars["XDG_CONFIG_HOME"] != "" {
		config = filepath.Join(f.env.Vars["XDG_CONFIG_HOME"], "mise")
	}
	if config = cmp.Or(config, f.below(".config/mise")); config != "" {
		files = append(files, filepath.Join(config, "config.toml"))
	}
	files = append(files, f.below(".tool-versions"))
	for _, file := range files {
		listed, err := miseFile(file)
		if err != nil {
			return nil, err
		}
		for _, t := range listed {
			add(t)
		}
	}
	return tools, nil
}

// miseFile reads the tools of one configuration file.
func miseFile(file string) ([]miseTool, error) {
	var tools []miseTool
	if filepath.Base(file) == ".tool-versions" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, nil
		}
		for line := range strings.Lines(string(b)) {
			line, _, _ = strings.Cut(line, "#")
			for i, w := range strings.Fields(line) {
				if i > 0 {
					tools = append(tools, miseTool{strings.Replace(strings.Fields(line)[0], "nodejs", "node", 1), w, file})
				}
			}
		}
		return tools, nil
	}
	var config struct {
		Tools map[string]any `toml:"tools"`
	}
	meta, err := toml.DecodeFile(file, &config)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, key := range meta.Keys() { // in the order of the file
		if len(key) == 2 && key[0] == "tools" {
			for _, v := range versionsOf(config.Tools[key[1]]) {
				tools = append(tools, miseTool{key[1], v, file})
			}
		}
	}
	return tools, nil
}

// versionsOf reads the value of a tool: "20", ["20", "18"] or {version = "20"}.
func versionsOf(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, versionsOf(one)...)
		}
		return all
	case map[string]any:
		return versionsOf(v["version"])
	}
	return nil
}
