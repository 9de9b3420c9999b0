// Package config reads a configuration: defaults < file < environment < flags.
//
// Load returns a valid Config, or an Error that lists every mistake. SourceKinds
// and SinkKinds are the tables of kinds, one row for each type; a Source or a Sink
// builds its source or sink from Deps without sending anything over the network.
//
// Glossary: an entry is the configuration of one source or sink, a kind its type.
// A mistake is one wrong field. The policy decides which events are alerts and how
// severe; a planned change is one agreed to beforehand.
package config
