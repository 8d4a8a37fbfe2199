package program

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"mcpen/sandbox/host"
	"mcpen/sandbox/host/hosttest"

	"github.com/google/go-cmp/cmp"
)

// tree is a made-up machine and the environment in which a test looks for programs.
type tree struct {
	*hosttest.Tree
	env FindEnv
}

func newTree(t *testing.T) *tree {
	m := hosttest.New(t)
	tr := &tree{m, FindEnv{Root: m.Root, Home: m.Root + "/home/u", Dir: m.Root + "/home/u/work", Vars: map[string]string{}}}
	tr.env.Path = tr.At("/usr/bin")
	tr.Exe("/usr/bin/env")
	tr.File("/home/u/work/README", "")
	return tr
}

// pyenvShim is a shim as pyenv writes it.
const pyenvShim = "#!/usr/bin/env bash\nset -e\nexport PYENV_ROOT=\"ROOT/home/u/.pyenv\"\nexec \"ROOT/home/u/.pyenv/libexec/pyenv\" exec \"$program\" \"$@\"\n"

// asdfShim is a shim as asdf writes it.
const asdfShim = "#!/usr/bin/env bash\n# asdf-plugin: nodejs 18.0.0\n# asdf-plugin: nodejs 20.1.0\nexec ROOT/home/u/.asdf/bin/asdf exec \"node\" \"$@\" # asdf_allow: ' asdf '\n"

// pnpmShim is a shim as pnpm writes it.
const pnpmShim = `#!/bin/sh
basedir=$(dirname "$(echo "$0" | sed -e 's,\\\\,/,g')")
if [ -x "$basedir/node" ]; then
  exec "$basedir/node"  "$basedir/global/5/node_modules/srv/cli.js" "$@"
else
  exec node  "$basedir/global/5/node_modules/srv/cli.js" "$@"
fi
`

// nodeVersion lays out one unpacked node with npm.
func (tr *tree) nodeVersion(dir string) {
	tr.Exe(dir + "/bin/node")
	tr.Script(dir+"/lib/node_modules/npm/bin/npx-cli.js", "#!/usr/bin/env node\n")
	tr.Link(dir+"/bin/npx", "../lib/node_modules/npm/bin/npx-cli.js")
}

// found is the expectation of a row of the table, with "ROOT" and "~" filled in.
type found struct {
	args  []string // Args; the program is its first unless path says otherwise
	path  string
	needs []string
	first string // the first directory of PATH inside
	via   string // a part of the explanation for people
}

