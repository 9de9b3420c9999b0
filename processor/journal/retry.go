package journal

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// RetryDead puts dead letters of the sink, by their numbers, back among what it
// has to be told, and returns how many were there. They come after all that is
// pending, in their old order; what is pending of the same exposures comes after
// them once more, so that an exposure's steps end in order. Where such a step is
// being sent at that moment, the sink is told it twice, with the same ID. The
// sink need not be registered.
func (j *Journal) RetryDead(sink string, numbers ...uint64) (retried int, err error) {
	numbers = slices.Compact(slices.Sorted(slices.Values(numbers)))
	now := time.Now()
	var last uint64
	places := map[string]place{}
	err = j.commit(change{
		do: func(tx *bolt.Tx) (err error) {
			retried, err = retryDead(tx, sink, numbers, now)
			if err != nil || retried == 0 {
				return err
			}
			last = tx.Bucket(alertsBucket).Sequence()
			sinks := tx.Bucket(sinksBucket)
			return sinks.ForEachBucket(func(name []byte) (err error) {
				places[string(name)], err = countPlace(sinks.Bucket(name))
				return err
			})
		},
		done: func() {
			if retried == 0 {
				return
			}
			j.mu.Lock()
			j.last = max(j.last, last)
			for name, p := range j.places {
				p.next, p.held = places[name].next, places[name].held
			}
			j.mu.Unlock()
			j.countDead(sink, -retried)
			j.alerted.fire()
			j.moved.fire()
		},
	})
	if err != nil {
		return 0, fmt.Errorf("retry dead letters of sink %s: %w", sink, err)
	}
	return retried, nil
}

// countPlace is placeOf within a transaction that has written.
func countPlace(b *bolt.Bucket) (p place, err error) {
	p.next, err = nextOf(b)
	c := b.Bucket(doneBucket).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		p.held++
	}
	return p, err
}

// A repeat is an alert to be appended again, and its first number, which its
// turn goes by.
type repeat struct {
	alert *exposure.Alert
	first uint64
}

func retryDead(tx *bolt.Tx, sink string, numbers []uint64, now time.Time) (retried int, err error) {
	var again []repeat
	lines := map[string]uint64{} // the first of each that is retried
	retried, err = takeDead(tx, sink, numbers, func(d DeadLetter) error {
		if d.Alert == nil {
			return fmt.Errorf("%w: a dead letter without its alert", ErrDamaged)
		}
		r := repeat{d.Alert, firstNumber(tx, d.Alert, d.Number)}
		line := string(nameKey(lineOf(d.Alert)))
		if first, ok := lines[line]; !ok || r.first < first {
			lines[line] = r.first
		}
		again = append(again, r)
		return nil
	})
	if err != nil || retried == 0 {
		return 0, err
	}
	later, err := takePending(tx, sinkBucket(tx, sink), lines)
	if err != nil {
		return 0, err
	}
	again = append(again, later...)
	slices.SortStableFunc(again, func(a, b repeat) int { return cmp.Compare(a.first, b.first) })
	if err := appendFor(tx, sink, again, now); err != nil {
		return 0, err
	}
	return retried, settle(tx)
}

// firstNumber is the number an alert was journalled with, or else the one it
// has now.
func firstNumber(tx *bolt.Tx, a *exposure.Alert, number uint64) uint64 {
	if key := tx.Bucket(toldBucket).Get(nameKey(a.ID)); len(key) == 8 {
		return min(number, binary.BigEndian.Uint64(key))
	}
	return number
}

// takePending marks as done what the sink has still to be told of the lines
// after their given numbers, and returns it.
func takePending(tx *bolt.Tx, b *bolt.Bucket, lines map[string]uint64) (later []repeat, err error) {
	place, err := nextOf(b)
	if err != nil {
		return nil, err
	}
	done := b.Bucket(doneBucket)
	var marks [][]byte
	c := tx.Bucket(alertsBucket).Cursor()
	for k, v := c.Seek(numberKey(place)); k != nil; k, v = c.Next() {
		if done.Get(k) != nil {
			continue
		}
		p, _, err := splitAlert(k, v)
		if err != nil {
			return nil, err
		}
		after, ok := lines[p.Line]
		if !ok {
			continue
		}
		a, _, err := getAlert(tx, p.Number)
		if err != nil {
			return nil, err
		}
		if first := firstNumber(tx, a, p.Number); first > after {
			later = append(later, repeat{a, first})
			marks = append(marks, slices.Clone(k))
		}
	}
	for _, key := range marks {
		if err := done.Put(key, present); err != nil {
			return nil, err
		}
	}
	return later, nil
}

// appendFor appends alerts for one sink alone: every other one is done with
// them from the start.
func appendFor(tx *bolt.Tx, sink string, again []repeat, now time.Time) error {
	alerts, sinks := tx.Bucket(alertsBucket), tx.Bucket(sinksBucket)
	for _, r := range again {
		e, err := newAlertEntry(r.alert, now)
		if err != nil {
			return err
		}
		number, err := alerts.NextSequence()
		if err != nil {
			return err
		}
		key := numberKey(number)
		if err := alerts.Put(key, seal(key, e.value)); err != nil {
			return err
		}
		err = sinks.ForEachBucket(func(name []byte) error {
			if string(name) == sink {
				return nil
			}
			return sinks.Bucket(name).Bucket(doneBucket).Put(key, present)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// settle moves every sink's place over what it is done with.
func settle(tx *bolt.Tx) error {
	sinks := tx.Bucket(sinksBucket)
	return sinks.ForEachBucket(func(name []byte) error {
		_, _, err := advance(sinks.Bucket(name), 0)
		return err
	})
}
