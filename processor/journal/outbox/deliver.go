package outbox

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// Pending returns the alerts that the sink has not acked and whose number is
// greater than after, in order, at most limit of them.
func (o *Outbox) Pending(sink string, after uint64, limit int) ([]Pending, error) {
	if err := o.registered(sink); err != nil {
		return nil, err
	}
	var pending []Pending
	err := o.store.View(func(tx *store.Tx) error {
		s := sinkOf(tx, sink)
		gone, err := o.unregistered(tx)
		if err != nil {
			return err
		}
		next, err := s.next()
		if err != nil {
			return err
		}
		for p := range ascend(tx, &err, max(after+1, next)) {
			if len(pending) >= limit {
				break
			}
			if s.done.Has(store.NumberKey(p.Number)) {
				continue
			}
			if err := s.complete(&p, gone); err != nil {
				return err
			}
			pending = append(pending, p)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pending alerts of sink %s: %w", sink, err)
	}
	return pending, nil
}

// Urgent looks for critical alerts that the sink has not acked and whose number is
// greater than seen. It returns, lane by lane and in the order of each, the alerts of
// their lanes that are not acked and whose number is greater than after: limit of both
// at most. Last is the number of the newest alert that it looked at; at the limit there
// may be more.
func (o *Outbox) Urgent(sink string, after, seen uint64, limit int) (pending []Pending, last uint64, err error) {
	if err := o.registered(sink); err != nil {
		return nil, 0, err
	}
	last = seen
	err = o.store.View(func(tx *store.Tx) error {
		s, known := sinkOf(tx, sink), map[string]bool{}
		var lanes []string
		gone, err := o.unregistered(tx)
		if err != nil {
			return err
		}
		for p := range ascend(tx, &err, seen+1) {
			if len(lanes) >= limit {
				break
			}
			if last = p.Number; p.Severity == exposure.Critical && !known[p.Lane] && !s.done.Has(store.NumberKey(p.Number)) {
				known[p.Lane], lanes = true, append(lanes, p.Lane)
			}
		}
		for _, lane := range lanes {
			for key := range laneKeys(tx, lane, &err) {
				if binary.BigEndian.Uint64(key) <= after || s.done.Has(key) {
					continue
				}
				if len(pending) >= limit {
					return err
				}
				p, _, err := readAlert(tx, binary.BigEndian.Uint64(key))
				if err != nil {
					return err
				}
				if err := s.complete(&p, gone); err != nil {
					return err
				}
				pending = append(pending, p)
			}
		}
		return err
	})
	if err != nil {
		return nil, seen, fmt.Errorf("urgent alerts of sink %s: %w", sink, err)
	}
	return pending, last, nil
}

// complete adds to the header of an alert its failures, and whether the sink and the
// sinks that are gone know its exposure.
func (s *sinkStore) complete(p *Pending, gone []*sinkStore) (err error) {
	if p.Attempts, p.First, err = s.failed(store.NumberKey(p.Number)); err != nil {
		return err
	}
	r, err := s.ref(p.Lane)
	if err != nil {
		return err
	}
	p.ClosedByPerson, p.Known, p.To = r.Stop, r.Known || r.Ref != "", r.To
	for _, other := range gone {
		r, err := other.ref(p.Lane)
		if err != nil {
			return err
		}
		p.Orphan = p.Orphan || r.Known
	}
	return nil
}

// Load returns an alert that is pending for the sink, and the reference that
// the sink gave for its exposure, "" if it gave none.
func (o *Outbox) Load(sink string, number uint64) (a *exposure.Alert, ref string, err error) {
	if err := o.registered(sink); err != nil {
		return nil, "", err
	}
	return o.read(sink, number, false)
}

// Take is Load for a caller about to send: its error is ErrAcked if the sink has
// acked the alert, which another call may have done since Pending returned it.
func (o *Outbox) Take(sink string, number uint64) (a *exposure.Alert, ref string, err error) {
	return o.read(sink, number, true)
}

func (o *Outbox) read(sink string, number uint64, pending bool) (a *exposure.Alert, reference string, err error) {
	var body []byte
	var r ref
	err = o.store.View(func(tx *store.Tx) error {
		s := sinkOf(tx, sink)
		if s == nil {
			return ErrUnknownSink
		}
		if pending {
			done, err := s.isDone(number)
			if err != nil {
				return err
			}
			if done {
				return ErrAcked
			}
		}
		p, b, err := readAlert(tx, number)
		if err != nil {
			return err
		}
		body = slices.Clone(b)
		r, err = s.ref(p.Lane)
		return err
	})
	if err == nil {
		a, err = decodeAlert(number, body)
	}
	if err != nil {
		return nil, "", fmt.Errorf("load alert for sink %s: %w", sink, err)
	}
	return a, r.Ref, nil
}

// A Failure records that sending an alert failed so far.
type Failure struct {
	Number   uint64
	Attempts int       // so far
	First    time.Time // since when its age counts; zero: it does not yet
	Last     time.Time // when the last attempt ended
	Why      string    // the last attempt failed
}

// Failed records failures, for Pending to return after a restart. It ignores
// alerts that the sink has acked by now.
func (o *Outbox) Failed(sink string, failures ...Failure) error {
	if err := o.registered(sink); err != nil {
		return err
	}
	err := o.store.Commit(store.Change{
		Do: func(tx *store.Tx) error {
			s := sinkOf(tx, sink)
			for _, f := range failures {
				done, err := s.isDone(f.Number)
				if err != nil {
					return err
				}
				if done {
					continue
				}
				if err := s.attempts.Put(store.NumberKey(f.Number), encodeFailure(f)); err != nil {
					return err
				}
				if err := s.putDelivery(f.Number, Delivery{State: StatePending, Time: utc(f.Last), Attempts: f.Attempts, Why: f.Why}); err != nil {
					return err
				}
			}
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("record failures of sink %s: %w", sink, err)
	}
	return nil
}

func encodeFailure(f Failure) []byte {
	v := binary.BigEndian.AppendUint32(nil, uint32(f.Attempts))
	if f.First.IsZero() {
		return v
	}
	return append(v, store.ExactKey(f.First)...)
}

// failed returns zeros for an alert that did not fail.
func (s *sinkStore) failed(key []byte) (attempts int, first time.Time, err error) {
	v, err := s.attempts.Get(key)
	switch {
	case err != nil || v == nil:
		return 0, first, err
	case len(v) == 12:
		first = store.KeyExact(v[4:])
	case len(v) != 4:
		return 0, first, store.Damaged(key)
	}
	return int(binary.BigEndian.Uint32(v)), first, nil
}
