package dispatch

import (
	"context"
	"log/slog"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

// maxLogged bounds a logged text of others, in bytes.
const maxLogged = 200

// logDelivered logs a delivery.
func (w *Worker) logDelivered(a *attempt, it item, r outbox.Result, now time.Time) {
	ctx := context.Background()
	if !w.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	attrs := []slog.Attr{slog.String("alert", it.alert.ID), slog.Int("attempts", r.Attempts), slog.Duration("duration", now.Sub(a.started).Round(time.Microsecond))}
	if r.Receipt != "" {
		attrs = append(attrs, slog.String("reference", safetext.Clean(r.Receipt, maxLogged)))
	}
	if a.group != "" {
		attrs = append(attrs, slog.Int("group", len(a.items)))
	}
	w.log.LogAttrs(ctx, slog.LevelInfo, "the alert was delivered", attrs...)
}

// logSkipped logs why an alert is not sent: suppressed, superseded, closed by a
// person, or held.
func (w *Worker) logSkipped(reason route.Reason, it route.Item, why string, more ...slog.Attr) {
	ctx := context.Background()
	if !w.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{slog.String("reason", string(reason)), slog.String("why", safetext.Clean(why, maxLogged))}
	if it.Alert != nil {
		attrs = append(attrs, slog.String("alert", it.Alert.ID))
	} else {
		attrs = append(attrs, slog.String("exposure", safetext.Clean(it.Lane, maxLogged)), slog.String("step", string(it.Pending.Step)))
	}
	w.log.LogAttrs(ctx, slog.LevelDebug, "the alert is not sent", append(attrs, more...)...)
}

// logGrouped logs the alerts that share a message.
func (w *Worker) logGrouped(a *attempt) {
	ctx := context.Background()
	if a.group == "" || !w.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	for _, it := range a.items {
		w.log.LogAttrs(ctx, slog.LevelDebug, "the alert is grouped", slog.String("reason", "grouped"),
			slog.String("why", "it shares a message with others of its "+w.config.Group.By), slog.Int("group", len(a.items)), slog.String("exposure", safetext.Clean(it.lane.name, maxLogged)))
	}
}

// hold logs and records that the head of a lane waits for the end of mute times.
func (w *Worker) hold(head route.Item, until time.Time) {
	l := w.lanes[head.Lane]
	if l == nil || l.held.Equal(until) {
		return
	}
	l.held = until
	w.logSkipped("held", head, head.Decision.Why, slog.Time("until", until))
	w.add(record{result: outbox.Result{Number: head.Pending.Number, Outcome: outbox.Held, Until: until, Why: head.Decision.Why}})
}
