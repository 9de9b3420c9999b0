#!/usr/bin/env bash
# Builds a release of the commit that is checked out: the program for Linux and
# macOS, amd64 and arm64, checksums, and an SBOM (CycloneDX) of each.
#
#   deploy/release/build.sh FOLDER
#
# The same commit and Go version give the same bytes in any folder, on any
# machine: that is what SHA256SUMS is for. Needs Go alone.
set -euo pipefail
[ $# -eq 1 ] || { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

sbom() { go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 "$@"; }

export CGO_ENABLED=0
for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do
	name=mfawatch-${target%/*}-${target#*/}
	GOOS=${target%/*} GOARCH=${target#*/} go build -trimpath -buildvcs=true -ldflags '-s -w -buildid=' -o "$out/$name" ./cmd/mfawatch
	sbom bin -json -noserial -notimestamp -output "$out/$name.cdx.json" "$out/$name" 2>"$out/sbom.log" || { cat "$out/sbom.log" >&2; exit 1; }
done
rm -f "$out/sbom.log"
(cd "$out" && sha256sum mfawatch-* >SHA256SUMS)
cat "$out/SHA256SUMS"
