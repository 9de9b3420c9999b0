#!/bin/sh
# Prints the rules with links to a runbook of your own:
#   RUNBOOK_URL=https://wiki.example.net/mfawatch deploy/prometheus/rules.sh > rules.yaml
set -eu
default=https://github.com/mfawatch/mfawatch/blob/main/deploy/prometheus/runbook.md
url=$(printf %s "${RUNBOOK_URL:-$default}" | sed 's/[&|\\]/\\&/g')
exec sed "s|$default|$url|" "$(dirname "$0")/rules.yaml"
