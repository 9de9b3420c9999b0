package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/route"
)

// A Config is a whole configuration, read and found sound.
type Config struct {
	Settings
	Sources map[string]Source // by name, never empty
	Sinks   map[string]Sink   // by name, never empty
}

// Settings is what there is one of. The sources and sinks are maps by name,
// where the type of each decides what else belongs there.
type Settings struct {
	Journal   JournalConfig `koanf:"journal"`
	Judgement `koanf:",squash"`
	Retention time.Duration            `koanf:"retention"`
	Accounts  map[string]accountConfig `koanf:"accounts"`         // by number
	TimeZone  string                   `koanf:"time_zone"`        // in which people are told times, beside UTC
	Routes    []route.Route            `koanf:"routes"`           // who is told of what
	Drain     time.Duration            `koanf:"shutdown_timeout"` // how long sends in flight may take at the end
	HTTP      HTTPConfig               `koanf:"http"`
	Log       LogConfig                `koanf:"log"`
}

// JournalConfig says where the journal is.
type JournalConfig struct {
	Path string `koanf:"path"`
}

// HTTPOff is the address that says that nothing is served.
const HTTPOff = "off"

// HTTPConfig says where metrics and health are served, and dead letters seen to.
type HTTPConfig struct {
	Address string `koanf:"address"` // host:port, or off
	URL     string `koanf:"url"`     // under which people reach it; alerts link to it
	Admin   bool   `koanf:"admin"`   // let others than this machine change things
}

// LogConfig says what is logged, and how.
type LogConfig struct {
	Level  string `koanf:"level"`  // debug, info, warn or error
	Format string `koanf:"format"` // text or json
}

// Defaults is what holds where nothing else is said.
func Defaults() Settings {
	return Settings{
		Journal:   JournalConfig{Path: "mfawatch.db"},
		Judgement: defaultJudgement(),
		Retention: 35 * 24 * time.Hour,
		Drain:     20 * time.Second,
		TimeZone:  "UTC",
		HTTP:      HTTPConfig{Address: "127.0.0.1:9464"},
		Log:       LogConfig{Level: "info", Format: "text"},
	}
}

const minRetention = 31 * 24 * time.Hour

func (s *Settings) mistakes() []Mistake {
	var all []Mistake
	bad := func(field, format string, args ...any) {
		all = append(all, Mistake{field, fmt.Sprintf(format, args...)})
	}
	if s.Journal.Path == "" {
		bad("journal.path", "missing; want the path of a file, such as mfawatch.db")
	}
	if s.Retention < minRetention {
		bad("retention", "want at least %s, since CloudTrail delivers again for up to 30 days, got %s", FormatDuration(minRetention), FormatDuration(s.Retention))
	}
	if s.Drain <= 0 || s.Drain > time.Hour {
		bad("shutdown_timeout", "want more than no time and at most 1h, got %s", FormatDuration(s.Drain))
	}
	if s.HTTP.Address == HTTPOff {
		// nothing is served
	} else if _, port, err := net.SplitHostPort(s.HTTP.Address); err != nil {
		bad("http.address", "want host:port such as 127.0.0.1:9464, or off, got %s", strconv.Quote(Bounded(s.HTTP.Address)))
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		bad("http.address", "want a port from 0 to 65535, got %s", strconv.Quote(Bounded(port)))
	}
	s.wordingMistakes(bad)
	all = append(all, s.judgementMistakes()...)
	all = append(all, OneOf("log.level", s.Log.Level, "debug", "info", "warn", "error")...)
	all = append(all, OneOf("log.format", s.Log.Format, "text", "json")...)
	return all
}

// OneOf is the mistake, if it is one, of a word outside a closed set.
func OneOf(field, word string, known ...string) []Mistake {
	switch {
	case slices.Contains(known, word):
		return nil
	case word == "":
		return []Mistake{{field, "missing; known are " + strings.Join(known, ", ")}}
	}
	return []Mistake{{field, "unknown " + strconv.Quote(Bounded(word)) + Suggestion(word, known)}}
}
