package outbox

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

// The states of a Delivery.
const (
	StatePending        = "pending"          // it is still to be sent; Why is the last error, if an attempt failed
	StateHeld           = "held"             // it waits for the end of mute times
	StateDelivered      = "delivered"        // the sink accepted it
	StateSuperseded     = "superseded"       // a later alert of the exposure was sent in its place
	StateSuppressed     = "suppressed"       // it is not for the sink: Why names the route, the threshold or the planned change
	StateClosedByPerson = "closed_by_person" // a person had closed the exposure at the sink
	StateDeadLetter     = "dead_letter"      // the sink refused it, or could not be reached in time
)

// A Delivery is the state of an alert at one sink.
type Delivery struct {
	Sink      string     `json:"sink"`
	State     string     `json:"state"`
	Time      *time.Time `json:"time"` // of the delivery, the decision or the last attempt; nil before the first
	Attempts  int        `json:"attempts"`
	Reference string     `json:"reference,omitempty"` // the channel's, in words
	Why       string     `json:"why,omitempty"`
	Until     *time.Time `json:"until,omitempty"` // held: the end of the mute times
}

// maxWhy bounds a stored text of a channel or a route, in bytes.
const maxWhy = 400

// putDelivery replaces the delivery of an alert that the sink has not acked.
func (s *sinkStore) putDelivery(number uint64, d Delivery) error {
	done, err := s.isDone(number)
	if done || err != nil {
		return err
	}
	d.Sink = "" // the table is the sink's
	d.Reference, d.Why = safetext.Clean(d.Reference, maxWhy), safetext.Clean(d.Why, maxWhy)
	value, err := store.Encode(d)
	if err != nil {
		return err
	}
	return s.deliveries.Put(store.NumberKey(number), value)
}

var stateOf = map[Outcome]string{
	Delivered: StateDelivered, Superseded: StateSuperseded, Suppressed: StateSuppressed, ClosedByPerson: StateClosedByPerson, Held: StateHeld,
}

// delivery returns the delivery that a result reports, and false for one that
// reports none.
func (r Result) delivery(now time.Time) (Delivery, bool) {
	state, ok := stateOf[r.Outcome]
	at := r.Time
	if at.IsZero() {
		at = now
	}
	return Delivery{State: state, Time: utc(at), Attempts: r.Attempts, Reference: r.Receipt, Why: r.Why, Until: utc(r.Until)}, ok
}

