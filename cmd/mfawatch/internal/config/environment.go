package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// envPrefix begins the variables that configure. A nested key is reached by two
// underscores: MFAWATCH_JOURNAL__PATH is journal.path, and
// MFAWATCH_SINKS__ALERTS__SASL__PASSWORD is sinks.alerts.sasl.password. In the
// name of a source or sink - is written _.
const envPrefix = "MFAWATCH_"

// flagKeys are the flags that stand for a key of the configuration.
var flagKeys = map[string]string{
	"http-address": "http.address",
	"journal":      "journal.path",
	"log-format":   "log.format",
	"log-level":    "log.level",
}

// AddFlags adds the flags that every command with a configuration has.
func AddFlags(flags *pflag.FlagSet) *string {
	path := flags.StringP("config", "c", "", "the configuration, a YAML `FILE`")
	flags.String("http-address", "", "serve metrics and health on `HOST:PORT` (http.address)")
	flags.String("journal", "", "keep the journal in `FILE` (journal.path)")
	flags.String("log-level", "", "log from this `LEVEL` on: debug, info, warn, error (log.level)")
	flags.String("log-format", "", "log as `FORMAT`: text or json (log.format)")
	return path
}

// envKey is the key that a variable sets, "" for one that is not about the
// configuration: what the tests use, and what Kubernetes puts into every
// container beside a Service called mfawatch.
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

// entryName is the name in the file that a variable means: the name itself, or
// else the one that differs only in having - where the variable has _.
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
