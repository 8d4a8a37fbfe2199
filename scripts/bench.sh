#!/bin/sh
# Measures mcpen beside the bare program and the peers that are installed.
set -eu
cd "$(dirname "$0")/.."
go run ./scripts/bench "$@"
echo
go test -tags urfave_cli_no_docs,runc_nocriu -run '^$' -bench 'Throughput|Ping|View|Compile|Load|List' -benchtime 1s ./sandbox/internal/egress ./sandbox/internal/listeners ./sandbox/internal/relay ./sandbox/internal/rpc ./sandbox/internal/seccomp ./sandbox/guard 2>/dev/null | grep -E '^(Benchmark|pkg)' || true
# Packages: what a start pays for advisories, a verify of twenty trees, a scan, a document without end,
# a registry that sends a byte a second.
go test -tags urfave_cli_no_docs,runc_nocriu -run '^$' -bench 'Standing|Verify|FindAdvisories|Endless|Dripping' -benchtime 1s ./cmd/mcpen ./sandbox/pack/... 2>/dev/null | grep -E '^(Benchmark|pkg)' || true
