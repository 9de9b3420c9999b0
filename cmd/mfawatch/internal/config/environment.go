package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// envPrefix begins the variables that set keys. Two underscores separate nested
// keys: MFAWATCH_JOURNAL__PATH is journal.path, and
// MFAWATCH_SINKS__ALERTS__SASL__PASSWORD is sinks.alerts.sasl.password. In the
// name of a source or sink, _ also matches -.
const envPrefix = "MFAWATCH_"

// flagKeys maps flags to keys.
var flagKeys = map[string]string{
	"http-address": "http.address",
	"journal":      "journal.path",
	"log-format":   "log.format",
	"log-level":    "log.level",
}

// AddFlags adds the flags of every command with a configuration, and returns the
// value of --config.
func AddFlags(flags *pflag.FlagSet) *string {
	path := flags.StringP("config", "c", "", "read the configuration from this YAML `FILE`")
	flags.String("http-address", "", "serve metrics and health on `HOST:PORT` (http.address)")
	flags.String("journal", "", "keep the journal in `FILE` (journal.path)")
	flags.String("log-level", "", "least `LEVEL` that is logged: debug, info, warn, error (log.level)")
	flags.String("log-format", "", "`FORMAT` of the log: text or json (log.format)")
	return path
}

// envKey returns the key that a variable sets, "" for a variable of the tests, or
// of Kubernetes, which sets some in every container beside a Service called
// mfawatch.
func envKey(file map[string]any, variable string) string {
	name := strings.TrimPrefix(variable, envPrefix)
	for _, other := range []string{"TEST_", "PORT_", "SERVICE_"} {
		if strings.HasPrefix(name, other) {
			return ""
		}
	}
	if name == "PORT" || name == "" {
		return ""
	}
	parts := strings.Split(strings.ToLower(name), "__")
	if len(parts) > 1 && (parts[0] == "sources" || parts[0] == "sinks") {
		parts[1] = entryName(file, parts[0], parts[1])
	}
	return strings.Join(parts, ".")
}

// entryName returns the name in the file that a variable names: the same, or the
// one that has - in place of _.
func entryName(file map[string]any, section, name string) string {
	entries, _ := file[section].(map[string]any)
	if _, ok := entries[name]; ok {
		return name
	}
	for other := range entries {
		if strings.ReplaceAll(other, "-", "_") == name {
			return other
		}
	}
	return name
}
