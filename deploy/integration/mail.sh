#!/usr/bin/env bash
# Starts a mail server on this machine, Mailpit, for the tests that want one.
#
#   mail.sh run -- COMMAND…   starts it, runs the command with the variables below,
#                             stops it; the exit code is the command's
#   mail.sh start             starts one that stays, and prints the lines to export
#   mail.sh stop              stops that one and removes what it left
#
#   MFAWATCH_TEST_SMTP        host:port of its SMTP, which wants STARTTLS and a login
#   MFAWATCH_TEST_SMTP_CA     file with the certificate to trust
#   MFAWATCH_TEST_MAILPIT     URL of its API, which tells what arrived, and lets it
#                             answer with errors (chaos)
#
# It needs Go, which fetches and builds Mailpit the first time, and openssl. The
# server listens on 127.0.0.1 only, on free ports, and keeps everything in a
# folder of its own. User and password are mfawatch and letters.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
stays=${TMPDIR:-/tmp}/mfawatch-mail-$(id -u) # the folder of the server that stays

die() {
	echo "mail.sh: $*" >&2
	exit 1
}

# free_port: prints a port that nobody listens on.
free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

# prepare FOLDER: builds the server and makes its certificate and its user.
prepare() {
	command -v go >/dev/null || die "no go: install Go"
	command -v openssl >/dev/null || die "no openssl: install it"
	go build -C "$here/mailpit" -o "$1/mailpit" github.com/axllent/mailpit || die "could not build Mailpit"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$1/key.pem" -out "$1/cert.pem" 2>"$1/openssl.log" || {
		cat "$1/openssl.log" >&2
		die "could not make a certificate"
	}
	echo mfawatch:letters >"$1/users"
}

# launch FOLDER: starts a server there and waits until it answers. FOLDER/pid and
# FOLDER/variables tell the rest.
launch() {
	local folder=$1 smtp http i
	smtp=$(free_port)
	http=$(free_port)
	while [ "$http" = "$smtp" ]; do http=$(free_port); done
	set -m
	"$folder/mailpit" --listen "127.0.0.1:$http" --smtp "127.0.0.1:$smtp" --database "$folder/mails.db" \
		--smtp-tls-cert "$folder/cert.pem" --smtp-tls-key "$folder/key.pem" --smtp-require-starttls \
		--smtp-auth-file "$folder/users" --enable-chaos --smtp-disable-rdns --disable-version-check \
		>"$folder/server.log" 2>&1 </dev/null &
	set +m
	echo $! >"$folder/pid"
	disown
	for ((i = 0; i < 300; i++)); do
		kill -0 "$(cat "$folder/pid")" 2>/dev/null || return 1
		if (exec 3<>"/dev/tcp/127.0.0.1/$smtp") 2>/dev/null && (exec 3<>"/dev/tcp/127.0.0.1/$http") 2>/dev/null; then
			printf '%s\n' "MFAWATCH_TEST_SMTP=127.0.0.1:$smtp" "MFAWATCH_TEST_SMTP_CA=$folder/cert.pem" \
				"MFAWATCH_TEST_MAILPIT=http://127.0.0.1:$http" >"$folder/variables"
			return 0
		fi
		sleep 0.1
	done
	return 1
}

# up FOLDER: launches, on other ports if somebody took them in the meantime.
up() {
	prepare "$1"
	for _ in 1 2 3; do
		if launch "$1"; then
			return 0
		fi
		halt "$1"
		grep -q 'address already in use' "$1/server.log" || break
	done
	tail -n 40 "$1/server.log" >&2
	die "the mail server did not start"
}

# halt FOLDER: stops the server there, the hard way after ten seconds.
halt() {
	[ -f "$1/pid" ] || return 0
	local pid i
	pid=$(cat "$1/pid")
	kill "$pid" 2>/dev/null || true
	for ((i = 0; i < 100; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -9 "$pid" 2>/dev/null || true
	rm -f "$1/pid"
}

case ${1:-} in
start)
	[ ! -f "$stays/pid" ] || die "one is there already: mail.sh stop first"
	mkdir -p -m 700 "$stays"
	up "$stays"
	sed 's/^/export /' "$stays/variables"
	;;
stop)
	halt "$stays"
	rm -rf "$stays"
	;;
run)
	shift
	[ "${1:-}" != -- ] || shift
	[ $# -gt 0 ] || die "run what? mail.sh run -- COMMAND…"
	folder=$(mktemp -d "${TMPDIR:-/tmp}/mfawatch-mail-run.XXXXXX")
	trap 'halt "$folder"; rm -rf "$folder"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	up "$folder"
	mapfile -t variables <"$folder/variables"
	code=0
	env "${variables[@]}" "$@" || code=$?
	exit "$code"
	;;
*)
	sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
