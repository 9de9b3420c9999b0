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
	for k, v := range src.Table(listTable).Ascend(&err, nil) {
		if !part(subject(k)) {
			continue
		}
		l, err := parseList(k, v)
		if err != nil {
			return err
		}
		of := string(k[2 : len(k)-8])
		for _, number := range l {
			if err := mergeEvent(steps, src, of, number, read); err != nil {
				return err
			}
		}
	}
	if err != nil {
		return err
	}
	for k, v := range src.Table(seenTable).Ascend(&err, nil) {
		at, _, err := splitSeen(k, v)
		if err == nil && part(prefixed(k)) { // those of events have a number already
			err = steps.Put(k, seenMark(at, 0), seenTable)
		}
		if err != nil {
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
		{keyTable, prefixed}, {subjectTable, prefixed}, {recordTable, prefixed},
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

// mergeEvent adds an event under a number of this journal.
func mergeEvent(steps *store.Steps, src *store.Tx, subject string, number uint64, read func(uint64) (key, value []byte, err error)) error {
	k, v, err := read(number)
	if err != nil {
		return err
	}
	e, err := decodeEvent(k, v, nil)
	if err != nil {
		return err
	}
	key, value := seenKey(e), bytes.Clone(v)
	seen, err := src.Table(seenTable).Get(key)
	if err != nil {
		return err
	}
	at, _, err := splitSeen(key, seen)
	if err != nil {
		return err
	}
	return steps.Add(len(key)+len(value), func(tx *store.Tx) error {
		if tx.Table(seenTable).Has(key) {
			return nil
		}
		number, err := putEvent(tx, subject, value)
		if err != nil {
			return err
		}
		return tx.Table(seenTable).Put(key, seenMark(at, number))
	})
}
