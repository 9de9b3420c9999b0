package outbox

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// SinkStats counts the alerts of a registered sink.
type SinkStats struct {
	Pending int       // alerts that it has not acked
	Oldest  time.Time // when the oldest of them was journalled; zero if there is none
	Dead    int       // dead letters
}

// Stats returns the counts of each registered sink.
func Stats(o *Outbox) (map[string]SinkStats, error) {
	sinks, oldest := map[string]SinkStats{}, map[string]uint64{}
	o.mu.Lock()
	for name, c := range o.cursors {
		sinks[name] = SinkStats{Pending: max(0, c.pending(o.last)), Dead: c.dead}
		oldest[name] = c.next
	}
	o.mu.Unlock()
	err := o.store.View(func(tx *store.Tx) error {
		for name, st := range sinks {
			if st.Pending == 0 {
				continue
			}
			key := store.NumberKey(oldest[name])
			v, err := tx.Table(alertTable).Get(key)
			if err != nil {
				return err
			}
			if v == nil {
				continue
			}
			p, _, err := splitAlert(key, v)
			if err != nil {
				return err
			}
			st.Oldest = p.Since
			sinks[name] = st
		}
		return nil
	})
	return sinks, err
}
