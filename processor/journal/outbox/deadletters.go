package outbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// A DeadLetter is an alert that a sink did not get and is not sent any more,
// kept until an operator drops or retries it.
type DeadLetter struct {
	Number   uint64          `json:"number"`
	Cause    string          `json:"cause"`
	Attempts int             `json:"attempts"`
	First    time.Time       `json:"first"` // attempt
	Last     time.Time       `json:"last"`  // attempt
	Alert    *exposure.Alert `json:"alert"` // filled in by Bury
}

// Bury keeps an alert as a dead letter of the sink and acks it. It ignores an
// alert that the sink has acked already.
func (o *Outbox) Bury(sink string, d DeadLetter) error {
	key := store.NumberKey(d.Number)
	err := o.ack(sink, func(tx *store.Tx, s *sinkStore, ack func(uint64) error) error {
		done, err := s.isDone(d.Number)
		if done || err != nil {
			return err
		}
		_, body, err := readAlert(tx, d.Number)
		if err != nil {
			return err
		}
		value, err := store.Encode(struct {
			DeadLetter
			Alert json.RawMessage `json:"alert"`
		}{d, body})
		if err != nil {
			return err
		}
		if err := s.dead.Put(key, value); err != nil {
			return err
		}
		if err := s.putDelivery(d.Number, Delivery{State: StateDeadLetter, Time: utc(d.Last), Attempts: d.Attempts, Why: d.Cause}); err != nil {
			return err
		}
		return ack(d.Number)
	})
	if err != nil {
		return fmt.Errorf("keep the dead letter of alert %d for sink %s: %w", d.Number, sink, err)
	}
	return nil
}

// DeadLetters returns the sink's dead letters, oldest alert first.
func (o *Outbox) DeadLetters(sink string) ([]DeadLetter, error) {
	return o.DeadLettersAfter(sink, 0, math.MaxInt)
}

// DeadLettersAfter returns the sink's dead letters whose number is greater than
// after, in order, at most limit of them. The sink need not be registered.
func (o *Outbox) DeadLettersAfter(sink string, after uint64, limit int) ([]DeadLetter, error) {
	var letters []DeadLetter
	err := o.store.View(func(tx *store.Tx) (err error) {
		s := sinkOf(tx, sink)
		if s == nil {
			return fmt.Errorf("%w: %q", ErrUnknownSink, sink)
		}
		for k, v := range s.dead.Ascend(&err, store.NumberKey(after+1)) {
			if len(letters) >= limit {
				break
			}
			d, err := decodeDead(k, v)
			if err != nil {
				return err
			}
			letters = append(letters, d)
		}
		return err
	})
	return letters, err
}

func decodeDead(key, value []byte) (d DeadLetter, err error) {
	if err := json.Unmarshal(value, &d); err != nil {
		return d, fmt.Errorf("%w: dead letter %x: %w", store.ErrDamaged, key, err)
	}
	if d.Alert == nil {
		return d, fmt.Errorf("%w: dead letter %x has no alert", store.ErrDamaged, key)
	}
	return d, nil
}

// DropDead removes dead letters of the sink, by their numbers, and returns how
// many there were. The sink need not be registered.
func (o *Outbox) DropDead(sink string, numbers ...uint64) (dropped int, err error) {
	var c cursor
	err = o.store.Commit(store.Change{
		Do: func(tx *store.Tx) error {
			letters, err := takeDead(tx, sink, numbers)
			if err != nil {
				return err
			}
			dropped = len(letters)
			c, err = sinkOf(tx, sink).load(tx, sink)
			return err
		},
		Done: func() { o.setCursor(sink, c) },
	})
	if err != nil {
		return 0, fmt.Errorf("drop dead letters of sink %s: %w", sink, err)
	}
	return dropped, nil
}

// takeDead removes the dead letters of those numbers and returns them.
func takeDead(tx *store.Tx, sink string, numbers []uint64) (letters []DeadLetter, err error) {
	s := sinkOf(tx, sink)
	if s == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknownSink, sink)
	}
	for _, number := range numbers {
		key := store.NumberKey(number)
		v, err := s.dead.Get(key)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		d, err := decodeDead(key, v)
		if err != nil {
			return nil, err
		}
		if err := s.dead.Delete(key); err != nil {
			return nil, err
		}
		letters = append(letters, d)
	}
	return letters, nil
}

