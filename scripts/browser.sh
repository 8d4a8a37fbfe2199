#!/usr/bin/env bash
# Opens the page of a report in headless Chromium with axe-core: scripts/browser.mjs.
# PICTURES is where the pictures go.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
lacks() { echo "browser: needs $1" >&2; exit 1; }
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || lacks "Chromium: apt-get install chromium"
command -v node >/dev/null || lacks "node"
command -v npm >/dev/null || lacks "npm"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
(cd "$dir" && npm install --silent --no-audit --no-fund --ignore-scripts axe-core@4 >/dev/null) || lacks "axe-core from npm"
mkdir "$dir/weather"
cp cmd/mcpen/testdata/try/server.py "$dir/weather/server.py"
cd "$dir"
for what in post nothing; do
	"$root/bin/mcpen" try --watch 1s --html "$dir/$what.html" -- python3 weather/server.py "$what" >/dev/null || [ $? = 3 ]
	out=${PICTURES:-$dir}/$what
	mkdir -p "$out"
	echo "$what:"
	node "$root/scripts/browser.mjs" "$chromium" node_modules/axe-core/axe.min.js "$dir/$what.html" "$out"
done
