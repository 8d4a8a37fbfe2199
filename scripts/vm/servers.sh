#!/usr/bin/env bash
# Keeps in DIRECTORY what installing real servers asks of the registries that this
# machine's npm and pip are set up with, for each Python of the machines, and the npm
# and uv that install them there.
#
#	scripts/vm/servers.sh DIRECTORY MCPEN ARCHITECTURE [NPM:PACKAGE|PYPI:PACKAGE]…
set -euo pipefail
here=$(dirname "$0")
out=$1 mcpen=$2 arch=$3
shift 3
port=4873
rm -rf "$out" && mkdir -p "$out/registry" "$out/home/.config/pip" "$out/tools"
# upstream is where pip and npm look: their own answers, and pip's own default.
npm=$(npm config get registry)
pip=$(python3 -m pip config get global.index-url 2>/dev/null ||
	python3 -c 'from pip._internal.models.index import PyPI; print(PyPI.simple_url)')
printf 'registry=http://127.0.0.1:%s/%s/\n' $port "$(expr "$npm" : 'https://\(.*[^/]\)')" >"$out/home/.npmrc"
index=http://127.0.0.1:$port/$(expr "$pip" : 'https://\(.*[^/]\)')/
printf '[global]\nindex-url = %s\n' "$index" >"$out/home/.config/pip/pip.conf"

python3 "$here/registry.py" $port "$out/registry" --record &
registry=$!
trap 'kill $registry; rm -rf "$out/scratch"' EXIT
until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2>/dev/null; do sleep 1; done

mkdir -p "$out/scratch" && cp -r "$out/home" "$out/scratch/home"
(cd "$out/scratch" && npm pack --silent npm@10 >/dev/null && tar -xzf npm-10*.tgz && mv package "$out/tools/npm-10")
chmod +x "$out"/tools/npm-10/bin/*.js
ln -s npm-10/bin/npm-cli.js "$out/tools/npm"
# npm prefers versions that the Node at hand can run: the oldest of the machines has its own.
npm install --silent --ignore-scripts=false --prefix "$out/scratch/node" node@18 >/dev/null
for package; do
	env -i HOME="$out/scratch/home" PATH="$PATH" "$mcpen" add "$package" </dev/null
	case $package in
	npm:*)
		env -i HOME="$out/scratch/home" PATH="$out/scratch/node/node_modules/.bin:$PATH" node "$out/tools/npm" install --silent \
			--ignore-scripts --prefix "$out/scratch/oldest" "${package#npm:}" >/dev/null
		continue
		;;
	esac
	for python in 3.11 3.13 3.14; do
		# Wheels of each Python, of which this machine has one.
		python3 -m pip --isolated download -q -i "$index" --no-cache-dir --only-binary :all: --python-version $python --platform "manylinux_2_34_$arch" --platform "manylinux_2_28_$arch" \
			--platform "manylinux_2_17_$arch" --platform "manylinux2014_$arch" -d "$out/scratch/wheels" "${package#pypi:}"
	done
done
python3 -m pip --isolated download -q --no-cache-dir --no-deps --only-binary :all: --platform "manylinux_2_28_$arch" --platform "manylinux2014_$arch" -d "$out/scratch/uv" uv
python3 -m zipfile -e "$out"/scratch/uv/uv-*.whl "$out/scratch/uv"
install -m 0755 "$(find "$out/scratch/uv" -path '*/scripts/uv')" "$out/tools/uv"
