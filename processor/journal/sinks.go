package journal

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// A place is how far a registered sink has come. The file holds the truth of
// next; held and dead are counted.
type place struct {
	next uint64 // all alerts before it are done
	held int    // alerts from next on that are done, out of turn
	dead int    // dead letters
}

func (p *place) pending(last uint64) int { return int(last+1-p.next) - p.held }

// Register makes the sinks known by their names. One that was known before
// goes on from its place; a new one starts with the alerts to come. A sink that
// is not registered keeps its place, but no alert is kept for it beyond the
// retention. Call it before the first Fold.
func (j *Journal) Register(names ...string) error {
	for _, name := range names {
		if len(name) == 0 || len(name) > maxName {
			return fmt.Errorf("register sink %q: a name has 1 to %d bytes", name, maxName)
		}
		var p place
		err := j.commit(change{
			do: func(tx *bolt.Tx) (err error) {
				p, err = register(tx, []byte(name))
				return err
			},
			done: func() {
				j.mu.Lock()
				defer j.mu.Unlock()
				j.places[name] = &p
			},
		})
		if err != nil {
			return fmt.Errorf("register sink %s: %w", name, err)
		}
	}
	return nil
}

func register(tx *bolt.Tx, name []byte) (place, error) {
	alerts, sinks := tx.Bucket(alertsBucket), tx.Bucket(sinksBucket)
	coming := alerts.Sequence() + 1
	b := sinks.Bucket(name)
	if b == nil {
		return place{next: coming}, newSink(sinks, name, coming)
	}
	p, err := placeOf(b)
	if err != nil {
		return p, err
	}
	// While a sink is away, alerts beyond the retention may go.
	first := coming
	if k, _ := alerts.Cursor().First(); k != nil {
		first = binary.BigEndian.Uint64(k)
	}
	next, taken, err := advance(b, first)
	p.next, p.held = next, p.held-taken
	return p, err
}

func newSink(sinks *bolt.Bucket, name []byte, next uint64) error {
	b, err := sinks.CreateBucket(name)
	if err != nil {
		return err
	}
	for _, sub := range [][]byte{doneBucket, refsBucket, deadBucket, triesBucket} {
		if _, err := b.CreateBucket(sub); err != nil {
			return err
		}
	}
	return b.Put(placeKey, numberKey(next))
}

// placeOf reads a place as the last transaction left it.
func placeOf(b *bolt.Bucket) (place, error) {
	next, err := nextOf(b)
	return place{next: next, held: b.Bucket(doneBucket).Stats().KeyN, dead: b.Bucket(deadBucket).Stats().KeyN}, err
}

func nextOf(b *bolt.Bucket) (uint64, error) {
	at := b.Get(placeKey)
	if len(at) != 8 {
		return 0, fmt.Errorf("%w: the place of a sink", ErrDamaged)
	}
	return binary.BigEndian.Uint64(at), nil
}

// advance moves the sink's place to first at least, then over what is done. It
// returns the place and how many marks of alerts done out of turn it took away.
func advance(b *bolt.Bucket, first uint64) (next uint64, taken int, err error) {
	old, err := nextOf(b)
	if err != nil {
		return 0, 0, err
	}
	next = max(old, first)
	done := b.Bucket(doneBucket)
	for {
		k, _ := done.Cursor().First()
		if k == nil || binary.BigEndian.Uint64(k) > next {
			break
		}
		if binary.BigEndian.Uint64(k) == next {
			next++
		}
		if err := done.Delete(k); err != nil {
			return 0, 0, err
		}
		taken++
	}
	if next == old {
		return next, taken, nil
	}
	tries := b.Bucket(triesBucket)
	for {
		k, _ := tries.Cursor().First()
		if k == nil || binary.BigEndian.Uint64(k) >= next {
			break
		}
		if err := tries.Delete(k); err != nil {
			return 0, 0, err
		}
	}
	return next, taken, b.Put(placeKey, numberKey(next))
}

// sinkBucket returns the sink's bucket, nil if it was never registered.
func sinkBucket(tx *bolt.Tx, sink string) *bolt.Bucket {
	return tx.Bucket(sinksBucket).Bucket([]byte(sink))
}

// unregistered are the buckets of sinks that were registered once, and are not.
func (j *Journal) unregistered(tx *bolt.Tx) (gone []*bolt.Bucket, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	sinks := tx.Bucket(sinksBucket)
	err = sinks.ForEachBucket(func(name []byte) error {
		if j.places[string(name)] == nil {
			gone = append(gone, sinks.Bucket(name))
		}
		return nil
	})
	return gone, err
}

func (j *Journal) registered(sink string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.places[sink] == nil {
		return fmt.Errorf("%w: %q", ErrUnknownSink, sink)
	}
	return nil
}
