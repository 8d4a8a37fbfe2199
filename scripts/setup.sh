#!/bin/sh
# Installs what building mcpen needs and is missing and, with "test", what testing
# it needs: libseccomp, which compiles the filters anew, and the programs that tests
# start. Says nothing when nothing is missing.
set -eu

missing=
command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
if [ "${1:-}" = test ]; then
	command -v pkg-config >/dev/null 2>&1 || missing="$missing pkg-config"
	if ! command -v pkg-config >/dev/null 2>&1 || ! pkg-config --exists libseccomp; then
		missing="$missing libseccomp-dev"
	fi
	# command:package, as servers, packages and those that look on need them.
	for each in node:nodejs npm:npm python3:python3 git:git bzip2:bzip2 sqlite3:sqlite3 tmux:tmux bwrap:bubblewrap; do
		command -v "${each%:*}" >/dev/null 2>&1 || missing="$missing ${each#*:}"
	done
	python3 -c 'import ensurepip, pip' 2>/dev/null || missing="$missing python3-pip python3-venv"
fi
command -v go >/dev/null 2>&1 || missing="$missing golang-go"

if [ -n "$missing" ]; then
	if ! command -v apt-get >/dev/null 2>&1; then
		echo "mcpen needs:$missing" >&2
		echo "on Fedora: sudo dnf install gcc pkgconf-pkg-config libseccomp-devel golang nodejs python3-pip git bzip2 sqlite tmux bubblewrap" >&2
		exit 1
	fi
	sudo=
	if [ "$(id -u)" != 0 ]; then
		sudo=sudo
		if ! command -v sudo >/dev/null 2>&1; then
			echo "mcpen needs:$missing" >&2
			echo "as root: apt-get install -y --no-install-recommends$missing" >&2
			exit 1
		fi
	fi
	echo "installing$missing" >&2
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # the list is words
	if ! $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1; then
		$sudo apt-get update -qq
		$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
	fi
fi

# What a package manager has may be too old to fetch the toolchain that go.mod names.
"$(dirname "$0")/go" version >/dev/null
