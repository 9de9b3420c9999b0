// Package sinks defines a channel: Sink with its optional interfaces, and the verdicts
// that its errors carry.
package sinks

import (
	"context"

	"github.com/mfawatch/mfawatch/processor"
)

// A Sink hands alerts to one channel. Send may be called again with an alert
// that it already delivered, so it passes the alert's ID on as the channel's
// key against duplicates. ref is the channel's reference from before for this
// exposure (a ticket, a message to thread under), "" the first time; newRef is
// kept in its place, beside an error too unless it is "" there: it says how far
// the sink got. An error is tried again unless it says otherwise: see
// Permanent, Throttled, Misconfigured, ClosedByPerson and Ambiguous. Send is called
// for one exposure at a time in order; for different exposures it may be called
// concurrently. It returns soon after ctx is done.
type Sink interface {
	Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error)
}

// A BatchSender is a Sink that takes several alerts at the cost of one, each
// still on its own: lines of one write, records of one request. The alerts are
// in the order of the journal, those of one exposure too. An error says that
// all of them are to be sent again; where it is Permanent or ClosedByPerson, each
// is sent by itself, to find out which of them it means.
type BatchSender interface {
	SendBatch(ctx context.Context, alerts []*processor.Alert) error
}

// A GroupSender is a Sink that can send several alerts in one message, with a
// list: as dispatch.GroupConfig has it for a burst. The alerts are of one
// account or one actor, in the order of the journal. Its error applies to them
// as with a BatchSender. References of their exposures stay as they are.
type GroupSender interface {
	SendGroup(ctx context.Context, alerts []*processor.Alert) error
}

// Addressable is a Sink that can send to others than the recipients of its
// configuration.
type Addressable interface {
	// To returns the same channel for other recipients. The caller does not
	// close it.
	To(recipients []string) (Sink, error)
}

// Renderer is a Sink that can show its payload.
type Renderer interface {
	// Render returns what Send would send first about the exposure of a. It
	// holds no secret.
	Render(a *processor.Alert) (string, error)
}

// Receipter is a Sink whose references mean something to people.
type Receipter interface {
	// Receipt returns in words what the channel gave, such as "ticket 4711".
	Receipt(ref string) string
}

// Reopener is a Sink that writes to a file which others may move away.
type Reopener interface {
	// Reopen opens the file under its name again.
	Reopen() error
}
