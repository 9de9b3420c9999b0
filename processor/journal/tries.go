package journal

import (
	"encoding/binary"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A Failure says that a sink could not be told an alert so far.
type Failure struct {
	Number   uint64
	Attempts int       // so far
	First    time.Time // since when its age counts; zero: it does not yet
}

// Failed notes what the sink could not be told so far, for Pending to say after
// a restart. What the sink is done with by now is left alone.
func (j *Journal) Failed(sink string, failures ...Failure) error {
	if err := j.registered(sink); err != nil {
		return err
	}
	err := j.commit(change{
		do: func(tx *bolt.Tx) error {
			b := sinkBucket(tx, sink)
			tries := b.Bucket(triesBucket)
			for _, f := range failures {
				if isDone(b, f.Number) {
					continue
				}
				if err := tries.Put(numberKey(f.Number), encodeTries(f)); err != nil {
					return err
				}
			}
			return nil
		},
		done: func() {},
	})
	if err != nil {
		return fmt.Errorf("note what sink %s could not be told: %w", sink, err)
	}
	return nil
}

func encodeTries(f Failure) []byte {
	v := binary.BigEndian.AppendUint32(nil, uint32(f.Attempts))
	if f.First.IsZero() {
		return v
	}
	return append(v, exactKey(f.First)...)
}

// tried returns zeros for an alert that did not fail.
func tried(b *bolt.Bucket, key []byte) (attempts int, first time.Time) {
	v := b.Bucket(triesBucket).Get(key)
	if len(v) < 4 {
		return 0, first
	}
	if len(v) == 12 {
		first = exactTime(v[4:])
	}
	return int(binary.BigEndian.Uint32(v)), first
}
