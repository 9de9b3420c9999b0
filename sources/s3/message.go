package s3

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// A worker works on one message after the other.
type worker struct {
	*run
	buf []byte // of the small object at hand
}

// causeUnparsable is the cause of messages that cannot be understood. The other
// causes are bucket.Faults.
const causeUnparsable = "message"

// A failure is why a message cannot be deleted yet.
type failure struct {
	cause string
	own   bool // the message's own: it may fail so for ever
	err   error
}

// The failures of one attempt. A message may name thousands of objects, and
// the error of each holds its response, so only the first is kept.
type failures struct {
	first failure
	count int
	own   bool // each is the message's own
}

func (f *failures) add(one failure) {
	if f.count == 0 {
		f.first, f.own = one, true
	}
	f.count++
	f.own = f.own && one.own
}

// ownFault reports whether a fault may be the object's own, so its message goes to
// the quarantine in the end. An outage is not.
func ownFault(f bucket.Fault) bool {
	switch f {
	case bucket.FaultThrottled, bucket.FaultServer, bucket.FaultNetwork, bucket.FaultCredentials:
		return false
	}
	return true
}

// An attempt is one try at a message.
type attempt struct {
	*worker
	ctx      context.Context
	m        *message
	objects  []namedObject // to be read
	records  bool          // the message holds records itself
	first    *fetched      // the first object, fetched beforehand
	failures failures
	damage   []failure // reported by the handler for the offer under way
}

