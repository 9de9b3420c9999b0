#!/usr/bin/env bash
# Starts an AWS that nobody here wrote on this machine, for the tests that want
# one: moto's server, with S3, SQS, SNS and EventBridge.
#
#   aws.sh run -- COMMAND…   starts it, runs the command with MFAWATCH_TEST_AWS
#                            naming its address, stops it; the exit code is the
#                            command's
#
# Several servers for one command: kafka.sh run -- aws.sh run -- go test ./...
#
# It needs moto_server (PyPI: moto[server]), or Python 3 with venv, into which
# moto is installed the first time. The server listens on 127.0.0.1 only, on a
# free port, and keeps everything in memory.
set -euo pipefail

moto='moto[server]==5.2.1'
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mfawatch/moto

die() {
	echo "aws.sh: $*" >&2
	exit 1
}

# find_server: prints the path of a moto_server, which it installs if there is none.
find_server() {
	if moto_server --help >/dev/null 2>&1; then
		command -v moto_server
		return
	fi
	if [ ! -x "$cache/bin/moto_server" ]; then
		command -v python3 >/dev/null || die "no moto_server and no python3: install $moto, or Python 3"
		{ python3 -m venv "$cache" && "$cache/bin/pip" -q install "$moto"; } >&2 || {
			rm -rf "$cache"
			die "could not install $moto"
		}
	fi
	echo "$cache/bin/moto_server"
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

# launch FOLDER: starts the server and waits until it answers. FOLDER/pid and
# FOLDER/address tell the rest.
launch() {
	local folder=$1 port i
	port=$(free_port)
	# In a process group of its own, so that a Ctrl-C for the command is not for
	# the server too: that is stopped when the command has ended.
	set -m
	"$server" -H 127.0.0.1 -p "$port" >"$folder/server.log" 2>&1 </dev/null &
	set +m
	echo $! >"$folder/pid"
	disown
	for ((i = 0; i < 600; i++)); do
		if ! kill -0 "$(cat "$folder/pid")" 2>/dev/null; then
			return 1
		fi
		if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo "http://127.0.0.1:$port" >"$folder/address"
			return 0
		fi
		sleep 0.1
	done
	return 1
}

# halt FOLDER: stops the server, the hard way after five seconds.
halt() {
	[ -f "$1/pid" ] || return 0
	local pid i
	pid=$(cat "$1/pid")
	kill "$pid" 2>/dev/null || true
	for ((i = 0; i < 50; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -9 "$pid" 2>/dev/null || true
	rm -f "$1/pid"
}

case ${1:-} in
run)
	shift
	[ "${1:-}" != -- ] || shift
	[ $# -gt 0 ] || die "run what? aws.sh run -- COMMAND…"
	server=$(find_server)
	folder=$(mktemp -d "${TMPDIR:-/tmp}/mfawatch-aws-run.XXXXXX")
	trap 'halt "$folder"; rm -rf "$folder"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	up=
	for _ in 1 2 3; do # on other ports if somebody took one in the meantime
		if launch "$folder"; then
			up=1
			break
		fi
		halt "$folder"
	done
	[ -n "$up" ] || {
		tail -n 40 "$folder/server.log" >&2
		die "moto did not start"
	}
	code=0
	MFAWATCH_TEST_AWS=$(cat "$folder/address") "$@" || code=$?
	exit "$code"
	;;
*)
	sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