var findCases = []struct {
	name  string
	setup func(*tree)
	argv  []string
	want  found
}{
	{"system binary needs nothing", func(tr *tree) { tr.Exe("/usr/bin/node") }, []string{"node", "-e", "1"},
		found{args: []string{"/usr/bin/node", "-e", "1"}}},
	{"usr local is the system's", func(tr *tree) { tr.Exe("/usr/local/bin/node"); tr.env.Path = tr.At("/usr/local/bin") }, []string{"node"},
		found{args: []string{"/usr/local/bin/node"}}},
	{"multi-call binary keeps its name", func(tr *tree) { tr.Exe("/usr/bin/busybox"); tr.Link("/usr/bin/ls", "busybox") }, []string{"ls"},
		found{args: []string{"/usr/bin/ls"}}},
	{"multi-call binary behind a link that is not visible", func(tr *tree) { tr.Exe("/usr/bin/busybox"); tr.Link("~/bin/ls", "ROOT/usr/bin/busybox") }, []string{"ROOT/home/u/bin/ls"},
		found{path: "/usr/bin/busybox", args: []string{"/home/u/bin/ls"}}},

	{"nvm on PATH", func(tr *tree) {
		tr.nodeVersion("~/.nvm/versions/node/v20.1.0")
		tr.env.Path = tr.At("~/.nvm/versions/node/v20.1.0/bin")
	}, []string{"npx", "-y", "x"},
		found{args: []string{"~/.nvm/versions/node/v20.1.0/bin/node", "~/.nvm/versions/node/v20.1.0/bin/npx", "-y", "x"},
			needs: []string{"~/.nvm/versions/node/v20.1.0"}, first: "~/.nvm/versions/node/v20.1.0/bin"}},
	{"nvm not on PATH, default by aliases", func(tr *tree) {
		tr.nodeVersion("~/.nvm/versions/node/v9.0.0")
		tr.nodeVersion("~/.nvm/versions/node/v20.9.0")
		tr.nodeVersion("~/.nvm/versions/node/v20.11.1")
		tr.nodeVersion("~/.nvm/versions/node/v22.0.0")
		tr.File("~/.nvm/alias/default", "lts/*\n")
		tr.File("~/.nvm/alias/lts/*", "lts/iron\n")
		tr.File("~/.nvm/alias/lts/iron", "v20.11.1\n")
	}, []string{"node"}, found{args: []string{"~/.nvm/versions/node/v20.11.1/bin/node"}, needs: []string{"~/.nvm/versions/node/v20.11.1"}, via: "not on PATH"}},
	{"nvm not on PATH, default by major", func(tr *tree) {
		tr.nodeVersion("~/.nvm/versions/node/v20.9.0")
		tr.nodeVersion("~/.nvm/versions/node/v20.11.1")
		tr.nodeVersion("~/.nvm/versions/node/v22.0.0")
		tr.File("~/.nvm/alias/default", "20\n")
	}, []string{"node"}, found{args: []string{"~/.nvm/versions/node/v20.11.1/bin/node"}, needs: []string{"~/.nvm/versions/node/v20.11.1"}}},
	{"nvm not on PATH, no default: the newest", func(tr *tree) {
		tr.nodeVersion("~/.nvm/versions/node/v9.0.0")
		tr.nodeVersion("~/.nvm/versions/node/v22.0.0")
	}, []string{"npx"}, found{args: []string{"~/.nvm/versions/node/v22.0.0/bin/node", "~/.nvm/versions/node/v22.0.0/bin/npx"}, needs: []string{"~/.nvm/versions/node/v22.0.0"}}},

	{"fnm default", func(tr *tree) {
		tr.nodeVersion("~/.local/share/fnm/node-versions/v20.1.0/installation")
		tr.Link("~/.local/share/fnm/aliases/default", "ROOT/home/u/.local/share/fnm/node-versions/v20.1.0/installation")
	}, []string{"node"}, found{args: []string{"~/.local/share/fnm/node-versions/v20.1.0/installation/bin/node"},
		needs: []string{"~/.local/share/fnm/node-versions/v20.1.0/installation"}}},
	{"fnm multishell on PATH", func(tr *tree) {
		tr.nodeVersion("~/.local/share/fnm/node-versions/v20.1.0/installation")
		tr.Link("/run/user/1/fnm_multishells/7", "ROOT/home/u/.local/share/fnm/node-versions/v20.1.0/installation")
		tr.env.Path = tr.At("/run/user/1/fnm_multishells/7/bin")
	}, []string{"npx"}, found{args: []string{"~/.local/share/fnm/node-versions/v20.1.0/installation/bin/node", "~/.local/share/fnm/node-versions/v20.1.0/installation/bin/npx"},
		needs: []string{"~/.local/share/fnm/node-versions/v20.1.0/installation"}}},

	{"volta default platform", func(tr *tree) {
		tr.nodeVersion("~/.volta/tools/image/node/20.1.0")
		tr.Exe("~/.volta/bin/volta-shim")
		tr.Link("~/.volta/bin/npx", "volta-shim")
		tr.File("~/.volta/tools/user/platform.json", `{"node":{"runtime":"20.1.0","npm":null},"yarn":null}`)
	}, []string{"npx"}, found{args: []string{"~/.volta/tools/image/node/20.1.0/bin/node", "~/.volta/tools/image/node/20.1.0/bin/npx"},
		needs: []string{"~/.volta/tools/image/node/20.1.0"}, via: "volta shim"}},
	{"volta pinned by the project", func(tr *tree) {
		tr.nodeVersion("~/.volta/tools/image/node/18.0.0")
		tr.nodeVersion("~/.volta/tools/image/node/20.1.0")
		tr.Exe("~/.volta/bin/volta-shim")
		tr.Link("~/.volta/bin/node", "volta-shim")
		tr.File("~/.volta/tools/user/platform.json", `{"node":{"runtime":"20.1.0","npm":null}}`)
		tr.File("~/work/package.json", `{"volta":{"node":"18.0.0"}}`)
	}, []string{"node"}, found{args: []string{"~/.volta/tools/image/node/18.0.0/bin/node"}, needs: []string{"~/.volta/tools/image/node/18.0.0"}}},
	{"volta package runs on its own node", func(tr *tree) {
		tr.nodeVersion("~/.volta/tools/image/node/18.0.0")
		tr.nodeVersion("~/.volta/tools/image/node/20.1.0")
		tr.Exe("~/.volta/bin/volta-shim")
		tr.Link("~/.volta/bin/srv", "volta-shim")
		tr.File("~/.volta/tools/user/platform.json", `{"node":{"runtime":"20.1.0"}}`)
		tr.File("~/.volta/tools/user/bins/srv.json", `{"name":"srv","package":"@a/srv","version":"1.0.0","platform":{"node":"18.0.0"}}`)
		tr.Script("~/.volta/tools/image/packages/@a/srv/lib/node_modules/@a/srv/cli.js", "#!/usr/bin/env node\n")
		tr.Link("~/.volta/tools/image/packages/@a/srv/bin/srv", "../lib/node_modules/@a/srv/cli.js")
	}, []string{"srv"}, found{args: []string{"~/.volta/tools/image/node/18.0.0/bin/node", "~/.volta/tools/image/packages/@a/srv/bin/srv"},
		needs: []string{"~/.volta/tools/image/packages/@a/srv", "~/.volta/tools/image/node/18.0.0"}}},

	{"asdf by the nearest .tool-versions", func(tr *tree) {
		tr.Script("~/.asdf/shims/node", asdfShim)
		tr.Exe("~/.asdf/installs/nodejs/18.0.0/bin/node")
		tr.Exe("~/.asdf/installs/nodejs/20.1.0/bin/node")
		tr.File("~/.tool-versions", "nodejs 20.1.0\n")
		tr.File("~/work/.tool-versions", "python 3.12.0\nnodejs 18.0.0 # old\n")
	}, []string{"node"}, found{args: []string{"~/.asdf/installs/nodejs/18.0.0/bin/node"}, needs: []string{"~/.asdf/installs/nodejs/18.0.0"}}},
	{"asdf by the home's .tool-versions", func(tr *tree) {
		tr.Script("~/.asdf/shims/node", asdfShim)
		tr.Exe("~/.asdf/installs/nodejs/20.1.0/bin/node")
		tr.File("~/.tool-versions", "nodejs 20.1.0\n")
		tr.env.Dir = tr.At("/usr")
	}, []string{"node"}, found{args: []string{"~/.asdf/installs/nodejs/20.1.0/bin/node"}, needs: []string{"~/.asdf/installs/nodejs/20.1.0"}}},
	{"asdf's system version is the next on PATH", func(tr *tree) {
		tr.Script("~/.asdf/shims/node", asdfShim)
		tr.File("~/.tool-versions", "nodejs system\n")
		tr.Exe("/usr/bin/node")
		tr.env.Path = tr.At("~/.asdf/shims") + ":" + tr.At("/usr/bin")
	}, []string{"node"}, found{args: []string{"/usr/bin/node"}}},

	{"mise by mise.toml", func(tr *tree) {
		tr.Exe("~/.local/bin/mise")
		tr.Link("~/.local/share/mise/shims/node", "ROOT/home/u/.local/bin/mise")
		tr.Exe("~/.local/share/mise/installs/node/20.11.1/bin/node")
		tr.Exe("~/.local/share/mise/installs/node/22.0.0/bin/node")
		tr.File("~/.config/mise/config.toml", "[tools]\nnode = \"22\"\n")
		tr.File("~/work/mise.toml", "[tools]\nnode = { version = \"20\" }\n")
	}, []string{"node"}, found{args: []string{"~/.local/share/mise/installs/node/20.11.1/bin/node"}, needs: []string{"~/.local/share/mise/installs/node/20.11.1"}}},
	{"mise by its own links", func(tr *tree) {
		tr.Exe("~/.local/bin/mise")
		tr.Link("~/.local/share/mise/shims/python3", "ROOT/home/u/.local/bin/mise")
		tr.Exe("~/.local/share/mise/installs/python/3.12.4/bin/python3")
		tr.Link("~/.local/share/mise/installs/python/latest", "./3.12.4")
		tr.File("~/.config/mise/config.toml", "[tools]\nnode = \"22\"\npython = [\"latest\"]\n")
	}, []string{"python3"}, found{args: []string{"~/.local/share/mise/installs/python/3.12.4/bin/python3"}, needs: []string{"~/.local/share/mise/installs/python/3.12.4"}}},

	{"pyenv global", func(tr *tree) {
		tr.Script("~/.pyenv/shims/python3", pyenvShim)
		tr.Exe("~/.pyenv/versions/3.12.1/bin/python3.12")
		tr.Link("~/.pyenv/versions/3.12.1/bin/python3", "python3.12")
		tr.File("~/.pyenv/version", "3.12.1\n")
	}, []string{"python3", "-V"}, found{args: []string{"~/.pyenv/versions/3.12.1/bin/python3", "-V"}, needs: []string{"~/.pyenv/versions/3.12.1"}, first: "~/.pyenv/versions/3.12.1/bin"}},
	{"pyenv by .python-version and prefix", func(tr *tree) {
		tr.Script("~/.pyenv/shims/python3", pyenvShim)
		tr.Exe("~/.pyenv/versions/3.11.2/bin/python3")
		tr.Exe("~/.pyenv/versions/3.11.10/bin/python3")
		tr.Exe("~/.pyenv/versions/3.12.1/bin/python3")
		tr.File("~/.pyenv/version", "3.12.1\n")
		tr.File("~/work/.python-version", "# here\n3.11\n")
	}, []string{"python3"}, found{args: []string{"~/.pyenv/versions/3.11.10/bin/python3"}, needs: []string{"~/.pyenv/versions/3.11.10"}}},
	{"pyenv by PYENV_VERSION", func(tr *tree) {
		tr.Script("~/.pyenv/shims/python3", pyenvShim)
		tr.Exe("~/.pyenv/versions/3.11.2/bin/python3")
		tr.Exe("~/.pyenv/versions/3.12.1/bin/python3")
		tr.File("~/.pyenv/version", "3.12.1\n")
		tr.env.Vars["PYENV_VERSION"] = "3.11.2"
	}, []string{"python3"}, found{args: []string{"~/.pyenv/versions/3.11.2/bin/python3"}, needs: []string{"~/.pyenv/versions/3.11.2"}}},
	{"pyenv system is the next on PATH", func(tr *tree) {
		tr.Script("~/.pyenv/shims/python3", pyenvShim)
		tr.File("~/.pyenv/version", "system\n")
		tr.Exe("/usr/bin/python3")
		tr.env.Path = tr.At("~/.pyenv/shims") + ":" + tr.At("/usr/bin")
	}, []string{"python3"}, found{args: []string{"/usr/bin/python3"}, via: "the system's"}},
	{"a script whose interpreter is a shim", func(tr *tree) {
		tr.Script("~/.pyenv/shims/python3", pyenvShim)
		tr.Exe("~/.pyenv/versions/3.12.1/bin/python3")
		tr.File("~/.pyenv/version", "3.12.1\n")
		tr.Script("~/work/srv", "#!ROOT/home/u/.pyenv/shims/python3 -u\n")
	}, []string{"./srv"}, found{args: []string{"~/.pyenv/versions/3.12.1/bin/python3", "-u", "~/work/srv"},
		needs: []string{"~/work", "~/.pyenv/versions/3.12.1"}}},

	{"uv python and its tool", func(tr *tree) {
		tr.Exe("~/.local/share/uv/python/cpython-3.12.3-linux-x86_64-gnu/bin/python3.12")
		tr.Link("~/.local/share/uv/python/cpython-3.12-linux-x86_64-gnu", "cpython-3.12.3-linux-x86_64-gnu")
		tr.Link("~/.local/share/uv/tools/srv/bin/python", "ROOT/home/u/.local/share/uv/python/cpython-3.12-linux-x86_64-gnu/bin/python3.12")
		tr.File("~/.local/share/uv/tools/srv/pyvenv.cfg", "home = ROOT/home/u/.local/share/uv/python/cpython-3.12-linux-x86_64-gnu/bin\nimplementation = CPython\n")
		tr.Script("~/.local/share/uv/tools/srv/bin/srv", "#!ROOT/home/u/.local/share/uv/tools/srv/bin/python\n")
		tr.Link("~/.local/bin/srv", "ROOT/home/u/.local/share/uv/tools/srv/bin/srv")
	}, []string{"srv"}, found{args: []string{"~/.local/share/uv/tools/srv/bin/python", "~/.local/share/uv/tools/srv/bin/srv"},
		needs: []string{"~/.local/share/uv/tools/srv", "~/.local/share/uv/python/cpython-3.12.3-linux-x86_64-gnu",
			"~/.local/share/uv/python/cpython-3.12-linux-x86_64-gnu"}, first: "~/.local/share/uv/tools/srv/bin"}},
	{"an environment whose link leads through another", func(tr *tree) {
		tr.Exe("~/.local/share/uv/python/cpython-3.12.3-linux-x86_64-gnu/bin/python3.12")
		tr.Link("~/.local/share/uv/python/cpython-3.12-linux-x86_64-gnu", "cpython-3.12.3-linux-x86_64-gnu")
		tr.Link("~/work/.venv/bin/python", "ROOT/home/u/.local/share/uv/python/cpython-3.12-linux-x86_64-gnu/bin/python3.12")
		tr.File("~/work/.venv/pyvenv.cfg", "home = ROOT/home/u/.local/share/uv/python/cpython-3.12.3-linux-x86_64-gnu/bin\n")
	}, []string{".venv/bin/python"}, found{args: []string{"~/work/.venv/bin/python"},
		needs: []string{"~/work/.venv", "~/.local/share/uv/python/cpython-3.12.3-linux-x86_64-gnu", "~/.local/share/uv/python/cpython-3.12-linux-x86_64-gnu"}}},
	{"uv python not on PATH", func(tr *tree) {
		tr.Exe("~/.local/share/uv/python/cpython-3.9.1-linux-x86_64-gnu/bin/python3")
		tr.Exe("~/.local/share/uv/python/cpython-3.12.3-linux-x86_64-gnu/bin/python3")
	}, []string{"python3"}, found{args: []string{"~/.local/share/uv/python/cpython-3.12.3-linux-x86_64-gnu/bin/python3"},
		needs: []string{"~/.local/share/uv/python/cpython-3.12.3-linux-x86_64-gnu"}}},
	{"pipx command on the system's python", func(tr *tree) {
		tr.Exe("/usr/bin/python3")
		tr.Link("~/.local/share/pipx/venvs/srv/bin/python", "ROOT/usr/bin/python3")
		tr.File("~/.local/share/pipx/venvs/srv/pyvenv.cfg", "home = ROOT/usr/bin\n")
		tr.Script("~/.local/share/pipx/venvs/srv/bin/srv", "#!ROOT/home/u/.local/share/pipx/venvs/srv/bin/python\n")
		tr.Link("~/.local/bin/srv", "ROOT/home/u/.local/share/pipx/venvs/srv/bin/srv")
	}, []string{"srv"}, found{args: []string{"~/.local/share/pipx/venvs/srv/bin/python", "~/.local/share/pipx/venvs/srv/bin/srv"},
		needs: []string{"~/.local/share/pipx/venvs/srv"}}},
	{"virtual environment on pyenv, and a script of the project", func(tr *tree) {
		tr.Exe("~/.pyenv/versions/3.12.1/bin/python3")
		tr.Link("~/work/.venv/bin/python", "ROOT/home/u/.pyenv/versions/3.12.1/bin/python3")
		tr.File("~/work/.venv/pyvenv.cfg", "home = ROOT/home/u/.pyenv/versions/3.12.1/bin\n")
		tr.File("~/work/pyproject.toml", "")
		tr.File("~/work/src/server.py", "")
	}, []string{".venv/bin/python", "-u", "src/server.py", "--flag"}, found{args: []string{"~/work/.venv/bin/python", "-u", "~/work/src/server.py", "--flag"},
		needs: []string{"~/work/.venv", "~/.pyenv/versions/3.12.1", "~/work"}}},

	{"Homebrew", func(tr *tree) {
		tr.Exe("/home/linuxbrew/.linuxbrew/Cellar/node/22.0.0/bin/node")
		tr.Link("/home/linuxbrew/.linuxbrew/bin/node", "../Cellar/node/22.0.0/bin/node")
	}, []string{"node"}, found{args: []string{"/home/linuxbrew/.linuxbrew/bin/node"}, needs: []string{"/home/linuxbrew/.linuxbrew"}}},
	{"Nix profile", func(tr *tree) {
		tr.Exe("/nix/store/abc-nodejs-22/bin/node")
		tr.Link("/nix/store/def-profile/bin/node", "ROOT/nix/store/abc-nodejs-22/bin/node")
		tr.Link("~/.nix-profile", "ROOT/nix/store/def-profile")
	}, []string{"node"}, found{args: []string{"/nix/store/def-profile/bin/node"}, needs: []string{"/nix/store"}}},
	{"opt", func(tr *tree) { tr.Exe("/opt/thing/bin/thing") }, []string{"thing"},
		found{args: []string{"/opt/thing/bin/thing"}, needs: []string{"/opt/thing"}}},
	{"a JVM with its settings in /etc", func(tr *tree) {
		tr.Exe("/usr/lib/jvm/java-17/bin/java")
		tr.Link("/usr/bin/java", "ROOT/etc/alternatives/java")
		tr.Link("/etc/alternatives/java", "ROOT/usr/lib/jvm/java-17/bin/java")
		tr.File("/usr/lib/jvm/java-17/lib/jvm.cfg", "")
		tr.File("/etc/java-17/security/java.security", "")
		tr.File("/etc/java-21/security/java.security", "")
		tr.File("/etc/shadow", "")
		tr.File("/etc/ssl/certs/java/cacerts", "")
		tr.Link("/usr/lib/jvm/java-17/conf/security/java.security", "ROOT/etc/java-17/security/java.security")
		tr.Link("/usr/lib/jvm/java-17/lib/security/cacerts", "ROOT/etc/ssl/certs/java/cacerts")
		tr.Link("/usr/lib/jvm/java-17/lib/security/shadow", "ROOT/etc/shadow")
	}, []string{"java", "-jar", "x.jar"}, found{path: "/usr/lib/jvm/java-17/bin/java", args: []string{"/usr/lib/jvm/java-17/bin/java", "-jar", "x.jar"}, needs: []string{"/etc/java-17"}}},
	{"a JVM's jar and its neighbours", func(tr *tree) { tr.Exe("/usr/bin/java"); tr.File("~/work/app/server.jar", "") },
		[]string{"java", "-Xmx64m", "--add-modules", "x", "-jar", "app/server.jar", "--stdio"},
		found{args: []string{"/usr/bin/java", "-Xmx64m", "--add-modules", "x", "-jar", "~/work/app/server.jar", "--stdio"}, needs: []string{"~/work/app"}}},
	{"a JVM's class, which is no file", func(tr *tree) { tr.Exe("/usr/bin/java"); tr.File("~/work/app/server.jar", "") },
		[]string{"java", "-cp", "app/server.jar", "com.example.Main"}, found{args: []string{"/usr/bin/java", "-cp", "app/server.jar", "com.example.Main"}}},
	{"settings of the system's runtimes", func(tr *tree) {
		tr.Exe("/usr/bin/php8.2")
		tr.Link("/usr/bin/php", "php8.2")
		tr.File("/etc/php/8.2/php.ini", "")
		tr.File("/etc/perl/x", "")
	}, []string{"php", "-r", "1"}, found{path: "/usr/bin/php", args: []string{"/usr/bin/php", "-r", "1"}, needs: []string{"/etc/php"}}},
	{"settings of a script by its name", func(tr *tree) {
		tr.Exe("/usr/bin/sh")
		tr.Script("/usr/bin/chromium", "#!ROOT/usr/bin/sh\n")
		tr.File("/etc/chromium.d/default-flags", "")
		tr.Link("/etc/chromium", "ROOT/home/u")
	}, []string{"chromium"}, found{args: []string{"/usr/bin/sh", "/usr/bin/chromium"}, needs: []string{"/etc/chromium.d"}}},
	{"none of a program of the user's", func(tr *tree) {
		tr.Exe("~/.local/bin/php")
		tr.File("/etc/php/8.2/php.ini", "")
	}, []string{"ROOT/home/u/.local/bin/php"}, found{args: []string{"~/.local/bin/php"}, needs: []string{"~/.local/bin/php"}}},
	{"bun is one file", func(tr *tree) { tr.Exe("~/.bun/bin/bun"); tr.Link("~/.bun/bin/bunx", "bun") }, []string{"bun", "run", "x.ts"},
		found{args: []string{"~/.bun/bin/bun", "run", "x.ts"}, needs: []string{"~/.bun/bin/bun"}}},
	{"deno is one file", func(tr *tree) { tr.Exe("~/.deno/bin/deno"); tr.File("~/work/serve.ts", "") }, []string{"deno", "run", "--allow-net", "serve.ts"},
		found{args: []string{"~/.deno/bin/deno", "run", "--allow-net", "~/work/serve.ts"}, needs: []string{"~/.deno/bin/deno", "~/work"}}},

	// The folder of a script belongs to the script, unless people keep everything
	// there.
	{"a script and its neighbours", func(tr *tree) { tr.Exe("/usr/bin/python3"); tr.File("~/work/app/server.py", "") }, []string{"python3", "app/server.py"},
		found{args: []string{"/usr/bin/python3", "~/work/app/server.py"}, needs: []string{"~/work/app"}}},
	{"a script below its project", func(tr *tree) {
		tr.Exe("/usr/bin/node")
		tr.File("~/work/packages/x/package.json", "{}")
		tr.File("~/work/packages/x/dist/index.js", "")
		tr.File("~/work/packages/y/index.js", "")
	}, []string{"node", "packages/x/dist/index.js"},
		found{args: []string{"/usr/bin/node", "~/work/packages/x/dist/index.js"}, needs: []string{"~/work/packages/x"}}},
	{"a script among downloads", func(tr *tree) { tr.Exe("/usr/bin/python3"); tr.File("~/Downloads/server.py", "") }, []string{"python3", "ROOT/home/u/Downloads/server.py"},
		found{args: []string{"/usr/bin/python3", "~/Downloads/server.py"}, needs: []string{"~/Downloads/server.py"}}},
	{"a script among keys", func(tr *tree) { tr.Exe("/usr/bin/python3"); tr.File("~/.aws/server.py", "") }, []string{"python3", "ROOT/home/u/.aws/server.py"},
		found{args: []string{"/usr/bin/python3", "~/.aws/server.py"}, needs: []string{"~/.aws/server.py"}}},
	{"a script in the home", func(tr *tree) { tr.Exe("/usr/bin/python3"); tr.File("~/server.py", "") }, []string{"python3", "ROOT/home/u/server.py"},
		found{args: []string{"/usr/bin/python3", "~/server.py"}, needs: []string{"~/server.py"}}},
	{"a binary in a shared directory is one file", func(tr *tree) { tr.Exe("~/.local/bin/srv"); tr.Exe("~/.local/bin/other") }, []string{"srv"},
		found{args: []string{"~/.local/bin/srv"}, needs: []string{"~/.local/bin/srv"}}},

	{"command of a project's node_modules", func(tr *tree) {
		tr.Exe("/usr/bin/node")
		tr.Script("~/work/node_modules/srv/node_modules/dep/cli.js", "#!/usr/bin/env -S node --no-warnings\n")
		tr.Link("~/work/node_modules/.bin/srv", "../srv/node_modules/dep/cli.js")
	}, []string{"./node_modules/.bin/srv"}, found{args: []string{"/usr/bin/node", "--no-warnings", "~/work/node_modules/.bin/srv"}, needs: []string{"~/work/node_modules"}}},
	{"pnpm's global command", func(tr *tree) {
		tr.Exe("/usr/bin/node")
		tr.Script("~/.local/share/pnpm/srv", pnpmShim)
		tr.Script("~/.local/share/pnpm/global/5/.pnpm/srv@1.0.0/node_modules/srv/cli.js", "#!/usr/bin/env node\n")
		tr.Link("~/.local/share/pnpm/global/5/node_modules/srv", "../.pnpm/srv@1.0.0/node_modules/srv")
	}, []string{"srv"}, found{args: []string{"/usr/bin/node", "~/.local/share/pnpm/global/5/.pnpm/srv@1.0.0/node_modules/srv/cli.js"},
		needs: []string{"~/.local/share/pnpm/global/5/.pnpm"}, via: "starts"}},
	{"entry file of a workspace package", func(tr *tree) {
		tr.Exe("/usr/bin/node")
		tr.File("~/work/packages/srv/package.json", "{}")
		tr.File("~/work/packages/srv/dist/index.js", "")
		tr.File("~/work/node_modules/dep/package.json", "{}")
	}, []string{"node", "--require", "x", "packages/srv/dist/index.js", "other.js"}, found{
		args:  []string{"/usr/bin/node", "--require", "x", "~/work/packages/srv/dist/index.js", "other.js"},
		needs: []string{"~/work/packages/srv", "~/work/node_modules"}}},
	{"a lone script is one file, even with a package in the home", func(tr *tree) {
		tr.Exe("/usr/bin/python3")
		tr.File("~/package.json", "{}")
		tr.File("~/pyproject.toml", "")
		tr.File("~/server.py", "")
	}, []string{"python3", "ROOT/home/u/server.py"}, found{args: []string{"/usr/bin/python3", "~/server.py"}, needs: []string{"~/server.py"}}},
	{"no file after -m or -c", func(tr *tree) { tr.Exe("/usr/bin/python3"); tr.File("~/work/x.py", "") }, []string{"python3", "-Im", "x.py"},
		found{args: []string{"/usr/bin/python3", "-Im", "x.py"}}},
	{"a shell script with a shell behind it", func(tr *tree) {
		tr.Exe("/usr/bin/dash")
		tr.Link("/usr/bin/sh", "dash")
		tr.Script("~/work/run", "#! ROOT/usr/bin/sh -e -x\n")
	}, []string{"./run", "a"}, found{args: []string{"/usr/bin/sh", "-e -x", "~/work/run", "a"}, needs: []string{"~/work"}}},
}

