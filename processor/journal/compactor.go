package journal

import (
	"context"
	"fmt"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// Compact removes entries that are older than the retention and not needed any
// more: alerts that every registered sink has acked with their deliveries, the IDs
// of events that were dropped, references of exposures that are not open, and
// quarantined records. Dead letters stay.
func (j *Journal) Compact(ctx context.Context, now time.Time) error {
	before := now.Add(-j.retention)
	for _, find := range []store.Finder{outbox.OldAlerts(j.Outbox, before), oldSeen(before), outbox.OldRefs(before, j.Open()), oldQuarantined(before)} {
		if err := j.store.Prune(ctx, find); err != nil {
			return fmt.Errorf("prune: %w", err)
		}
	}
	return nil
}

// oldSeen finds IDs of events that are not kept any more.
func oldSeen(before time.Time) store.Finder {
	return func(tx *store.Tx, add func(...store.Removal)) (err error) {
		for k, v := range tx.Table(seenTable).Ascend(&err, nil) {
			at, number, err := splitSeen(k, v)
			if err != nil {
				return err
			}
			if at.Before(before) && !tx.Table(eventTable).Has(store.NumberKey(number)) {
				add(store.Remove(k, seenTable))
			}
		}
		return err
	}
}

func oldQuarantined(before time.Time) store.Finder {
	return func(tx *store.Tx, add func(...store.Removal)) (err error) {
		for k, v := range tx.Table(quarantineTable).Ascend(&err, nil) {
			r, err := decodeAside(k, v)
			if err != nil {
				return err
			}
			if r.Time.Before(before) {
				add(store.Remove(k, quarantineTable))
			}
		}
		return err
	}
}
