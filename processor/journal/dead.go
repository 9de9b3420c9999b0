package journal

import (
	"encoding/json"
	"fmt"
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
	var letters []DeadLetter
	err := j.view(func(tx *bolt.Tx) error {
		b := sinkBucket(tx, sink)
		if b == nil {
			return fmt.Errorf("%w: %q", ErrUnknownSink, sink)
		}
		return b.Bucket(deadBucket).ForEach(func(k, sealed []byte) error {
			v, err := unseal(k, sealed)
			if err != nil {
				return err
			}
			var d DeadLetter
			if err := json.Unmarshal(v, &d); err != nil {
				return fmt.Errorf("%w: dead letter %x: %w", ErrDamaged, k, err)
			}
			letters = append(letters, d)
			return nil
		})
	})
	return letters, err
}
