package outbox

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// OldAlerts finds alerts, and their IDs, up to the first that a registered sink
// may still need. An alert of a time when the clock was ahead keeps no other.
func OldAlerts(o *Outbox, before time.Time) store.Finder {
	o.mu.Lock()
	needed := o.last + 1
	for _, c := range o.cursors {
		needed = min(needed, c.next)
	}
	o.mu.Unlock()
	return func(tx *store.Tx, add func(...store.Removal)) (err error) {
		sinks := map[string]*sinkStore{}
		err = eachSink(tx, func(name string, s *sinkStore) error {
			sinks[name] = s
			return nil
		})
		if err != nil {
			return err
		}
		for p := range ascend(tx, &err, 0) {
			if p.Number >= needed {
				break
			}
			if !p.Since.Before(before) {
				continue
			}
			k := store.NumberKey(p.Number)
			for name, s := range sinks {
				if s.deliveries.Has(k) {
					add(store.Remove(k, SinkGroup, name, deliveryTable))
				}
			}
			add(store.Remove([]byte(p.id), alertIDTable))
			// last: what the bound leaves out is found again by it
			add(store.Remove(laneNumberKey(p.Lane, p.Number), alertLaneTable), store.Remove(k, alertTable))
		}
		return err
	}
}

// OldRefs finds references that were kept last before the time. An open exposure
// keeps its own and that of its campaign, however old; so does one of which an
// alert is in the journal, unless it is resolved.
func OldRefs(before time.Time, open []exposure.Open) store.Finder {
	needed := map[string]bool{}
	for _, o := range open {
		needed[string(store.NameKey(o.ID))], needed[string(store.NameKey(o.Campaign))] = true, true
	}
	return func(tx *store.Tx, add func(...store.Removal)) error {
		return eachSink(tx, func(name string, s *sinkStore) (err error) {
			for k := range s.refs.Ascend(&err, nil) {
				lane := string(k)
				r, err := s.ref(lane)
				if err == nil && r.Time.Before(before) && !r.Over && !needed[lane] {
					needed[lane], err = hasAlert(tx, lane)
				}
				if err != nil {
					return err
				}
				if r.Time.Before(before) && (r.Over || !needed[lane]) {
					add(store.Remove(k, SinkGroup, name, refTable))
				}
			}
			return err
		})
	}
}
