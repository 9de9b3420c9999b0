#!/usr/bin/env bash
# Runs the benchmarks, what is compared side by side in one run, and prints the
# ratios as a table: deploy/benchmarks/run.sh [ROUNDS]. More rounds, less noise.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-5}
out=$(mktemp)
bin=$(mktemp)
trap 'rm -f "$out" "$bin"' EXIT
go build -o "$bin" ./cmd/mfawatch

bench() { # tag, arguments of go test
	local tag=$1
	shift
	go test -run '^$' -benchtime 0.5s "$@" | sed "s/^Benchmark/Benchmark$tag:/" | grep '^Benchmark' >>"$out"
}

for _ in $(seq "$rounds"); do
	bench default -cpu 1 -bench 'Sweep|Ratio' ./processor/trail
	bench default -cpu 1,2 -bench 'Cores' ./processor/trail
	bench default -bench '^BenchmarkKafka$' ./sources/kafka
	bench default -cpu 1 -benchtime 3x -bench '^BenchmarkS3$' ./sources/s3
	go run ./deploy/benchmarks/process.go "$bin" | sed 's/^Benchmark/&default:/' >>"$out"
	echo "round done" >&2
done
go run ./deploy/benchmarks/ratios.go <"$out"
