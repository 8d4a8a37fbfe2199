#!/bin/sh
# Runs every fuzz target for FUZZTIME each; a target that a build leaves out is an
# error, not a pass.
set -eu
cd "$(dirname "$0")/.."
time=${FUZZTIME:-30s}
tags=urfave_cli_no_docs,runc_nocriu

for file in $(grep -rlE --include='*_test.go' '^func Fuzz' . | sort); do
	dir=$(dirname "$file")
	experiment=$(sed -nE 's/^\/\/go:build goexperiment\.([a-z0-9]+)$/\1/p' "$file")
	for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]+).*/\1/p' "$file"); do
		echo "== $dir $target"
		if ! GOEXPERIMENT=$experiment go test -tags $tags -run '^$' -list "^$target\$" "$dir" | grep -qx "$target"; then
			echo "cannot find $target in $dir: its build constraint leaves it out" >&2
			exit 1
		fi
		GOEXPERIMENT=$experiment go test -tags $tags -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$dir"
	done
done
