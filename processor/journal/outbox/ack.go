package outbox

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// An Outcome is how an alert ended at a sink.
type Outcome uint8

const (
	// Delivered says that the sink got the alert. Ref replaces the reference that is kept.
	Delivered Outcome = iota
	// Partial says that the sink got part of it and the alert stays pending. Only Ref is
	// kept, for the next attempt to go on from.
	Partial
	// Superseded says that the alert was passed over, or became a dead letter. The sink
	// knows the exposure, or would; its reference stays.
	Superseded
	// Suppressed says that the alert is not for the sink. Its reference stays.
	Suppressed
	// ClosedByPerson says that a person closed the exposure at the sink, which gets no
	// more of it. An empty Ref replaces nothing.
	ClosedByPerson
	// Held says that the alert stays pending until the end of mute times, Until. Its
	// reference stays.
	Held
)

// A Result is the outcome of one alert at a sink.
type Result struct {
	Number  uint64
	Outcome Outcome
	Ref     string   // the sink's reference for the exposure
	To      []string // the recipients who know the exposure; nil: the sink's own
	Message any      // for the change log, which sends it in the transaction that records the result; nil: none

	// The rest is kept for people: see Delivery.
	Time     time.Time // of the end; zero: now
	Attempts int
	Receipt  string    // the channel's reference in words
	Why      string    // it is not delivered, or was all the same
	Until    time.Time // Held
}

// knows reports whether the sink knows the exposure from now on.
func (o Outcome) knows() bool { return o == Delivered || o == Partial || o == Superseded }

// Done acks alerts: the sink gets them no more, except those whose outcome is
// Partial or Held. Acking an alert twice is no error.
func (o *Outbox) Done(sink string, results ...Result) error {
	now := time.Now()
	err := o.ack(sink, func(tx *store.Tx, s *sinkStore, ack func(uint64) error) error {
		for _, r := range results {
			if err := s.keepRef(tx, r, now); err != nil {
				return err
			}
			if d, ok := r.delivery(now); ok {
				if err := s.putDelivery(r.Number, d); err != nil {
					return err
				}
			}
			if r.Outcome == Partial || r.Outcome == Held {
				continue
			}
			done, err := s.isDone(r.Number)
			if err != nil {
				return err
			}
			if r.Message != nil && !done {
				tx.Messages = append(tx.Messages, r.Message)
			}
			if err := ack(r.Number); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record deliveries of sink %s: %w", sink, err)
	}
	return nil
}

// ack runs f in a transaction, in which ack acks an alert, and moves the sink's
// cursor.
func (o *Outbox) ack(sink string, f func(tx *store.Tx, s *sinkStore, ack func(uint64) error) error) error {
	if err := o.registered(sink); err != nil {
		return err
	}
	var c cursor
	return o.store.Commit(store.Change{
		Do: func(tx *store.Tx) error {
			s := sinkOf(tx, sink)
			err := f(tx, s, func(number uint64) error {
				done, err := s.isDone(number)
				if done || err != nil {
					return err
				}
				if err := s.attempts.Delete(store.NumberKey(number)); err != nil {
					return err
				}
				return s.done.Put(store.NumberKey(number), nil)
			})
			if err != nil {
				return err
			}
			if err := s.advance(0); err != nil {
				return err
			}
			c, err = s.load(tx, sink)
			return err
		},
		Done: func() {
			o.setCursor(sink, c)
			o.moved.Fire()
		},
	})
}

// setCursor shows a cursor as it was stored, if the sink is registered.
func (o *Outbox) setCursor(sink string, c cursor) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if known := o.cursors[sink]; known != nil {
		*known = c
	}
}

// A ref is the reference that a sink gave for an exposure, and its state there.
type ref struct {
	Ref  string    `json:"ref"`
	Time time.Time `json:"time"`           // when it was kept last
	Over bool      `json:"over,omitempty"` // the exposure is resolved
	Stop bool      `json:"stop,omitempty"` // a person closed it at the sink

	Known bool     `json:"known,omitempty"` // the sink got alerts of it, or would have
	To    []string `json:"to,omitempty"`    // through these recipients
}

// ref returns the zero ref where there is none.
func (s *sinkStore) ref(lane string) (r ref, err error) {
	v, err := s.refs.Get([]byte(lane))
	if err != nil || v == nil {
		return r, err
	}
	if err := json.Unmarshal(v, &r); err != nil {
		return r, fmt.Errorf("%w: reference of exposure %q: %w", store.ErrDamaged, lane, err)
	}
	return r, nil
}

func (s *sinkStore) keepRef(tx *store.Tx, r Result, now time.Time) error {
	key := store.NumberKey(r.Number)
	v, err := tx.Table(alertTable).Get(key)
	if err != nil || v == nil || r.Outcome == Suppressed || r.Outcome == Held {
		return err
	}
	p, _, err := splitAlert(key, v)
	if err != nil {
		return err
	}
	before, err := s.ref(p.Lane)
	if err != nil {
		return err
	}
	keep := ref{Ref: r.Ref, Time: now, Over: p.Step == exposure.Resolved, Known: before.Known, To: before.To}
	switch r.Outcome {
	case Partial:
		keep.Over = false
	case Superseded:
		keep.Ref, keep.Over, keep.Stop = before.Ref, before.Over || keep.Over, before.Stop
	case ClosedByPerson:
		keep.Stop = true
		if r.Ref == "" {
			keep.Ref = before.Ref
		}
	}
	if r.Outcome.knows() {
		keep.Known, keep.To = true, r.To
	}
	value, err := store.Encode(keep)
	if err != nil {
		return err
	}
	return s.refs.Put([]byte(p.Lane), value)
}
