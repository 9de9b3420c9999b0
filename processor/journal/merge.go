package journal

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Lane returns the lane of an event as Options.Local and Merge name it.
func Lane(e *trail.Event) string { return laneName(e) }

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
// quarantined records, each by a name that part is called with, and their deliveries.
// References, and the IDs of alerts, are added whole. Cursors of sources are left out.
func (j *Journal) Merge(from *Journal, part func(name string) bool) error {
	steps := j.store.Steps()
	err := from.store.View(func(src *store.Tx) error {
		generation, err := src.Table(store.StateTable).Number(generationKey)
		if err != nil {
			return err
		}
		if err := steps.Add(0, func(tx *store.Tx) error {
			state := tx.Table(store.StateTable)
			newest, err := state.Number(generationKey)
			if err != nil {
				return err
			}
			return state.Put(generationKey, store.NumberKey(max(newest, generation)))
		}); err != nil {
			return err
		}
		if err := mergeTables(steps, src, part); err != nil {
			return err
		}
		return outbox.Merge(j.Outbox, steps, src, part)
	})
	if err != nil {
		return fmt.Errorf("merge journals: %w", err)
	}
	return nil
}

func mergeTables(steps *store.Steps, src *store.Tx, part func(string) bool) error {
	prefixed := func(k []byte) string { return subjectLane(string(k)) }
	subject := func(k []byte) string { return subjectLane(prefixed(k)) }
	var err error
	read := eventReader(src)
	for k, number := range src.Table(eventKeyTable).Ascend(&err, nil) {
		if !part(subject(k)) {
			continue
		}
		v, err := read(k, number)
		if err != nil {
			return err
		}
		key, value := bytes.Clone(k), bytes.Clone(v)
		if err := steps.Add(len(key)+len(value), func(tx *store.Tx) error {
			if tx.Table(eventKeyTable).Has(key) {
				return nil
			}
			_, err := putEvent(tx, key, value)
			return err
		}); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	for _, t := range []struct {
		table string
		name  func(k []byte) string
	}{
		{seenTable, prefixed}, {keyTable, prefixed}, {subjectTable, prefixed}, {recordTable, prefixed},
		{dueTable, func(k []byte) string { return prefixed(k[8:]) }}, {quarantineTable, hex.EncodeToString},
	} {
		var err error
		for k, v := range src.Table(t.table).Ascend(&err, nil) {
			if !part(t.name(k)) {
				continue
			}
			if err := steps.Put(k, v, t.table); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
