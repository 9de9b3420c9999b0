package processor

import (
	"context"
	"io"
	"iter"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A Delivery is the unit of acknowledgement: one poll of one Kafka partition,
// one file, one message with all the objects it names.
type Delivery struct {
	// Source is the source's name in the configuration, the metrics' label.
	Source string
	// Parts yields the parts once. A part is valid only until the next one is
	// yielded. An error means that a part could not be fetched; the delivery
	// then fails as a whole.
	Parts iter.Seq2[Part, error]
	// Damaged, if it is set, is called with each unreadable part of the input
	// that is not quarantined.
	Damaged func(trail.Unreadable)
}

// A Part is one object or one message value: Bytes if it lies in memory, else
// Body, which is read to its end but not closed.
type Part struct {
	Origin trail.Origin
	Bytes  []byte
	Body   io.Reader
	// GivenUp, if it is set, is why the source will not offer this part again.
	// Bytes are then quarantined unread, with the cause, once, however often the
	// part is offered. If the quarantine is full, the delivery fails.
	GivenUp *GivenUp
}

// GivenUp is why a source quarantines a part.
type GivenUp struct {
	Reason string // of a closed set
	Err    error
}

// A Handler consumes one delivery. The return value is the acknowledgement: nil
// means that everything worth keeping is durable, so that the source may delete
// the message or commit the offset; an error means that the source has to offer
// the delivery again. Unreadable input is no error: it is counted, logged and
// skipped, so that a bad record never stops its neighbours. A Handler is safe
// for concurrent use.
type Handler func(ctx context.Context, d Delivery) error

// An Alert is one step of an exposure, as sinks send it.
type Alert = exposure.Alert
