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
name=mail
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

# prepare builds the server and makes its certificate and its user.
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

launch() {
	local folder=$1 smtp http
	smtp=$(free_port)
	http=$(free_port "$smtp")
	printf '%s\n' "MFAWATCH_TEST_SMTP=127.0.0.1:$smtp" "MFAWATCH_TEST_SMTP_CA=$folder/cert.pem" \
		"MFAWATCH_TEST_MAILPIT=http://127.0.0.1:$http" >"$folder/variables"
	serve "$folder" "$folder/mailpit" --listen "127.0.0.1:$http" --smtp "127.0.0.1:$smtp" --database "$folder/mails.db" \
		--smtp-tls-cert "$folder/cert.pem" --smtp-tls-key "$folder/key.pem" --smtp-require-starttls \
		--smtp-auth-file "$folder/users" --enable-chaos --smtp-disable-rdns --disable-version-check
	await "$folder" listens "$smtp" "$http"
}

main "$@"
