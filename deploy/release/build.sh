#!/usr/bin/env bash
# Builds a release of the commit that is checked out: for each platform an archive
# with the program, its manual page and completion; packages for Debian and Red Hat
# with the systemd unit; an SBOM (CycloneDX) of each program, checksums, and the
# Homebrew formula.
#
#   deploy/release/build.sh FOLDER [OS/ARCH…]
#
# The same commit and Go version give the same bytes in any folder, on any
# machine: that is what SHA256SUMS is for. Needs Go, Python 3 and GNU tar.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

sbom() { go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 "$@"; }
nfpm() { go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0 "$@"; }

export CGO_ENABLED=0 SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
VERSION=$(git describe --tags --match 'v*' 2>/dev/null || echo "v0.0.0-$(git rev-parse --short=12 HEAD)")
export VERSION=${VERSION#v} ARCH STAGE
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Manual page and completion are the same on every platform.
go build -trimpath -buildvcs=true -o "$work/host" ./cmd/mfawatch
"$work/host" version | grep -q "commit $(git rev-parse HEAD)" || { echo "the program does not know its commit: build in a clone, not in a git worktree" >&2; exit 1; }
mkdir "$work/share"
"$work/host" man >"$work/share/mfawatch.1"
for shell in bash zsh fish; do "$work/host" completion $shell >"$work/share/mfawatch.$shell"; done

for target in "$@"; do
	os=${target%/*} arch=${target#*/} exe=
	[ "$os" != windows ] || exe=.exe
	name=mfawatch-$VERSION-$os-$arch
	STAGE=$work/$name ARCH=$arch
	mkdir "$STAGE"
	cp LICENSE CHANGELOG.md "$work"/share/* "$STAGE"
	cp -r deploy/examples "$STAGE" && rm "$STAGE/examples/examples.go"
	GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=true -ldflags '-s -w -buildid=' -o "$STAGE/mfawatch$exe" ./cmd/mfawatch
	sbom bin -json -noserial -notimestamp -output "$out/$name.cdx.json" "$STAGE/mfawatch$exe" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
	if [ "$os" = windows ]; then
		deploy/release/zip.py "$out/$name.zip" "$work" "$name"
	else
		tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
	fi
	if [ "$os" = linux ]; then
		sed 's|/usr/local/bin/|/usr/bin/|' deploy/systemd/mfawatch.service >"$STAGE/mfawatch.service"
		for kind in deb rpm; do nfpm package -f deploy/release/nfpm.yaml -p $kind -t "$out/$name.$kind" >/dev/null; done
	fi
done
(cd "$out" && sha256sum mfawatch-* >SHA256SUMS)
sed "s|@VERSION@|$VERSION|" deploy/release/mfawatch.rb.in >"$out/mfawatch.rb"
while read -r sum file; do sed -i "s|@SHA256 ${file#"mfawatch-$VERSION-"}@|$sum|" "$out/mfawatch.rb"; done <"$out/SHA256SUMS"
cat "$out/SHA256SUMS"
