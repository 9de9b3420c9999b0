package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
	"github.com/mfawatch/mfawatch/processor/route"
)

// A Config is a complete, valid configuration.
type Config struct {
	Settings
	Sources map[string]Source // by name, never empty
	Sinks   map[string]Sink   // by name, never empty

	refuse func(...Mistake) error // names where each field was set
}

// Settings is the configuration without its sources and sinks, whose keys depend
// on their types.
type Settings struct {
	Journal         JournalConfig `koanf:"journal"`
	PolicyConfig    `koanf:",squash"`
	Retention       time.Duration            `koanf:"retention"`
	Accounts        map[string]accountConfig `koanf:"accounts"`         // by number
	TimeZone        string                   `koanf:"time_zone"`        // in which commands show times, and human sinks, beside UTC
	Routes          []route.Route            `koanf:"routes"`           // which sinks get which alerts
	ShutdownTimeout time.Duration            `koanf:"shutdown_timeout"` // of sends in flight
	HTTP            HTTPConfig               `koanf:"http"`
	Log             LogConfig                `koanf:"log"`
}

// JournalConfig configures the journal: a file, or a Kafka cluster that several
// replicas share.
type JournalConfig struct {
	Type   string       `koanf:"type"`
	Path   string       `koanf:"path"`    // bbolt: the file; kafka: the folder of this replica's caches
	Shared shard.Config `koanf:",squash"` // kafka
}

// The types of journal.
const (
	JournalFile  = "bbolt"
	JournalKafka = "kafka"
)

// effective returns the keys that have an effect.
func (j JournalConfig) effective() any {
	if j.Type == JournalFile {
		return struct {
			Type string `koanf:"type"`
			Path string `koanf:"path"`
		}{j.Type, j.Path}
	}
	type keys JournalConfig
	return keys(j)
}

// mistakes refuses keys that have no effect.
func (j *JournalConfig) mistakes() []Mistake {
	if wrong := OneOf("journal.type", j.Type, JournalFile, JournalKafka); wrong != nil {
		return wrong
	}
	var all []Mistake
	if j.Path == "" {
		all = append(all, Mistake{"journal.path", map[string]string{
			JournalFile: "missing; want the path of a file, such as mfawatch.db", JournalKafka: "missing; want a folder for this replica's caches, such as /var/lib/mfawatch",
		}[j.Type]})
	}
	if j.Type == JournalKafka {
		return append(all, MistakesOf("journal", j.Shared.Validate())...)
	}
	if !reflect.DeepEqual(j.Shared, shard.DefaultConfig()) {
		all = append(all, Mistake{"journal.type", "is bbolt, a file; brokers, topic, partitions, replication, instance, tls and sasl belong to kafka: set it to kafka, or remove them"})
	}
	return all
}

// LogConfig configures the log.
type LogConfig struct {
	Level  string `koanf:"level"`  // debug, info, warn or error
	Format string `koanf:"format"` // text or json
}

// Defaults returns the default settings.
func Defaults() Settings {
	return Settings{
		Journal:         JournalConfig{Type: JournalFile, Path: "mfawatch.db", Shared: shard.DefaultConfig()},
		PolicyConfig:    defaultPolicy(),
		Retention:       35 * 24 * time.Hour,
		ShutdownTimeout: 20 * time.Second,
		TimeZone:        "UTC",
		HTTP:            HTTPConfig{Address: "127.0.0.1:9464"},
		Log:             LogConfig{Level: "info", Format: "text"},
	}
}

const minRetention = 31 * 24 * time.Hour

func (s *Settings) mistakes() []Mistake {
	var all []Mistake
	bad := func(field, format string, args ...any) {
		all = append(all, Mistake{field, fmt.Sprintf(format, args...)})
	}
	if s.Retention < minRetention {
		bad("retention", "want at least %s, since CloudTrail delivers again for up to 30 days, got %s", FormatDuration(minRetention), FormatDuration(s.Retention))
	}
	if s.ShutdownTimeout <= 0 || s.ShutdownTimeout > time.Hour {
		bad("shutdown_timeout", "want a positive duration of at most 1h, got %s", FormatDuration(s.ShutdownTimeout))
	}
	s.HTTP.mistakes(bad)
	s.wordingMistakes(bad)
	all = append(all, s.Journal.mistakes()...)
	all = append(all, s.policyMistakes()...)
	all = append(all, OneOf("log.level", s.Log.Level, "debug", "info", "warn", "error")...)
	all = append(all, OneOf("log.format", s.Log.Format, "text", "json")...)
	return all
}

// OneOf returns the mistake of a word outside a closed set, nil if it is known.
func OneOf(field, word string, known ...string) []Mistake {
	switch {
	case slices.Contains(known, word):
		return nil
	case word == "":
		return []Mistake{{field, "missing; known are " + strings.Join(known, ", ")}}
	}
	return []Mistake{{field, "unknown " + strconv.Quote(Bounded(word)) + Suggestion(word, known)}}
}
