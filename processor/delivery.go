package processor

import (
	"context"
	"io"
	"iter"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A Delivery is the unit of acknowledgement: one poll of one Kafka partition,
// one file, one message with every object it names.
type Delivery struct {
	// Source is the source's name in the configuration, the metrics' label.
	Source string
	// Parts yields each part once. A part is valid until the next one is
	// yielded. An error reports a part that could not be fetched, and fails the
	// whole delivery.
	Parts iter.Seq2[Part, error]
	// Unreadable, if set, is called with each unreadable part of the input that
	// is not quarantined.
	Unreadable func(trail.Unreadable)
}

// A Part is one object or one message value: Bytes if it lies in memory, else
// Body, which is read to its end but not closed.
type Part struct {
	Origin trail.Origin
	Bytes  []byte
	Body   io.Reader
	// MaxInflated bounds what Bytes or Body inflate to; 0: 16 GiB.
	MaxInflated int64
	// GivenUp, if set, is why the source will not offer this part again. Bytes
	// are quarantined unread, once, however often the part is delivered. The
	// delivery fails while the quarantine is full.
	GivenUp *GivenUp
}

// One yields a part that is the whole of a delivery.
func One(p Part) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) { yield(p, nil) }
}

// GivenUp is why a source has a part quarantined.
type GivenUp struct {
	Reason string // of a closed set
	Err    error
}

// A Handler consumes one delivery. Its return value is the acknowledgement.
// After nil every watched record is durable: the source may delete the message
// or commit the offset. After an error the source must offer the delivery again.
// Unreadable input is no error: it is counted and logged, so that one bad record
// never stops its neighbours. A Handler is safe for concurrent use.
type Handler func(ctx context.Context, d Delivery) error

// An Alert is one message to the sinks; package exposure makes it.
type Alert = exposure.Alert
