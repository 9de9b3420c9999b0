package journal

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Lane returns the lane of an event as Options.Local and Merge name it.
func Lane(e *trail.Event) string { return laneName(e) }

// mergeBytes bounds a transaction of Merge.
const mergeBytes = 4 << 20

// Settled reports why the journal cannot be merged into another one: events that
// are not folded, or alerts that are pending.
func (j *Journal) Settled() error {
	names, err := j.Sinks()
	if err == nil {
		err = j.Register(names...)
	}
	if err != nil {
		return err
	}
	st, err := j.Stats()
	if err != nil {
		return err
	}
	if st.Unfolded > 0 {
		return fmt.Errorf("%d lanes have events that are not folded: start the service until they are", st.Unfolded)
	}
	for _, name := range names {
		if n := st.Sinks[name].Pending; n > 0 {
			return fmt.Errorf("%d alerts are pending for sink %s: start the service until they are delivered", n, name)
		}
	}
	return nil
}

// Merge adds the part of a settled journal to this one, whose numbers of alerts
// follow its own: the lanes, the alerts and their dead letters by exposure, and the
// quarantined records, each by a name that part is called with, and their deliveries. References, and the
// IDs of alerts, are added whole. Cursors of sources are left out.
func (j *Journal) Merge(from *Journal, part func(name string) bool) error {
	var last, generation uint64
	m := &merger{to: j, taken: map[uint64]bool{}}
	err := from.store.View(func(src *store.Tx) (err error) {
		if last, err = src.Table(store.StateTable).Number(lastAlertKey); err != nil {
			return err
		}
		if generation, err = src.Table(store.StateTable).Number(generationKey); err != nil {
			return err
		}
		if err := j.commitDo(func(tx *store.Tx) error {
			state := tx.Table(store.StateTable)
			newest, err := state.Number(generationKey)
			if err != nil {
				return err
			}
			if m.base, err = state.Number(lastAlertKey); err != nil {
				return err
			}
			if err := state.Put(generationKey, store.NumberKey(max(newest, generation))); err != nil {
				return err
			}
			return state.Put(lastAlertKey, store.NumberKey(m.base+last))
		}); err != nil {
			return err
		}
		return m.tables(src, part)
	})
	if err == nil {
		err = m.flush()
	}
	if err == nil {
		err = j.commitDo(func(tx *store.Tx) error {
			return eachSink(tx, func(_ string, s *sinkStore) error { return s.cursor.Put(cursorKey, store.NumberKey(m.base+last+1)) })
		})
	}
	if err != nil {
		return fmt.Errorf("merge journals: %w", err)
	}
	return nil
}

func (j *Journal) commitDo(do func(tx *store.Tx) error) error {
	return j.store.Commit(store.Change{Do: do})
}

// A merger writes entries in steps.
type merger struct {
	to    *Journal
	base  uint64          // added to the numbers of alerts
	taken map[uint64]bool // the numbers of alerts that are merged, as in the other
	steps []func(tx *store.Tx) error
	size  int
}

// put adds an entry, if it is not there, to a table that is.
func (m *merger) put(key, value []byte, path ...string) error {
	key, value = slices.Clone(key), slices.Clone(value)
	return m.step(len(key)+len(value), func(tx *store.Tx) error {
		if t := tx.Table(path...); !t.Has(key) {
			return t.Put(key, value)
		}
		return nil
	})
}

func (m *merger) step(size int, do func(tx *store.Tx) error) error {
	m.steps, m.size = append(m.steps, do), m.size+size
	if m.size < mergeBytes {
		return nil
	}
	return m.flush()
}

func (m *merger) flush() error {
	steps := m.steps
	m.steps, m.size = nil, 0
	return m.to.commitDo(func(tx *store.Tx) error {
		for _, do := range steps {
			if err := do(tx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *merger) tables(src *store.Tx, part func(string) bool) error {
	prefixed := func(k []byte) string { return subjectLane(string(k)) }
	subject := func(k []byte) string { return subjectLane(prefixed(k)) }
	for _, t := range []struct {
		table string
		name  func(k []byte) string
	}{
		{eventTable, subject}, {seenTable, prefixed}, {keyTable, prefixed}, {subjectTable, prefixed}, {recordTable, prefixed},
		{dueTable, func(k []byte) string { return prefixed(k[8:]) }}, {quarantineTable, hex.EncodeToString},
	} {
		var err error
		for k, v := range src.Table(t.table).Ascend(&err, nil) {
			if !part(t.name(k)) {
				continue
			}
			if err := m.put(k, v, t.table); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
	if err := m.alerts(src, part); err != nil {
		return err
	}
	return eachSink(src, func(name string, s *sinkStore) error { return m.sink(name, s, part) })
}

func (m *merger) alerts(src *store.Tx, part func(string) bool) (err error) {
	for k, v := range src.Table(alertTable).Ascend(&err, nil) {
		p, _, err := splitAlert(k, v)
		if err != nil {
			return err
		}
		if !part(p.Lane) {
			continue
		}
		m.taken[p.Number] = true
		if err := m.put(store.NumberKey(m.base+p.Number), v, alertTable); err != nil {
			return err
		}
		first, err := firstNumber(src, p.id, p.Number)
		if err == nil && first == p.Number {
			err = m.step(len(p.id)+8, func(tx *store.Tx) error { // a part before may know the ID alone
				return tx.Table(alertIDTable).Put([]byte(p.id), store.NumberKey(m.base+p.Number))
			})
		}
		if err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	ids := src.Table(alertIDTable)
	for k := range ids.Ascend(&err, nil) {
		n, err := ids.Number(k)
		if err == nil {
			err = m.put(k, store.NumberKey(m.base+n), alertIDTable)
		}
		if err != nil {
			return err
		}
	}
	return err
}

func (m *merger) sink(name string, s *sinkStore, part func(string) bool) (err error) {
	if err := m.step(0, func(tx *store.Tx) error {
		if sinkOf(tx, name) != nil {
			return nil
		}
		return newSink(tx, name, 1)
	}); err != nil {
		return err
	}
	for k, v := range s.dead.Ascend(&err, nil) {
		d, err := decodeDead(k, v)
		if err != nil {
			return err
		}
		if !part(laneOf(d.Alert)) {
			continue
		}
		d.Number += m.base
		value, err := store.Encode(d)
		if err == nil {
			err = m.put(store.NumberKey(d.Number), value, sinkTables, name, deadTable)
		}
		if err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	for k, v := range s.deliveries.Ascend(&err, nil) {
		if n := binary.BigEndian.Uint64(k); m.taken[n] {
			if err := m.put(store.NumberKey(m.base+n), v, sinkTables, name, deliveryTable); err != nil {
				return err
			}
		}
	}
	if err != nil {
		return err
	}
	for k, v := range s.refs.Ascend(&err, nil) {
		lane, value := string(k), slices.Clone(v)
		r, err := s.ref(lane)
		if err != nil {
			return err
		}
		if err := m.step(len(value), func(tx *store.Tx) error { return newerRef(sinkOf(tx, name), lane, r.Time, value) }); err != nil {
			return err
		}
	}
	return err
}

// newerRef keeps the reference that was kept last.
func newerRef(s *sinkStore, lane string, kept time.Time, value []byte) error {
	known, err := s.ref(lane)
	if err != nil || known.Time.After(kept) {
		return err
	}
	return s.refs.Put([]byte(lane), value)
}
