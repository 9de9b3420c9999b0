package outbox

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// A cursor is how far a registered sink has come. The file holds next; held and
// dead are counted.
type cursor struct {
	next uint64 // all alerts before it are acked
	held int    // alerts after next that are acked, out of order
	dead int    // dead letters
}

func (c *cursor) pending(last uint64) int { return int(last+1-c.next) - c.held }

// A sinkStore is the tables of one sink.
type sinkStore struct{ cursor, done, refs, dead, attempts, deliveries store.Table }

// sinkOf returns the tables of the sink, nil if it was never registered.
func sinkOf(t *store.Tx, name string) *sinkStore {
	if !t.HasMember(SinkGroup, name) {
		return nil
	}
	of := func(table string) store.Table { return t.Table(SinkGroup, name, table) }
	return &sinkStore{of(cursorTable), of(doneTable), of(refTable), of(deadTable), of(attemptsTable), of(deliveryTable)}
}

// eachSink calls f with each sink that was ever registered.
func eachSink(tx *store.Tx, f func(name string, s *sinkStore) error) error {
	names, err := tx.Members(SinkGroup)
	for _, name := range names {
		if err == nil {
			err = f(name, sinkOf(tx, name))
		}
	}
	return err
}

// load reads the cursor with its counts.
func (s *sinkStore) load(tx *store.Tx, name string) (c cursor, err error) {
	if c.next, err = s.next(); err != nil {
		return c, err
	}
	if c.held, err = tx.Count(SinkGroup, name, doneTable); err != nil {
		return c, err
	}
	c.dead, err = tx.Count(SinkGroup, name, deadTable)
	return c, err
}

func (s *sinkStore) next() (uint64, error) {
	next, err := s.cursor.Number(cursorKey)
	if err == nil && next == 0 {
		err = fmt.Errorf("%w: a sink has no cursor", store.ErrDamaged)
	}
	return next, err
}

// isDone reports whether the sink has acked the alert.
func (s *sinkStore) isDone(number uint64) (bool, error) {
	next, err := s.next()
	return number < next || s.done.Has(store.NumberKey(number)), err
}

// advance moves the cursor to first at least, then over the alerts that are
// acked.
func (s *sinkStore) advance(first uint64) error {
	old, err := s.next()
	if err != nil {
		return err
	}
	next := max(old, first)
	var passed [][]byte
	for k := range s.done.Ascend(&err, nil) {
		number := binary.BigEndian.Uint64(k)
		if number > next {
			break
		}
		if number == next {
			next++
		}
		passed = append(passed, slices.Clone(k))
	}
	if err != nil {
		return err
	}
	if err := deleteAll(s.done, passed); err != nil || next == old {
		return err
	}
	passed = passed[:0]
	for k := range s.attempts.Ascend(&err, nil) {
		if binary.BigEndian.Uint64(k) >= next {
			break
		}
		passed = append(passed, slices.Clone(k))
	}
	if err == nil {
		err = deleteAll(s.attempts, passed)
	}
	if err != nil {
		return err
	}
	return s.cursor.Put(cursorKey, store.NumberKey(next))
}

func deleteAll(t store.Table, keys [][]byte) error {
	for _, k := range keys {
		if err := t.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// Register makes the sinks known by their names. A sink that was known before
// goes on from its cursor; a new one starts with the alerts to come. A sink that
// is not registered keeps its cursor, but no alert is kept for it beyond the
// retention. Call Register before the first Fold.
func (o *Outbox) Register(names ...string) error {
	for _, name := range names {
		if len(name) == 0 || len(name) > store.MaxName {
			return fmt.Errorf("register sink %q: a name has 1 to %d bytes", name, store.MaxName)
		}
		var c cursor
		err := o.store.Commit(store.Change{
			Do: func(tx *store.Tx) (err error) {
				c, err = register(tx, name)
				return err
			},
			Done: func() {
				o.mu.Lock()
				defer o.mu.Unlock()
				o.cursors[name] = &c
			},
		})
		if err != nil {
			return fmt.Errorf("register sink %s: %w", name, err)
		}
	}
	return nil
}

func register(tx *store.Tx, name string) (cursor, error) {
	last, err := tx.Table(store.StateTable).Number(lastKey)
	if err != nil {
		return cursor{}, err
	}
	s := sinkOf(tx, name)
	if s == nil {
		return cursor{next: last + 1}, newSink(tx, name, last+1)
	}
	// While a sink is away, alerts beyond the retention may go.
	first := last + 1
	if k := tx.Table(alertTable).First(); k != nil {
		first = binary.BigEndian.Uint64(k)
	}
	if err := s.advance(first); err != nil {
		return cursor{}, err
	}
	return s.load(tx, name)
}

func newSink(tx *store.Tx, name string, next uint64) error {
	if err := tx.MakeMember(SinkGroup, name, SinkTables...); err != nil {
		return err
	}
	return sinkOf(tx, name).cursor.Put(cursorKey, store.NumberKey(next))
}

// Unregister takes the sink out of the registered ones. Its cursor, its dead
// letters and the alerts pending for it stay in the file for when it comes back.
// Its dispatcher has ended before.
func (o *Outbox) Unregister(sink string) {
	o.mu.Lock()
	delete(o.cursors, sink)
	o.mu.Unlock()
	o.moved.Fire() // Idle no longer waits for it
}

// Sinks returns the names of all sinks that were ever registered, sorted.
func (o *Outbox) Sinks() (names []string, err error) {
	err = o.store.View(func(tx *store.Tx) (err error) {
		names, err = tx.Members(SinkGroup)
		return err
	})
	return names, err
}

// unregistered returns the sinks that were registered once and are not now.
func (o *Outbox) unregistered(tx *store.Tx) (gone []*sinkStore, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	names, err := tx.Members(SinkGroup)
	for _, name := range names {
		if o.cursors[name] == nil { // the tables of the others are not opened
			gone = append(gone, sinkOf(tx, name))
		}
	}
	return gone, err
}

func (o *Outbox) registered(sink string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cursors[sink] == nil {
		return fmt.Errorf("%w: %q", ErrUnknownSink, sink)
	}
	return nil
}
