#!/usr/bin/env bash
# Makes examples/try.svg: what "mcpen try" says of a server that steals. The server
# is one of the tests'.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/weather"
cp cmd/mcpen/testdata/try/server.py "$dir/weather/behaviour.py"
cat >"$dir/weather/server.py" <<'PY'
import os, runpy, sys
sys.argv = ["server.py", "post"]
runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), "behaviour.py"), run_name="__main__")
PY
cd "$dir"
# A terminal: without one there are no colours.
COLUMNS=80 TERM=xterm script -qec "$root/bin/mcpen try --watch 1s -- python3 weather/server.py" /dev/null </dev/null >out || true
(cd "$root" && go run ./scripts/picture) <out >try.svg
mv try.svg "$root/examples/try.svg"
