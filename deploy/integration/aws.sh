#!/usr/bin/env bash
# Starts an AWS that nobody here wrote on this machine, for the tests that want
# one: moto's server, with S3, SQS, SNS and EventBridge.
#
#   aws.sh run -- COMMAND…   starts it, runs the command with MFAWATCH_TEST_AWS
#                            naming its address, stops it; the exit code is the
#                            command's
#   aws.sh start             starts one that stays, and prints the line to export
#   aws.sh stop              stops that one and removes what it left
#
# It needs moto_server (PyPI: moto[server]), or Python 3 with venv, into which
# moto is installed the first time. The server listens on 127.0.0.1 only, on a
# free port, and keeps everything in memory.
name=aws
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

moto='moto[server]==5.2.1'
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mfawatch/moto

# prepare finds a moto_server, or installs one.
prepare() {
	server=moto_server
	! moto_server --help >/dev/null 2>&1 || return 0
	server=$cache/bin/moto_server
	[ ! -x "$server" ] || return 0
	command -v python3 >/dev/null || die "no moto_server and no python3: install $moto, or Python 3"
	{ python3 -m venv "$cache" && "$cache/bin/pip" -q install "$moto"; } >&2 || {
		rm -rf "$cache"
		die "could not install $moto"
	}
}

launch() {
	local port
	port=$(free_port)
	echo "MFAWATCH_TEST_AWS=http://127.0.0.1:$port" >"$1/variables"
	serve "$1" "$server" -H 127.0.0.1 -p "$port"
	await "$1" listens "$port"
}

main "$@"
