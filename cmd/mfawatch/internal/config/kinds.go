package config

import (
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sources"
)

// Deps holds the parts that sources and sinks are built with besides their
// configuration.
type Deps struct {
	Stdin   io.Reader
	Stdout  io.Writer
	Colours bool // stdout is a terminal that shows them
	Log     *slog.Logger
	Level   *slog.LevelVar // of Log
	Metrics prometheus.Registerer
	Offsets sources.OffsetStore
	Shared  []string        // brokers of the shared journal; nil: there is none
	Wording message.Wording // of every human sink
}

// An Entry is the configuration of one source or sink.
type Entry interface {
	// Validate returns every mistake: joined errors, each "field: problem",
	// none with a secret in it.
	Validate() error
}

// A Source is the configuration of one source.
type Source interface {
	Entry
	// Build returns the source. It sends nothing over the network.
	Build(name string, d Deps) (sources.Source, error)
}

// A Sink is the configuration of one sink.
type Sink interface {
	Entry
	// Build returns the sink. It sends nothing over the network.
	Build(d Deps) (sinks.Sink, error)
	// Delivery returns the keys that every sink has.
	Delivery() dispatch.DeliveryConfig
	// Reader returns who reads the sink's messages.
	Reader() route.Kind
	// MinSeverity returns the lowest severity of which the sink is notified where
	// no route is configured; "": any.
	MinSeverity() exposure.Severity
	// UsesStdout reports whether the sink writes to standard output.
	UsesStdout() bool
}

// CloseSink releases the sink's files and connections.
func CloseSink(s sinks.Sink) error {
	if c, ok := s.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