// message works on m until it is acknowledged, quarantined or put back.
func (w *worker) message(ctx context.Context, m *message) {
	n, err := parseNotification(m.body)
	if err == nil && len(n.objects) == 0 && !n.records {
		w.metrics.ignored.WithLabelValues(string(n.ignored)).Inc()
		w.done <- m
		return
	}
	if m.receives > 1 {
		w.metrics.Retries.Inc()
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	w.held.setStop(m, stop)
	defer w.held.setStop(m, nil)

	a := &attempt{worker: w, ctx: ctx, m: m, records: n.records}
	a.objects = a.choose(n.objects)
	last := w.config.MaxReceives > 0 && m.receives >= w.config.MaxReceives
	if err != nil { // permanent: a retry reads the same message
		a.failures.add(failure{causeUnparsable, true, fmt.Errorf("message: %w", err)})
		last = w.config.MaxReceives > 0
	}
	err = a.deliver()
	tooLong := errors.Is(context.Cause(ctx), errTooLong)
	if tooLong && (err != nil || a.failures.count > 0) {
		a.failures, err = failures{failure{string(bucket.FaultOther), true, errTooLong}, 1, true}, nil
	}
	if err == nil && a.failures.count > 0 {
		err = a.joined()
		if last && a.failures.own {
			err = a.quarantine()
		}
	}
	switch {
	case err == nil:
		w.metrics.Acked.Inc()
		w.done <- m
	case ctx.Err() != nil && !tooLong: // shutdown is no failure
		w.requeueNow(ctx, []*message{m})
	default:
		w.metrics.Failed.Inc()
		wait := w.backoff(m.receives)
		w.warn.Do(func() {
			w.log.Warn("message failed; it is put back", "message", m.id, "receives", m.receives, "in", wait.Round(time.Second), "err", err)
		})
		w.requeue(ctx, []*message{m}, wait)
	}
}

// Again reads the objects that a quarantined message names, given its body. It
// returns an error as long as one of them cannot be read.
func (s *Source) Again(ctx context.Context, h processor.Handler, body string) error {
	n, err := parseNotification(body)
	if err != nil {
		return fmt.Errorf("message: %w", err)
	}
	a := &attempt{worker: &worker{run: &run{Source: s, handle: h}}, ctx: ctx, m: &message{id: "again", body: body}, records: n.records}
	a.objects = a.choose(n.objects)
	if err := a.deliver(); err != nil {
		return err
	}
	return a.joined()
}

// deliver offers the readable objects to the handler. Failures of the others are in
// a.failures afterwards; an error is the handler's.
func (a *attempt) deliver() error {
	if len(a.objects) > 0 {
		a.first = a.fetch(a.objects[0])
	}
	for {
		known := a.failures.count
		a.damage = a.damage[:0]
		err := a.handle(a.ctx, processor.Delivery{Source: a.name, Parts: a.parts, Unreadable: a.damaged})
		switch {
		case err == nil:
			for _, d := range a.damage {
				a.failures.add(d)
			}
			return nil
		case a.ctx.Err() != nil || a.failures.count == known:
			return err
		}
		// An object broke off permanently. The others do not wait for it.
	}
}

// parts yields the objects that can be read.
func (a *attempt) parts(yield func(processor.Part, error) bool) {
	if a.records && !yield(processor.Part{Origin: trail.Place(a.uri + a.m.id), Bytes: []byte(a.m.body)}, nil) {
		return
	}
	for i := 0; i < len(a.objects); i++ {
		f := a.first
		if a.first = nil; f == nil {
			f = a.fetch(a.objects[i])
		}
		part := processor.Part{Origin: trail.Place(f.object.String())}
		goOn, broken := true, f.err
		switch {
		case f.err != nil:
		case f.body != nil:
			part.Body = f.body
			goOn = yield(part, nil)
			broken = f.body.Err()
			_ = f.body.Close() // it was read, or the rest is not needed
			a.metrics.resumed.Add(float64(f.body.Resumed()))
		default:
			part.Bytes = f.bytes
			goOn = yield(part, nil)
		}
		if broken != nil {
			a.fail(broken)
			a.objects = slices.Delete(a.objects, i, i+1)
			i--
		}
		if !goOn {
			return
		}
	}
}

// fail records that an object cannot be read.
func (a *attempt) fail(err error) {
	fault := bucket.FaultOther
	if oe, ok := errors.AsType[*bucket.ObjectError](err); ok {
		fault = oe.Fault
	}
	if a.ctx.Err() == nil {
		a.metrics.objectErrors.WithLabelValues(string(fault)).Inc()
	}
	a.failures.add(failure{string(fault), ownFault(fault), err})
}

// damaged records the unreadable parts of an object, which may be rewritten, so
// its message must not be deleted in silence.
func (a *attempt) damaged(u trail.Unreadable) {
	if len(a.damage) < maxDamage {
		a.metrics.objectErrors.WithLabelValues(string(bucket.FaultCorrupt)).Inc()
		a.damage = append(a.damage, failure{string(bucket.FaultCorrupt), true, fmt.Errorf("read %s: %s at byte %d: %w", u.Origin, u.Reason, u.Offset, u.Err)})
	}
}

// maxDamage bounds the damage that is recorded for a message.
const maxDamage = 10

// joined returns the failures of the message in one line, nil if there are none.
func (a *attempt) joined() error {
	if a.failures.count == 0 {
		return nil
	}
	err := a.failures.first.err
	if n := a.failures.count - 1; n > 0 {
		err = fmt.Errorf("%w (and %d more)", err, n)
	}
	return err
}

// quarantine hands the message to the quarantine with its cause, so that it may be
// deleted.
func (a *attempt) quarantine() error {
	cause := a.failures.first.cause
	given := processor.Part{
		Origin:  trail.Place(a.uri + a.m.id),
		Bytes:   []byte(a.m.body),
		GivenUp: &processor.GivenUp{Reason: cause, Err: a.joined()},
	}
	err := a.handle(context.WithoutCancel(a.ctx), processor.Delivery{Source: a.name, Parts: processor.One(given)})
	if err != nil {
		return fmt.Errorf("%w; the message could not be quarantined: %w", a.joined(), err)
	}
	a.metrics.quarantined.WithLabelValues(cause).Inc()
	a.log.Error("message quarantined; review it with 'mfawatch quarantine list'",
		"message", a.m.id, "receives", a.m.receives, "cause", cause, "err", a.joined())
	return nil
}
