#!/usr/bin/env bash
# Starts all the servers that tests want, runs a command with the variables that
# tell of them, and stops them; the exit code is the command's:
#
#   deploy/integration/run.sh -- go test ./...
#
# They are a Kafka, an AWS and a mail server. See kafka.sh, aws.sh and mail.sh
# for what each needs; they run alone, too.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ "${1:-}" != -- ] || shift
if [ $# -eq 0 ]; then
	sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2
	exit 2
fi
exec "$here/kafka.sh" run -- "$here/aws.sh" run -- "$here/mail.sh" run -- "$@"