func TestFindFollowsToWhatIsExecuted(t *testing.T) {
	for _, c := range findCases {
		t.Run(c.name, func(t *testing.T) {
			tr := newTree(t)
			c.setup(tr)
			fill := func(s string) string {
				if strings.HasPrefix(s, "~") || strings.HasPrefix(s, "/") {
					return tr.At(s)
				}
				return s
			}
			argv := make([]string, len(c.argv))
			for i, a := range c.argv {
				argv[i] = strings.ReplaceAll(a, "ROOT", tr.Root)
			}
			got, err := Find(argv, tr.env)
			if err != nil {
				t.Fatal(err)
			}
			var args, needs, have []string
			for _, a := range c.want.args {
				args = append(args, fill(a))
			}
			for _, n := range c.want.needs {
				needs = append(needs, fill(n))
			}
			for _, n := range got.Needs {
				have = append(have, n.Path)
				if n.Why == "" {
					t.Errorf("%q is needed for no reason", n.Path)
				}
			}
			path := args[0]
			if c.want.path != "" {
				path = fill(c.want.path)
			}
			if got.Path != path {
				t.Errorf("path %q, want %q", got.Path, path)
			}
			if d := cmp.Diff(args, got.Args); d != "" {
				t.Errorf("args (-want +got):\n%s", d)
			}
			if d := cmp.Diff(needs, have); d != "" {
				t.Errorf("needs (-want +got):\n%s", d)
			}
			search := got.Env[len(got.Env)-1].Value
			if c.want.first != "" && !strings.HasPrefix(search, fill(c.want.first)+":") {
				t.Errorf("PATH %q does not begin with %q", search, c.want.first)
			}
			if !strings.HasSuffix(search, "/usr/local/bin:/usr/bin:/bin") {
				t.Errorf("PATH %q does not end with the system's directories", search)
			}
			if !strings.Contains(strings.Join(got.Via, "\n"), c.want.via) {
				t.Errorf("via %q does not say %q", got.Via, c.want.via)
			}
		})
	}
}

