// Package config reads a configuration: defaults, overlaid by a YAML file, the
// environment and flags. Load returns a Config that is sound, or an Error with every
// mistake in it. SourceKinds and SinkKinds are the tables of kinds; a
// Source or a Sink builds what it configures from Deps.
package config
