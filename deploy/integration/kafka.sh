#!/usr/bin/env bash
# Starts a real Apache Kafka broker on this machine, for the tests that want one.
#
#   kafka.sh run -- COMMAND…   starts a broker, runs the command with
#                              MFAWATCH_TEST_KAFKA naming the broker, stops it;
#                              the exit code is the command's
#   kafka.sh start             starts one that stays, and prints the line to export
#   kafka.sh again             starts that one again, on the same port and with what
#                              it kept, after it was killed
#   kafka.sh stop              stops that one and removes what it left
#
# It needs Java 17 or newer and Maven, which fetches Kafka the first time. The
# broker is a single one with its own controller (KRaft), listens on 127.0.0.1
# only, on free ports, and keeps everything in a folder of its own.
name=kafka
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

# prepare writes what Kafka consists of to FOLDER/classpath. Nothing is asked of
# the network when Maven has it all already.
prepare() {
	command -v java >/dev/null || die "no java: install a Java runtime, 17 or newer"
	command -v mvn >/dev/null || die "no mvn: install Maven"
	local mvn=(mvn -q -B -f "$here/pom.xml" dependency:build-classpath "-Dmdep.outputFile=$1/classpath" -Dmdep.includeScope=runtime)
	"${mvn[@]}" -o >"$1/maven.log" 2>&1 || "${mvn[@]}" >"$1/maven.log" 2>&1 || {
		cat "$1/maven.log" >&2
		die "Maven could not fetch Kafka"
	}
}

jvm() { # FOLDER CLASS ARGUMENT…
	local folder=$1
	shift
	exec java -Xms128m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true \
		-Dorg.apache.logging.log4j.level=INFO -cp "$(cat "$folder/classpath")" "$@"
}

started() { # FOLDER
	local address
	address=$(cat "$1/variables")
	grep -q 'Kafka Server started' "$1/server.log" && listens "${address##*:}"
}

# again FOLDER: starts the broker that was made there.
again() {
	serve "$1" jvm "$1" kafka.Kafka "$1/server.properties"
	await "$1" started "$1"
}

launch() {
	local folder=$1 port controller
	port=$(free_port)
	controller=$(free_port "$port")
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
	echo "MFAWATCH_TEST_KAFKA=127.0.0.1:$port" >"$folder/variables"
	again "$folder"
}

if [ "${1:-}" = again ]; then
	again "$stays" || die "the broker did not start again"
else
	main "$@"
fi