// A person who gets one of these errors has to learn the remedy, and a client tells 126
// from 127.
func TestFindRefusesWithAReason(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(*tree)
		argv  string
		kind  Kind
		says  string
		hint  string
	}{
		{"absent", func(*tree) {}, "nosuch", NotFound, "not on PATH", ""},
		{"absent file", func(*tree) {}, "./nosuch", NotFound, "does not exist", ""},
		{"not executable", func(tr *tree) { tr.File("~/work/run.sh", "#!/bin/sh\n") }, "./run.sh", NotExecutable, "not executable", "chmod +x"},
		{"a folder", func(tr *tree) { tr.File("~/work/d/x", "") }, "./d", NotExecutable, "is a directory", ""},
		{"dangling", func(tr *tree) { tr.Link("~/work/x", "nowhere") }, "./x", NotFound, "does not exist", ""},
		{"interpreter absent", func(tr *tree) { tr.Script("~/work/x", "#!/nowhere/python\n") }, "./x", NotFound, "interpreter", ""},
		{"interpreter not on PATH", func(tr *tree) { tr.Script("~/work/x", "#!/usr/bin/env nosuch\n") }, "./x", NotFound, `needs "nosuch"`, ""},
		{"interpreters in a circle", func(tr *tree) { tr.Script("~/work/x", "#!ROOT/home/u/work/x\n") }, "./x", NotExecutable, "interpreters", ""},
		{"env with an option", func(tr *tree) { tr.Script("~/work/x", "#!/usr/bin/env -S -i node\n") }, "./x", NotExecutable, "option -i", ""},
		{"snap", func(tr *tree) {
			tr.Exe("/usr/bin/snap")
			tr.Link("/snap/bin/node", "ROOT/usr/bin/snap")
		}, "node", NotExecutable, "snap", "nvm"},
		{"pyenv version gone", func(tr *tree) {
			tr.Script("~/.pyenv/shims/python3", pyenvShim)
			tr.File("~/.pyenv/version", "3.13.0\n")
		}, "python3", NotFound, "not installed", "pyenv install 3.13.0"},
		{"asdf version gone", func(tr *tree) {
			tr.Script("~/.asdf/shims/node", asdfShim)
			tr.File("~/.tool-versions", "nodejs 21.0.0\n")
		}, "node", NotFound, "not installed", "asdf install nodejs 21.0.0"},
		{"asdf without a version", func(tr *tree) { tr.Script("~/.asdf/shims/node", asdfShim) }, "node", NotFound, "no version is set", "asdf set --home nodejs"},
		{"mise version gone", func(tr *tree) {
			tr.Exe("~/.local/bin/mise")
			tr.Link("~/.local/share/mise/shims/node", "ROOT/home/u/.local/bin/mise")
			tr.File("~/.config/mise/config.toml", "[tools]\nnode = \"22\"\n")
		}, "node", NotFound, "node@22", "mise install"},
		{"volta without a node", func(tr *tree) {
			tr.Exe("~/.volta/bin/volta-shim")
			tr.Link("~/.volta/bin/node", "volta-shim")
		}, "node", NotFound, "no version of node", "volta install node"},
		{"environment of a python that is gone", func(tr *tree) {
			tr.Exe("~/work/.venv/bin/python")
			tr.File("~/work/.venv/pyvenv.cfg", "home = ROOT/home/u/gone/bin\n")
		}, "./.venv/bin/python", NotFound, "is gone", "venv --clear"},
		{"command of an environment with a copied python whose own is gone", func(tr *tree) {
			tr.Exe("~/work/.venv/bin/python")
			tr.Script("~/work/.venv/bin/srv", "#!ROOT/home/u/work/.venv/bin/python\n")
			tr.File("~/work/.venv/pyvenv.cfg", "home = ROOT/home/u/gone/bin\n")
		}, "./.venv/bin/srv", NotFound, "is gone", "venv --clear"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := newTree(t)
			c.setup(tr)
			_, err := Find([]string{c.argv}, tr.env)
			var fe *FindError
			if !errors.As(err, &fe) {
				t.Fatalf("%v is no FindError", err)
			}
			if fe.Kind != c.kind || !strings.Contains(fe.Why, c.says) || !strings.Contains(fe.Hint, c.hint) {
				t.Errorf("kind %d, %q, hint %q; want %d, …%s…, …%s…", fe.Kind, fe.Why, fe.Hint, c.kind, c.says, c.hint)
			}
		})
	}
}

