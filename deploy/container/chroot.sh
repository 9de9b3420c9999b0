#!/usr/bin/env bash
# Builds what the Dockerfile builds, without a container engine, and starts it as
# the image would be: in a root of the same files, read-only, as its user. Prints
# /readyz. Needs root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$(mktemp -d)
trap 'kill $pid 2>/dev/null || true; rm -rf "$root" "$root.state" "$root.config"' EXIT
pid=
mkdir -p "$root"/{etc/ssl/certs,etc/mfawatch,var/lib/mfawatch,proc} "$root.state" "$root.config"
build=$(sed -n 's|^RUN \(CGO_ENABLED=0 go build .*\) -o /out/mfawatch \(.*\) \\$|\1 -o "$root/mfawatch" \2|p' deploy/container/Dockerfile)
[ -n "$build" ] || { echo "no build in the Dockerfile" >&2; exit 1; }
eval "$build"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
chown 65532:65532 "$root.state" && chmod 0700 "$root.state"
cat >"$root.config/mfawatch.yaml" <<-YAML
	sources: {door: {type: http, address: "127.0.0.1:19465"}}
	sinks: {audit: {type: file, path: /var/lib/mfawatch/alerts.jsonl}}
	journal: {path: /var/lib/mfawatch/mfawatch.db}
	http: {address: "127.0.0.1:19464"}
YAML
command=$(sed -n 's/^CMD \[\(.*\)\]$/\1/p' deploy/container/Dockerfile | tr -d '",')
chmod 0755 "$root" "$root.config"
unshare --mount bash -euc '
	root=$1; shift
	mount --bind "$root" "$root"
	mount --bind "$root.state" "$root/var/lib/mfawatch"
	mount --bind "$root.config" "$root/etc/mfawatch"
	mount -o remount,bind,ro "$root"
	! touch "$root/x" 2>/dev/null || { echo "the root can be written" >&2; exit 1; }
	exec chroot --userspec=65532:65532 "$root" /mfawatch "$@"' - "$root" $command &
pid=$!
within() { # within WHAT COMMAND…: waits until it succeeds
	for _ in $(seq 100); do
		if "${@:2}"; then return; fi
		kill -0 "$pid"
		sleep 0.2
	done
	echo "not within 20 seconds: $1" >&2
	return 1
}
within ready curl -sf http://127.0.0.1:19464/readyz
[ "$(stat -c %u "$root.state/mfawatch.db")" = 65532 ]
curl -sf --data-binary @cmd/mfawatch/internal/demo/trail.jsonl http://127.0.0.1:19465/
within alert grep -q '"step":"opened"' "$root.state/alerts.jsonl"
kill -TERM "$pid"
wait "$pid"
echo "the image's root, read-only, as 65532: ready, alerts delivered, stopped"