// Requeue requeues dead letters of the sink, by their numbers, and returns how
// many there were. They follow everything that is pending, in their old order;
// pending alerts of the same exposures are requeued behind them, so that an
// exposure's steps stay in order. A step that is being sent at that moment
// reaches the sink twice, with the same ID. The sink need not be registered.
func (o *Outbox) Requeue(sink string, numbers ...uint64) (retried int, err error) {
	numbers = slices.Compact(slices.Sorted(slices.Values(numbers)))
	now := time.Now()
	var last uint64
	cursors := map[string]cursor{}
	err = o.store.Commit(store.Change{
		Do: func(tx *store.Tx) (err error) {
			if retried, err = requeue(tx, sink, numbers, now); err != nil {
				return err
			}
			if last, err = tx.Table(store.StateTable).Number(lastKey); err != nil {
				return err
			}
			return eachSink(tx, func(name string, s *sinkStore) (err error) {
				if err = s.advance(0); err != nil {
					return err
				}
				cursors[name], err = s.load(tx, name)
				return err
			})
		},
		Done: func() {
			if retried == 0 {
				return
			}
			o.mu.Lock()
			o.last = max(o.last, last)
			o.mu.Unlock()
			for name, c := range cursors {
				o.setCursor(name, c)
			}
			o.alerted.Fire()
			o.moved.Fire()
		},
	})
	if err != nil {
		return 0, fmt.Errorf("retry dead letters of sink %s: %w", sink, err)
	}
	return retried, nil
}

// A requeued alert goes by its first number.
type requeued struct {
	alert *exposure.Alert
	first uint64
}

func requeue(tx *store.Tx, sink string, numbers []uint64, now time.Time) (retried int, err error) {
	letters, err := takeDead(tx, sink, numbers)
	if err != nil || len(letters) == 0 {
		return 0, err
	}
	var again []requeued
	lanes := map[string]uint64{} // the first number of each that is retried
	for _, d := range letters {
		if err := sinkOf(tx, sink).deliveries.Delete(store.NumberKey(d.Number)); err != nil {
			return 0, err
		}
		first, err := firstNumber(tx, string(store.NameKey(d.Alert.ID)), d.Number)
		if err != nil {
			return 0, err
		}
		lane := laneOf(d.Alert)
		if known, ok := lanes[lane]; !ok || first < known {
			lanes[lane] = first
		}
		again = append(again, requeued{d.Alert, first})
	}
	later, err := takePending(tx, sinkOf(tx, sink), lanes)
	if err != nil {
		return 0, err
	}
	again = append(again, later...)
	slices.SortStableFunc(again, func(a, b requeued) int { return cmp.Compare(a.first, b.first) })
	return len(letters), appendFor(tx, sink, again, now)
}

// firstNumber returns the number that an alert was journalled with first, or
// else the one it has now.
func firstNumber(tx *store.Tx, id string, number uint64) (uint64, error) {
	first, err := tx.Table(alertIDTable).Number([]byte(id))
	if err != nil || first == 0 {
		return number, err
	}
	return min(number, first), nil
}

// takePending acks the pending alerts of the lanes that follow the given
// numbers, and returns them.
func takePending(tx *store.Tx, s *sinkStore, lanes map[string]uint64) (later []requeued, err error) {
	next, err := s.next()
	if err != nil {
		return nil, err
	}
	for p, body := range ascend(tx, &err, next) {
		k := store.NumberKey(p.Number)
		after, ok := lanes[p.Lane]
		if !ok || s.done.Has(k) {
			continue
		}
		first, err := firstNumber(tx, p.id, p.Number)
		if err != nil {
			return nil, err
		}
		if first <= after {
			continue
		}
		a, err := decodeAlert(p.Number, body)
		if err != nil {
			return nil, err
		}
		later = append(later, requeued{a, first})
		if err := errors.Join(s.attempts.Delete(k), s.deliveries.Delete(k), s.done.Put(k, nil)); err != nil {
			return nil, err
		}
	}
	return later, err
}

// appendFor appends alerts for one sink alone: every other one has acked them
// from the start.
func appendFor(tx *store.Tx, sink string, again []requeued, now time.Time) error {
	for _, r := range again {
		e, err := NewEntry(r.alert, now)
		if err != nil {
			return err
		}
		number, err := putAlert(tx, e)
		if err != nil {
			return err
		}
		err = eachSink(tx, func(name string, s *sinkStore) error {
			if name == sink {
				return nil
			}
			return s.done.Put(store.NumberKey(number), nil)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
