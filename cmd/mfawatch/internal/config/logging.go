package config

import (
	"io"
	"log/slog"
)

// NewLogger returns the logger and its level, which may be set at any time.
func NewLogger(c LogConfig, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(c.Minimum())
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options)), level
	}
	return slog.New(slog.NewTextHandler(w, options)), level
}

// Minimum returns the least level that is logged.
func (c LogConfig) Minimum() (l slog.Level) {
	_ = l.UnmarshalText([]byte(c.Level)) // one of the four that the configuration allows
	return l
}