// A program is never found through the working directory: a project could then
// put its own "node" in the way.
func TestFindIgnoresRelativePathEntries(t *testing.T) {
	tr := newTree(t)
	tr.Exe("~/work/node")
	t.Chdir(tr.env.Dir)
	for _, path := range []string{"", ".", ":" + tr.At("/usr/bin"), "../work"} {
		tr.env.Path = path
		if got, err := Find([]string{"node"}, tr.env); err == nil {
			t.Errorf("PATH %q found %q", path, got.Path)
		}
	}
	tr.env.Path = tr.At("~/work")
	if _, err := Find([]string{"node"}, tr.env); err != nil {
		t.Errorf("the same program by an absolute entry: %v", err)
	}
}

// Whatever the command, neither the home nor a directory above it is granted.
func TestFindNeverNeedsTheHome(t *testing.T) {
	tr := newTree(t)
	for _, marker := range []string{"~/package.json", "~/pyvenv.cfg", "/home/package.json", "~/.local/lib/node_modules/x", "~/.local/pyvenv.cfg", "/package.json"} {
		tr.File(marker, "{}")
	}
	tr.Exe("~/bin/a")
	tr.Exe("~/.local/bin/b")
	tr.Script("~/c", "#!ROOT/home/u/bin/a\n")
	tr.Exe("/srv/d") // beside the home, in the folder that holds both
	tr.Script("/srv/e", "#!ROOT/srv/d\n")
	for _, name := range []string{"~/bin/a", "~/.local/bin/b", "~/c", "/srv/e"} {
		got, err := Find([]string{tr.At(name)}, tr.env)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range got.Needs {
			if info := host.Look(n.Path); info.Dir {
				t.Errorf("%s needs the folder %q (%s)", name, n.Path, n.Why)
			}
		}
	}
}

