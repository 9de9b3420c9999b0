// Package sinks is who is told: one file for each channel, and the dispatcher
// that feeds them from the journal.
package sinks

import (
	"context"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// A Sink hands alerts to one channel. Send may be called again with an alert
// that it already delivered, so it passes the alert's ID on as the channel's
// key against duplicates. ref is what the channel gave for this exposure
// before (a ticket, a message to thread under), "" the first time; newRef is
// kept in its place, beside an error too unless it is "" there: it says how far
// the sink got. An error is tried again unless it says otherwise: see
// Permanent, Throttled, Misconfigured, Superseded and Ambiguous. Send is called
// for one exposure at a time in order; for different exposures it may be called
// at once. It returns soon after ctx is done.
type Sink interface {
	Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error)
}

// A BatchSender is a Sink that takes several alerts at the cost of one, each
// still on its own: lines of one write, records of one request. The alerts are
// in the order of the journal, those of one exposure too. An error says that
// all of them are to be sent again; where it is Permanent or Superseded, each
// is sent by itself, to find out which of them it means.
type BatchSender interface {
	SendBatch(ctx context.Context, alerts []*processor.Alert) error
}

// A GroupSender is a Sink that can tell several alerts in one message, with a
// list: what dispatch.GroupConfig makes of a storm. The alerts are of one account or one
// actor, in the order of the journal. What its error means for them is as with
// a BatchSender. References of their exposures stay as they are.
type GroupSender interface {
	SendGroup(ctx context.Context, alerts []*processor.Alert) error
}

// What else a channel may be able to do: each is asked for where it is used.
//
//	To(recipients []string) (Sink, error)             the same channel, for others than those of its configuration
//	Render(a *processor.Alert) (string, error)        what would be sent of an alert that begins an exposure, with no secret in it
//	Receipt(ref string) string                        what the channel gave, in words: "ticket 4711"

// AlwaysDelivered reports whether a step is told although somebody ended the exposure
// at the channel: it began, or began again; somebody came in; or an intruder's
// work goes on.
func AlwaysDelivered(step exposure.Step, severity exposure.Severity) bool {
	switch step {
	case exposure.Opened, exposure.Exploited, exposure.Campaign: // which has grown, or is open again
		return true
	case exposure.Updated:
		return severity == exposure.Critical
	}
	return false
}
