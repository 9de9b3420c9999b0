# What the scripts beside this one share; it is sourced. Each sets
#
#   name               its own, without .sh
#   prepare FOLDER     makes what the server needs, or dies
#   launch FOLDER      starts it on free ports, with serve; writes the variables that
#                      tell of it to FOLDER/variables, a line each; and awaits that it
#                      answers
#
# and calls main "$@".
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
stays=${TMPDIR:-/tmp}/mfawatch-$name-$(id -u) # the folder of the server that stays

die() {
	echo "$name.sh: $*" >&2
	exit 1
}

# free_port [OTHER]: prints a port that nobody listens on, and not OTHER.
free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		[ "$port" != "${1:-}" ] && ! listens "$port" && break
	done
	echo "$port"
}

# listens PORT…: whether somebody listens on all of them.
listens() {
	local port
	for port; do
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 1
	done
}

# serve FOLDER COMMAND…: starts the server, in a process group of its own, so that
# a Ctrl-C for the command is not for the server too: that is stopped when the
# command has ended.
serve() {
	local folder=$1
	shift
	: >"$folder/server.log"
	set -m
	"$@" >"$folder/server.log" 2>&1 </dev/null &
	set +m
	echo $! >"$folder/pid"
	disown
}

# await FOLDER COMMAND…: waits until the command succeeds, for a minute at most and
# not after the end of the server.
await() {
	local folder=$1 i
	shift
	for ((i = 0; i < 600; i++)); do
		kill -0 "$(cat "$folder/pid")" 2>/dev/null || return 1
		if "$@"; then
			return 0
		fi
		sleep 0.1
	done
	return 1
}

# up FOLDER: launches, on other ports if somebody took them in the meantime.
up() {
	prepare "$1"
	local try
	for try in 1 2 3; do
		if launch "$1"; then
			return 0
		fi
		halt "$1"
		grep -qi 'address already in use' "$1/server.log" || break
	done
	tail -n 40 "$1/server.log" >&2
	die "the server did not start"
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

main() {
	local code=0
	case ${1:-} in
	start)
		[ ! -f "$stays/pid" ] || die "one is there already: $name.sh stop first"
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
		[ $# -gt 0 ] || die "run what? $name.sh run -- COMMAND…"
		folder=$(mktemp -d "${TMPDIR:-/tmp}/mfawatch-$name-run.XXXXXX")
		trap 'halt "$folder"; rm -rf "$folder"' EXIT
		trap 'exit 130' INT
		trap 'exit 143' TERM
		up "$folder"
		mapfile -t variables <"$folder/variables"
		env "${variables[@]}" "$@" || code=$?
		exit "$code"
		;;
	*)
		sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p;}' "$here/$name.sh" >&2
		exit 2
		;;
	esac
}
