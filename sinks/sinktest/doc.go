// Package sinktest is the conformance suite of channels: the life of an exposure,
// faults of the network and the server, hostile text, and secrets in errors, against
// a server that the channel provides.
package sinktest
