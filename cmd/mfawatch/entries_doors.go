package main

import "github.com/mfawatch/mfawatch/sources"

type httpSource struct {
	Type               string `koanf:"type"`
	sources.HTTPConfig `koanf:",squash"`
}

func (c *httpSource) build(name string, s surroundings) (sources.Source, error) {
	return sources.NewHTTP(name, c.HTTPConfig, sources.Options{Logger: s.log, Registerer: s.metrics})
}
