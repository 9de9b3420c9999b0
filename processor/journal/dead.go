package journal

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// A DeadLetter is an alert that a sink was not told and will not be: kept until
// a person has seen to it.
type DeadLetter struct {
	Number   uint64          `json:"number"`
	Cause    string          `json:"cause"`
	Attempts int             `json:"attempts"`
	First    time.Time       `json:"first"` // attempt
	Last     time.Time       `json:"last"`  // attempt
	Alert    *exposure.Alert `json:"alert"` // filled in by Bury
}

// Bury keeps an alert as a dead letter of the sink, which is then done with it.
// An alert that the sink is done with already is left alone.
func (j *Journal) Bury(sink string, d DeadLetter) error {
	a, _, err := j.Load(sink, d.Number)
	if err != nil {
		return err
	}
	d.Alert = a
	value, err := encode(d)
	if err != nil {
		return fmt.Errorf("dead letter of alert %s: %w", a.ID, err)
	}
	key := numberKey(d.Number)
	err = j.finish(sink, func(_ *bolt.Tx, b *bolt.Bucket, mark func(uint64) error) (dead int, err error) {
		if isDone(b, d.Number) {
			return 0, nil
		}
		if err := b.Bucket(deadBucket).Put(key, seal(key, value)); err != nil {
			return 0, err
		}
		return 1, mark(d.Number)
	})
	if err != nil {
		return fmt.Errorf("keep the dead letter of alert %s for sink %s: %w", a.ID, sink, err)
	}
	return nil
}

// DeadLetters returns the sink's dead letters, oldest alert first.
func (j *Journal) DeadLetters(sink string) ([]DeadLetter, error) {
	return j.DeadLettersAfter(sink, 0, math.MaxInt)
}

// DeadLettersAfter returns the sink's dead letters whose number is over after,
// in order, at most limit of them. The sink need not be registered.
func (j *Journal) DeadLettersAfter(sink string, after uint64, limit int) ([]DeadLetter, error) {
	var letters []DeadLetter
	err := j.view(func(tx *bolt.Tx) error {
		b := sinkBucket(tx, sink)
		if b == nil {
			return fmt.Errorf("%w: %q", ErrUnknownSink, sink)
		}
		c := b.Bucket(deadBucket).Cursor()
		for k, v := c.Seek(numberKey(after + 1)); k != nil && len(letters) < limit; k, v = c.Next() {
			d, err := decodeDead(k, v)
			if err != nil {
				return err
			}
			letters = append(letters, d)
		}
		return nil
	})
	return letters, err
}

func decodeDead(key, sealed []byte) (d DeadLetter, err error) {
	v, err := unseal(key, sealed)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(v, &d); err != nil {
		return d, fmt.Errorf("%w: dead letter %x: %w", ErrDamaged, key, err)
	}
	return d, nil
}

// Sinks returns the names of all sinks that were ever registered, sorted.
func (j *Journal) Sinks() ([]string, error) {
	var names []string
	err := j.view(func(tx *bolt.Tx) error {
		return tx.Bucket(sinksBucket).ForEachBucket(func(name []byte) error {
			names = append(names, string(name))
			return nil
		})
	})
	return names, err
}

// DropDead removes dead letters of the sink, by their numbers, and returns how
// many were there. The sink need not be registered.
func (j *Journal) DropDead(sink string, numbers ...uint64) (dropped int, err error) {
	err = j.commit(change{
		do: func(tx *bolt.Tx) (err error) {
			dropped, err = takeDead(tx, sink, numbers, func(DeadLetter) error { return nil })
			return err
		},
		done: func() { j.countDead(sink, -dropped) },
	})
	if err != nil {
		return 0, fmt.Errorf("drop dead letters of sink %s: %w", sink, err)
	}
	return dropped, nil
}

// takeDead removes the dead letters that are there and calls f with each.
func takeDead(tx *bolt.Tx, sink string, numbers []uint64, f func(DeadLetter) error) (taken int, err error) {
	b := sinkBucket(tx, sink)
	if b == nil {
		return 0, fmt.Errorf("%w: %q", ErrUnknownSink, sink)
	}
	dead := b.Bucket(deadBucket)
	for _, number := range numbers {
		key := numberKey(number)
		sealed := dead.Get(key)
		if sealed == nil {
			continue
		}
		d, err := decodeDead(key, sealed)
		if err != nil {
			return 0, err
		}
		if err := f(d); err != nil {
			return 0, err
		}
		if err := dead.Delete(key); err != nil {
			return 0, err
		}
		taken++
	}
	return taken, nil
}

func (j *Journal) countDead(sink string, change int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if p := j.places[sink]; p != nil {
		p.dead += change
	}
}

// Unregister forgets that the sink is to be told, as if this process had never
// registered it: its place, its dead letters and what it has not been told stay
// in the file for when it comes back. Its dispatcher has ended before.
func (j *Journal) Unregister(sink string) {
	j.mu.Lock()
	delete(j.places, sink)
	j.mu.Unlock()
	j.moved.fire() // Idle no longer waits for it
}
