#!/bin/sh
# Runs every fuzz target for FUZZTIME each.
set -eu
cd "$(dirname "$0")/.."
time=${FUZZTIME:-30s}
tags=urfave_cli_no_docs,runc_nocriu

grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . >/dev/null || exit 0
for file in $(grep -rlE --include='*_test.go' '^func Fuzz' . | sort); do
	dir=$(dirname "$file")
	for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]+).*/\1/p' "$file"); do
		echo "== $dir $target"
		go test -tags $tags -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$dir"
	done
done
