package packtest

import "time"

// Now is the day of the worlds.
var Now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// NPMWorld is a server with a nested and an optional dependency.
func NPMWorld(f *Registry) {
	old := Now.Add(-30 * day)
	f.Publish("@demo/server", "1.0.0", old, map[string]any{"bin": map[string]string{"server": "cli.js", "other": "other.js"},
		"dependencies": map[string]string{"left": "^1.0.0", "right": "^2.0.0"}, "optionalDependencies": map[string]string{"never": "1.0.0", "gone": "1.0.0"}, "license": "MIT",
		"scripts": map[string]string{"postinstall": "touch ../../../../postinstall-ran"}}, map[string]string{
		"cli.js":   "#!/usr/bin/env -S node --no-warnings\nconsole.log('hello', require('left'), require('right'), process.argv[2])\n",
		"other.js": "#!/usr/bin/env node\n"})
	f.Publish("left", "1.0.0", old, map[string]any{"main": "i.js", "bin": "i.js"}, map[string]string{"i.js": "#!/usr/bin/env node\nmodule.exports = 'left1'\n"})
	f.Publish("left", "2.0.0", old, map[string]any{"main": "i.js"}, map[string]string{"i.js": "module.exports = 'left2'\n"})
	f.Publish("left", "1.1.0", Now.Add(-day), map[string]any{"main": "i.js"}, map[string]string{"i.js": "throw 'too young'\n"})
	f.Publish("right", "2.0.0", old, map[string]any{"main": "i.js", "dependencies": map[string]string{"left": "2.0.0"}}, map[string]string{"i.js": "module.exports = 'right+' + require('left')\n"})
	f.Publish("never", "1.0.0", old, map[string]any{"os": []string{"aix"}}, nil)
}

// PyPIWorld is a server with one dependency, which has a version that is too young.
func PyPIWorld(f *Registry) {
	old := Now.Add(-30 * day)
	f.Upload("demo-server", "1.0", old, []string{"demo-dep>=1", "unused; extra == 'x'"}, map[string]string{
		"demo_server/__init__.py":             "import sys, demo_dep\ndef main():\n    print('hello', demo_dep.name, sys.argv[1])\n",
		"demo_server/__pycache__/evil.pyc":    "x",
		"DIST-INFO/entry_points.txt":          "[console_scripts]\ndemo-server = demo_server:main\n\n[other]\nx = y:z\n",
		"demo_server-1.0.data/scripts/a-tool": "#!python\nprint('tool')\n",
		"demo_server/template.py":             "this does not {{ compile }}\n",
	})
	f.Upload("demo-dep", "1.0", old, nil, map[string]string{"demo_dep.py": "name = 'dep1'\n"})
	f.Upload("demo-dep", "1.1", Now.Add(-day), nil, map[string]string{"demo_dep.py": "raise SystemExit('too young')\n"})
}
