#!/usr/bin/env bash
# Starts a real Apache Kafka broker on this machine, for the tests that want one.
#
#   kafka.sh run -- COMMAND…   starts a broker, runs the command with
#                              MFAWATCH_TEST_KAFKA naming the broker, stops it;
#                              the exit code is the command's
#   kafka.sh start             starts one that stays, and prints the line to export
#   kafka.sh stop              stops that one and removes what it left
#
# It needs Java 17 or newer and Maven, which fetches Kafka the first time. The
# broker is a single one with its own controller (KRaft), listens on 127.0.0.1
# only, on free ports, and keeps everything in a folder of its own.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
stays=${TMPDIR:-/tmp}/mfawatch-kafka-$(id -u) # the folder of the broker that stays

die() {
	echo "kafka.sh: $*" >&2
	exit 1
}

# classpath FOLDER: writes what Kafka consists of to FOLDER/classpath. Nothing is
# asked of the network when Maven has it all already.
classpath() {
	command -v java >/dev/null || die "no java: install a Java runtime, 17 or newer"
	command -v mvn >/dev/null || die "no mvn: install Maven"
	local mvn=(mvn -q -B -f "$here/pom.xml" dependency:build-classpath "-Dmdep.outputFile=$1/classpath" -Dmdep.includeScope=runtime)
	"${mvn[@]}" -o >"$1/maven.log" 2>&1 || "${mvn[@]}" >"$1/maven.log" 2>&1 || {
		cat "$1/maven.log" >&2
		die "Maven could not fetch Kafka"
	}
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

jvm() { # FOLDER CLASS ARGUMENT…
	local folder=$1
	shift
	exec java -Xms128m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true \
		-Dorg.apache.logging.log4j.level=INFO -cp "$(cat "$folder/classpath")" "$@"
}

# launch FOLDER: starts a broker there and waits until it answers. FOLDER/pid and
# FOLDER/address tell the rest.
launch() {
	local folder=$1 port controller
	port=$(free_port)
	controller=$(free_port)
	while [ "$controller" = "$port" ]; do controller=$(free_port); done
	rm -rf "$folder/data"
	cat >"$folder/server.properties" <<-PROPERTIES
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$controller
		listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
		advertised.listeners=PLAINTEXT://127.0.0.1:$port
		controller.listener.names=CONTROLLER
		log.dirs=$folder/data
		auto.create.topics.enable=false
		num.partitions=1
		group.initial.rebalance.delay.ms=0
		group.min.session.timeout.ms=1000
		offsets.topic.num.partitions=1
		offsets.topic.replication.factor=1
		transaction.state.log.num.partitions=1
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		share.coordinator.state.topic.num.partitions=1
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
	PROPERTIES
	(jvm "$folder" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c "$folder/server.properties") >"$folder/format.log" 2>&1 || {
		cat "$folder/format.log" >&2
		die "could not make the broker's folder"
	}
	# In a process group of its own, so that a Ctrl-C for the command is not for
	# the broker too: that is stopped when the command has ended.
	: >"$folder/server.log"
	set -m
	jvm "$folder" kafka.Kafka "$folder/server.properties" >"$folder/server.log" 2>&1 </dev/null &
	set +m
	echo $! >"$folder/pid"
	disown
	local i
	for ((i = 0; i < 600; i++)); do
		if ! kill -0 "$(cat "$folder/pid")" 2>/dev/null; then
			return 1
		fi
		if grep -q 'Kafka Server started' "$folder/server.log" && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo "127.0.0.1:$port" >"$folder/address"
			return 0
		fi
		sleep 0.1
	done
	return 1
}

# up FOLDER: launches, on other ports if somebody took them in the meantime.
up() {
	classpath "$1"
	for _ in 1 2 3; do
		if launch "$1"; then
			return 0
		fi
		halt "$1"
		grep -q 'Address already in use' "$1/server.log" || break
	done
	tail -n 40 "$1/server.log" >&2
	die "the broker did not start"
}

# halt FOLDER: stops the broker there, the hard way after ten seconds.
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
	[ ! -f "$stays/pid" ] || die "one is there already, at $(cat "$stays/address" 2>/dev/null || echo '?'): kafka.sh stop first"
	mkdir -p -m 700 "$stays"
	up "$stays"
	echo "export MFAWATCH_TEST_KAFKA=$(cat "$stays/address")"
	;;
stop)
	halt "$stays"
	rm -rf "$stays"
	;;
run)
	shift
	[ "${1:-}" != -- ] || shift
	[ $# -gt 0 ] || die "run what? kafka.sh run -- COMMAND…"
	folder=$(mktemp -d "${TMPDIR:-/tmp}/mfawatch-kafka-run.XXXXXX")
	trap 'halt "$folder"; rm -rf "$folder"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	up "$folder"
	code=0
	MFAWATCH_TEST_KAFKA=$(cat "$folder/address") "$@" || code=$?
	exit "$code"
	;;
*)
	sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
