package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
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

// AddConfig adds the flag that names the configuration, and returns its values.
func AddConfig(flags *pflag.FlagSet) *[]string {
	return flags.StringArrayP("config", "c", nil, "read the configuration from this YAML `FILE`, or - for standard input; several are merged in order")
}

// AddFlags adds the flags of a command that runs a configuration, and returns the
// values of --config.
func AddFlags(flags *pflag.FlagSet) *[]string {
	flags.String("http-address", "", "serve metrics and health on `HOST:PORT` (http.address)")
	flags.String("journal", "", "keep the journal in `FILE` (journal.path)")
	flags.String("log-level", "", "least `LEVEL` that is logged: debug, info, warn, error (log.level)")
	flags.String("log-format", "", "`FORMAT` of the log: text or json (log.format)")
	return AddConfig(flags)
}

// FileVariable names the configuration where no flag does.
const FileVariable = envPrefix + "CONFIG"

// lookup returns a function that returns the value of a variable.
func lookup(environ []string) func(string) (string, bool) {
	return func(name string) (value string, set bool) {
		for _, v := range environ { // the last one counts
			if rest, ok := strings.CutPrefix(v, name+"="); ok {
				value, set = rest, true
			}
		}
		return value, set
	}
}

// Variable returns the value of a variable of an environment, "" if it is unset.
func Variable(environ []string, name string) string {
	value, _ := lookup(environ)(name)
	return value
}

// loadEnvironment adds the variables that set keys to k, and returns which variable
// set a field.
func loadEnvironment(k *koanf.Koanf, environ []string) (map[string]string, error) {
	file, variables := k.Raw(), make(map[string]string)
	return variables, k.Load(env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(variable, value string) (string, any) {
			key := envKey(file, variable)
			if key != "" {
				variables[key] = variable
			}
			return key, value
		},
	}), nil)
}

// fromVariable returns the variable that set a field, or a part of it.
func fromVariable(variables map[string]string, field string) string {
	if variable, ok := variables[field]; ok {
		return variable
	}
	for _, key := range slices.Sorted(maps.Keys(variables)) {
		if strings.HasPrefix(key, field+".") {
			return variables[key]
		}
	}
	return ""
}

// misspelt returns the end of a message about a variable with one underscore where
// two separate keys.
func misspelt(field, variable string) string {
	for key, t := range Keys(reflect.TypeFor[document]()) {
		if rest, ok := strings.CutPrefix(field, key+"_"); ok && (t.Kind() == reflect.Struct || t.Kind() == reflect.Interface) {
			return "; did you mean " + envPrefix + strings.ToUpper(key+"__"+rest) + "? Two underscores separate keys"
		}
	}
	return " (from " + variable + ")"
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
	if name == "PORT" || name == "" || variable == FileVariable {
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