// A program that Find found runs with only the environment that Find returned.
func TestFindOnThisMachine(t *testing.T) {
	for _, command := range []string{"python3", "node", "npx"} {
		t.Run(command, func(t *testing.T) {
			if _, err := exec.LookPath(command); err != nil {
				t.Skipf("no %s", command)
			}
			prog, err := Find([]string{command, "--version"}, FindEnv{Path: os.Getenv("PATH"), Home: os.Getenv("HOME"), Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Cmd{Path: prog.Path, Args: prog.Args, Dir: "/"}
			for _, e := range prog.Env {
				cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%q: %v\n%s", prog.Args, err, out)
			}
		})
	}
}

// A program whose run path points to libraries beside it gets them.
func TestFindGrantsLibrariesBesideTheProgram(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler")
	}
	tr := newTree(t)
	tr.File("~/app/main.c", "int main(void) { return 0; }\n")
	tr.File("~/app/lib/libx.so", "")
	tr.File("~/app/bin/other", "")
	build := func(out string, flags ...string) {
		t.Helper()
		args := append([]string{"-o", tr.At(out), tr.At("~/app/main.c")}, flags...)
		if b, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
	}
	build("~/app/bin/plain")
	build("~/app/bin/beside", "-Wl,-rpath,$ORIGIN/../lib")
	tr.File("~/bin/README", "")
	build("~/bin/above", "-Wl,-rpath,$ORIGIN/..")
	for command, want := range map[string][]string{
		"~/bin/above":      {tr.At("~/bin/above")}, // its libraries would be the whole home
		"~/app/bin/plain":  {tr.At("~/app/bin/plain")},
		"~/app/bin/beside": {tr.At("~/app/bin/beside"), tr.At("~/app/lib")},
	} {
		prog, err := Find([]string{tr.At(command)}, tr.env)
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, n := range prog.Needs {
			have = append(have, n.Path)
		}
		if d := cmp.Diff(want, have); d != "" {
			t.Errorf("%s: %s", command, d)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	order := []string{"v9.11.2", "v10.0.0", "v20.9.0", "v20.11.1", "v22.0.0-rc.1", "v22.0.0", "v22.0.1"}
	for i := range order {
		for j := range order {
			got, want := compareVersions(order[i], order[j]), 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got != want {
				t.Errorf("%s against %s: %d, want %d", order[i], order[j], got, want)
			}
		}
	}
}
