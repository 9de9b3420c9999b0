package outbox

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// A merger adds alerts to an outbox.
type merger struct {
	steps *store.Steps
	base  uint64          // added to the numbers of alerts
	taken map[uint64]bool // the numbers of alerts that are merged, as in the other
}

// Merge adds the alerts of another journal, with their deliveries and dead letters,
// whose exposures part accepts. It flushes the steps.
func Merge(o *Outbox, steps *store.Steps, src *store.Tx, part func(name string) bool) error {
	m := &merger{steps: steps, taken: map[uint64]bool{}}
	last, err := src.Table(store.StateTable).Number(lastKey)
	if err != nil {
		return err
	}
	err = o.store.Commit(store.Change{Do: func(tx *store.Tx) (err error) {
		state := tx.Table(store.StateTable)
		if m.base, err = state.Number(lastKey); err != nil {
			return err
		}
		return state.Put(lastKey, store.NumberKey(m.base+last))
	}})
	if err != nil {
		return err
	}
	if err := m.alerts(src, part); err != nil {
		return err
	}
	if err := eachSink(src, func(name string, s *sinkStore) error { return m.sink(name, s, part) }); err != nil {
		return err
	}
	if err := steps.Flush(); err != nil {
		return err
	}
	return o.store.Commit(store.Change{Do: func(tx *store.Tx) error {
		return eachSink(tx, func(_ string, s *sinkStore) error { return s.cursor.Put(cursorKey, store.NumberKey(m.base+last+1)) })
	}})
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
		value := slices.Clone(v)
		if err := m.steps.Add(len(value), func(tx *store.Tx) error { return putNumbered(tx, p.Lane, m.base+p.Number, value) }); err != nil {
			return err
		}
		first, err := firstNumber(src, p.id, p.Number)
		if err == nil && first == p.Number {
			err = m.steps.Add(len(p.id)+8, func(tx *store.Tx) error { // a part before may know the ID alone
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
			err = m.steps.Put(k, store.NumberKey(m.base+n), alertIDTable)
		}
		if err != nil {
			return err
		}
	}
	return err
}

func (m *merger) sink(name string, s *sinkStore, part func(string) bool) (err error) {
	if err := m.steps.Add(0, func(tx *store.Tx) error {
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
			err = m.steps.Put(store.NumberKey(d.Number), value, SinkGroup, name, deadTable)
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
			if err := m.steps.Put(store.NumberKey(m.base+n), v, SinkGroup, name, deliveryTable); err != nil {
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
		if err := m.steps.Add(len(value), func(tx *store.Tx) error { return newerRef(sinkOf(tx, name), lane, r.Time, value) }); err != nil {
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
