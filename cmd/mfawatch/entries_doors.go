package main

import (
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/httpin"
)

type httpSource struct {
	Type          string `koanf:"type"`
	httpin.Config `koanf:",squash"`
}

func (c *httpSource) build(name string, s surroundings) (sources.Source, error) {
	return httpin.New(name, c.Config, sources.Options{Logger: s.log, Registerer: s.metrics})
}