// utc returns nil for the zero time.
func utc(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

// A Recorded is an alert of the journal with its delivery at each sink.
type Recorded struct {
	Number     uint64          `json:"number"` // its place among all alerts
	Alert      *exposure.Alert `json:"alert"`
	Deliveries []Delivery      `json:"deliveries"` // in order of the sinks' names; without sinks that came later than the alert
}

// Story returns the alerts of an exposure or a campaign that are kept, at most
// limit, the newest first.
func (o *Outbox) Story(id string, limit int) ([]Recorded, error) {
	return o.recorded(limit, false, func(tx *store.Tx, err *error) iter.Seq2[[]byte, []byte] {
		return laneAlerts(tx, string(store.NameKey(id)), err)
	})
}

// Latest returns the newest alerts whose number is less than before, at most limit,
// the newest first. A before of 0 is no bound.
func (o *Outbox) Latest(before uint64, limit int) ([]Recorded, error) {
	var bound []byte
	if before > 0 {
		bound = store.NumberKey(before)
	}
	return o.recorded(limit, before > 0, func(tx *store.Tx, err *error) iter.Seq2[[]byte, []byte] {
		return tx.Table(alertTable).Descend(err, bound)
	})
}

// A foundAlert is an alert as it lies in the file, under each of its numbers, the
// newest first.
type foundAlert struct {
	Recorded
	body    []byte
	numbers []uint64
}

// recorded returns alerts in the order of their entries, the newest first. With
// bounded, entries may lack later numbers of an alert.
func (o *Outbox) recorded(limit int, bounded bool, entries func(*store.Tx, *error) iter.Seq2[[]byte, []byte]) ([]Recorded, error) {
	live := o.registeredSinks()
	var all []*foundAlert
	err := o.store.View(func(tx *store.Tx) (err error) {
		if all, err = findAlerts(tx, limit, bounded, entries); err != nil {
			return err
		}
		return eachSink(tx, func(name string, s *sinkStore) error {
			for _, f := range all {
				d, err := s.deliveryOf(f.numbers, live == nil || live[name])
				if err != nil {
					return err
				}
				if d != nil {
					d.Sink = name
					f.Deliveries = append(f.Deliveries, *d)
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read alerts: %w", err)
	}
	list := make([]Recorded, 0, len(all))
	for _, f := range all {
		if f.Alert, err = decodeAlert(f.Number, f.body); err != nil {
			return nil, fmt.Errorf("read alerts: %w", err)
		}
		list = append(list, f.Recorded)
	}
	return list, nil
}

// findAlerts returns the alerts of entries, each once, under its first number.
func findAlerts(tx *store.Tx, limit int, bounded bool, entries func(*store.Tx, *error) iter.Seq2[[]byte, []byte]) (all []*foundAlert, err error) {
	again := map[string][]uint64{}            // the later numbers of alerts, by ID
	lanes := map[string]map[string][]uint64{} // all numbers by lane and ID, if bounded
	for p, body := range split(entries(tx, &err), &err) {
		if len(all) == limit {
			break
		}
		first, err := firstNumber(tx, p.id, p.Number)
		if err != nil {
			return nil, err
		}
		if first < p.Number {
			again[p.id] = append(again[p.id], p.Number)
			continue
		}
		f := &foundAlert{body: slices.Clone(body), numbers: append(again[p.id], p.Number)}
		if bounded {
			if lanes[p.Lane] == nil {
				if lanes[p.Lane], err = numbersByID(tx, p.Lane); err != nil {
					return nil, err
				}
			}
			f.numbers = lanes[p.Lane][p.id]
		}
		f.Number, f.Deliveries = p.Number, []Delivery{}
		all = append(all, f)
	}
	return all, err
}

// deliveryOf returns the delivery of an alert under the newest number that has
// one; nil if the sink has nothing to do with the alert.
func (s *sinkStore) deliveryOf(numbers []uint64, live bool) (*Delivery, error) {
	for _, number := range numbers {
		key := store.NumberKey(number)
		v, err := s.deliveries.Get(key)
		if err != nil {
			return nil, err
		}
		done, err := s.isDone(number)
		if err != nil {
			return nil, err
		}
		switch {
		case v == nil && done, !done && !live:
			continue
		case v == nil:
			v = []byte("{}")
		}
		d := &Delivery{State: StatePending}
		if err := json.Unmarshal(v, d); err != nil {
			return nil, fmt.Errorf("%w: delivery of alert %d: %w", store.ErrDamaged, number, err)
		}
		return d, nil
	}
	return nil, nil
}

// registeredSinks returns the sinks that are registered; nil while none is, since
// the service does not run.
func (o *Outbox) registeredSinks() map[string]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.cursors) == 0 {
		return nil
	}
	live := make(map[string]bool, len(o.cursors))
	for name := range o.cursors {
		live[name] = true
	}
	return live
}

// A Summary sums up the alerts of one exposure that are kept.
type Summary struct {
	Last     *exposure.Alert   // the newest, without its record
	Severity exposure.Severity // the highest of them
}

// Summaries calls each with every exposure of which an alert is kept, the one with
// the newest alert first, until each returns false. It reads through all alerts.
func (o *Outbox) Summaries(each func(Summary) bool) error {
	err := o.store.View(func(tx *store.Tx) (err error) {
		worst := map[string]exposure.Severity{}
		for p := range ascend(tx, &err, 0) {
			if slices.Index(exposure.Severities, p.Severity) > slices.Index(exposure.Severities, worst[p.Lane]) {
				worst[p.Lane] = p.Severity
			}
		}
		if err != nil {
			return err
		}
		for p, body := range split(tx.Table(alertTable).Descend(&err, nil), &err) {
			severity, first := worst[p.Lane]
			delete(worst, p.Lane)
			if !first {
				continue
			}
			a, err := decodeAlert(p.Number, body)
			if err != nil {
				return err
			}
			if a.Record = nil; a.Exposure == nil {
				continue
			}
			if !each(Summary{a, severity}) {
				return nil
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read alerts: %w", err)
	}
	return nil
}
