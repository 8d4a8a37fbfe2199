#!/bin/sh
# demo.sh shows mcpen at work: a server that does whatever it is asked, and what
# becomes of it in its pen; then, where npm is there, two servers that everybody
# uses. Everything happens in a temporary folder, with a home of its own.
#
# usage: scripts/demo.sh [MCPEN]     (default: bin/mcpen beside scripts/)
set -eu

repo=$(cd "$(dirname "$0")/.." && pwd)
mcpen=${1:-$repo/bin/mcpen}
if [ ! -x "$mcpen" ]; then
	echo "demo: cannot find $mcpen: run make first" >&2
	exit 1
fi

bold= faint= reset= colour=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
	esc=$(printf '\033')
	bold="$esc[1m" faint="$esc[2m" reset="$esc[0m" colour=-colour
fi
say() { printf '\n%s%s%s\n' "$bold" "$1" "$reset"; }
note() { printf '%s%s%s\n' "$faint" "$1" "$reset"; }

# Not below /tmp: a server has one of its own, and what is given to it from there is held
# by one layer less.
base=${XDG_CACHE_HOME:-$HOME/.cache}
mkdir -p "$base"
tmp=$(mktemp -d "$base/mcpen-demo.XXXXXX")
listener=
cleanup() {
	if [ -n "$listener" ]; then
		kill "$listener" 2>/dev/null || true
		wait "$listener" 2>/dev/null || true
	fi
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A home with something to lose, and a project.
user_home=$HOME
home=$tmp/home
project=$home/project
mkdir -p "$home/.ssh" "$project/notes" "$project/out" "$project/.git/hooks" "$tmp/run"
chmod 700 "$tmp/run"
printf 'this would be a private key\n' >"$home/.ssh/id_rsa"
printf 'milk, bread, a new padlock\n' >"$project/notes/shopping.txt"
export HOME="$home" XDG_STATE_HOME="$home/.local/state" XDG_CONFIG_HOME="$home/.config" XDG_RUNTIME_DIR="$tmp/run"
export DEMO_TOKEN=do-not-tell

bin=${MCPEN_DEMO_BIN:-$tmp/bin} # where they are built already
if [ -z "${MCPEN_DEMO_BIN:-}" ]; then
	note "building the example server and the example client"
	(cd "$repo" && HOME=$user_home scripts/go build -o "$bin/" ./examples/mischief ./examples/client)
fi
client=$bin/client
cd "$project"

read_key='read_file={"path":"'$home'/.ssh/id_rsa"}'
read_notes='read_file={"path":"'$project'/notes/shopping.txt"}'
metadata='connect={"host":"169.254.169.254","port":80}'

say "1. On its own, the server can do all that you can"
"$client" $colour -list \
	-allowed "$read_notes" \
	-allowed "$read_key" \
	-allowed environment \
	-- "$bin/mischief"

say "2. The same server in its pen"
profile=$tmp/mischief.toml # a copy: what the server says is kept beside its profile
cp "$repo/examples/mischief/mischief.toml" "$profile"
note "its profile:"
sed -n '/^\[filesystem\]/,/^$/p; /^\[network\]/,/^$/p' "$profile" | sed '/^$/d; s/^/  /'

# Something that the profile allows to connect to, where there is a way to have it.
port=8080 connect_allowed=
if command -v python3 >/dev/null 2>&1; then
	mkfifo "$tmp/port"
	HOME=$user_home python3 -u -m http.server --bind 127.0.0.1 --directory "$project/notes" 0 >"$tmp/port" 2>/dev/null &
	listener=$!
	read -r line <"$tmp/port"
	port=$(printf '%s\n' "$line" | sed 's/.* port \([0-9]*\).*/\1/')
	connect_allowed='connect={"host":"localhost","port":'$port'}'
fi
set -- -refused "$metadata"
if [ -n "$connect_allowed" ]; then
	set -- -allowed "$connect_allowed" "$@"
fi
"$client" $colour -list \
	-allowed "$read_notes" \
	-refused "$read_key" \
	-refused 'list_directory={"path":"'$home'/.ssh"}' \
	-allowed 'write_file={"path":"'$project'/out/answer.txt","text":"42"}' \
	-refused 'write_file={"path":"'$project'/notes/shopping.txt","text":""}' \
	-refused 'write_file={"path":"'$project'/.git/hooks/pre-commit","text":"#!/bin/sh"}' \
	"$@" \
	-refused 'connect={"host":"example.com","port":443}' \
	-allowed environment \
	-allowed processes \
	-- "$mcpen" run --workspace "$project" --set "program=$bin/mischief" --set "port=$port" "$profile"

if [ "$(cat "$project/out/answer.txt")" != 42 ]; then
	echo "demo: what the server wrote is not there" >&2
	exit 1
fi
if [ -s "$project/.git/hooks/pre-commit" ]; then
	echo "demo: a hook was planted" >&2
	exit 1
fi

say "3. What mcpen wrote down"
"$mcpen" log mischief || "$mcpen" log

if ! command -v npm >/dev/null 2>&1; then
	say "There is no npm here: the demonstration with npm's servers is left out."
	exit 0
fi

say "4. Two servers from npm"
note "installing @modelcontextprotocol/server-everything and server-filesystem into a temporary folder"
if ! HOME=$user_home npm install --prefix "$tmp/npm" --ignore-scripts --no-audit --no-fund --loglevel=error \
	@modelcontextprotocol/server-everything @modelcontextprotocol/server-filesystem >"$tmp/npm.log" 2>&1; then
	cat "$tmp/npm.log" >&2
	echo "demo: npm could not install them: that part is left out" >&2
	exit 0
fi

note "server-everything, with no profile: no network, no file of yours, no environment"
"$client" $colour -list \
	-allowed 'echo={"message":"hello from the pen"}' \
	-- "$mcpen" run -- "$tmp/npm/node_modules/.bin/mcp-server-everything"

note "server-filesystem, told by its arguments to serve your whole home, and by its profile to have the project"
cat >"$tmp/files.toml" <<TOML
version = 1
name = "files"
extends = ["node"]

[filesystem]
write = ["$project/out"]
read = ["$project/notes"]
TOML
sed 's/^/  /' "$tmp/files.toml"
"$client" $colour \
	-allowed 'read_text_file={"path":"'$project'/notes/shopping.txt"}' \
	-allowed 'write_file={"path":"'$project'/out/list.txt","content":"done"}' \
	-refused 'write_file={"path":"'$project'/notes/shopping.txt","content":""}' \
	-refused 'read_text_file={"path":"'$home'/.ssh/id_rsa"}' \
	-- "$mcpen" run --profile "$tmp/files.toml" -- "$tmp/npm/node_modules/.bin/mcp-server-filesystem" "$home"

say "That is all. Nothing is left of it but what npm keeps in its cache."
