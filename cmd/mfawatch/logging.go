package main

import (
	"io"
	"log/slog"
)

// newLogger returns the logger, and its level, which may be set at any time.
func newLogger(c LogConfig, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(c.level())
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options)), level
	}
	return slog.New(slog.NewTextHandler(w, options)), level
}

func (c LogConfig) level() (l slog.Level) {
	_ = l.UnmarshalText([]byte(c.Level)) // one of the four that the configuration allows
	return l
}
