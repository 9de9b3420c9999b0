package config

import (
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "15m": 15 * time.Minute, "1h30m": 90 * time.Minute, "35d": 35 * 24 * time.Hour, "0d": 0, "-1d": -24 * time.Hour,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
		if again, err := ParseDuration(FormatDuration(got)); err != nil || again != got {
			t.Errorf("%s: written as %s, read as %v, %v", text, FormatDuration(got), again, err)
		}
	}
	for _, text := range []string{"", "d", "1.5d", "999999999999d", "5 weeks", "1"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
	for d, want := range map[time.Duration]string{
		20 * time.Second: "20s", 15 * time.Minute: "15m", 4 * time.Hour: "4h", 90 * time.Minute: "1h30m", 48 * time.Hour: "2d",
		25 * time.Hour: "25h", 0: "0s", 10*time.Minute + time.Second: "10m1s",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestSuggestions(t *testing.T) {
	known := []string{"brokers", "group", "path", "paths", "topics", "type"}
	for word, want := range map[string]string{
		"paht":   "; did you mean path?",
		"Path":   "; did you mean path?",
		"broker": "; did you mean brokers?",
		"tpye":   "; did you mean type?",
		"colour": "; known are brokers, group, path, paths, topics, type",
		"":       "; known are brokers, group, path, paths, topics, type",
	} {
		if got := Suggestion(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestSecretFields(t *testing.T) {
	for field, want := range map[string]bool{
		"sources.trail.sasl.password": true, "sinks.a.sasl.token": true, "x.routing_key": true, "x.api_key[0]": true,
		"sources.trail.sasl.password_file": false, "sources.trail.topics": false, "tls.key_file": false, "journal.path": false,
	} {
		if got := Secret(field); got != want {
			t.Errorf("%s: got %v", field, got)
		}
	}
}
