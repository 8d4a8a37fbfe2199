#!/bin/sh
# gofmt, vet, staticcheck, deadcode, exported names and, where its database can be reached, govulncheck.
set -eu
cd "$(dirname "$0")/.."
tags=urfave_cli_no_docs,runc_nocriu

unformatted=$(gofmt -l $(git ls-files '*.go'))
if [ -n "$unformatted" ]; then
	echo "gofmt would change:" >&2
	echo "$unformatted" >&2
	exit 1
fi
go vet -tags $tags ./...
go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 -tags $tags ./...

# What no command reaches is a test's own, or goes. These are for tests of several packages:
# faults, attacks, a registry, one layer alone, the rows whose filter is compiled beforehand,
# and what runs before main does.
tests='^(sandbox/internal/(fault|golden|probe)/|sandbox/(pack/packtest|host/hosttest|internal/seccomp/seccomptest|internal/hello/hellotest|internal/listeners/nettest)/|sandbox/internal/child/onelayer\.go|sandbox/internal/seccomp/launcher\.go|cmd/mcpen/graceperiod/rejoin_unsafe\.go)'
unreached=$(go run golang.org/x/tools/cmd/deadcode@v0.52.0 -tags $tags ./...)
unreached=$(printf '%s\n' "$unreached" | grep -vE "$tests" || true)
untested=$(go run golang.org/x/tools/cmd/deadcode@v0.52.0 -test -tags $tags,integration ./...)
if [ -n "$unreached$untested" ]; then
	echo "no command or no test reaches:" >&2
	printf '%s\n%s\n' "$unreached" "$untested" >&2
	exit 1
fi

# An exported name that no other package needs misleads a reader about what a package is for.
# Package trial is in motion, and the eye's type is named as its variable.
public='mcpen/sandbox/(trial\.|internal/notify\.Eye$)'
unneeded=$(go run ./scripts/exported $tags,integration,soak,eval)
unneeded=$(printf '%s\n' "$unneeded" | grep -vE "$public" || true)
if [ -n "$unneeded" ]; then
	echo "exported, and no other package needs it:" >&2
	printf '%s\n' "$unneeded" >&2
	exit 1
fi

out=$(mktemp)
trap 'rm -f "$out"' EXIT
if go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 -tags $tags ./... >"$out" 2>&1; then
	tail -n 3 "$out"
elif grep -qE 'fetching vulnerabilities|dial tcp|no such host|connection refused|403|404' "$out"; then
	echo "govulncheck: its database cannot be reached from here; not checked" >&2
else
	cat "$out" >&2
	exit 1
fi
