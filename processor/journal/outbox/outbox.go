/*
Package outbox is the part of the journal between an alert that was decided and its
delivery: the alerts in the order of their numbers, and for each sink its cursor,
acks, attempts, references, dead letters and deliveries. It knows neither events nor
folds.

The methods of an Outbox are those of its journal, which embeds it. The functions
that take one are for the journal alone. The glossary and the contract stand in
package journal.
*/
package outbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// Errors that callers may want to distinguish.
var (
	// ErrAcked is returned by Take for an alert that the sink has acked.
	ErrAcked = errors.New("the sink has acked the alert")
	// ErrUnknownSink is returned for a sink that was not registered.
	ErrUnknownSink = errors.New("sink is not registered")
)

// The tables of the outbox. SinkGroup is a group with the tables of each sink.
const (
	alertTable     = "alerts"      // number → header and the alert as JSON
	alertIDTable   = "alert-ids"   // alert ID → number it was first journalled with
	alertLaneTable = "alert-lanes" // lane, number of an alert → nothing

	SinkGroup     = "sinks"
	cursorTable   = "cursor"     // cursorKey → number of the first alert that the sink may not have acked
	doneTable     = "done"       // number of an alert acked out of order → nothing
	refTable      = "refs"       // exposure → the channel's reference as JSON
	deadTable     = "dead"       // number → a dead letter as JSON
	attemptsTable = "attempts"   // number → how often the alert failed and since when
	deliveryTable = "deliveries" // number → what became of the alert, as JSON
)

var (
	// Tables lists the tables of all sinks.
	Tables = []string{alertTable, alertIDTable, alertLaneTable}
	// SinkTables lists the tables of one sink.
	SinkTables = []string{cursorTable, doneTable, refTable, deadTable, attemptsTable, deliveryTable}

	lastKey   = []byte("alert") // in the store's state: number of the newest alert
	cursorKey = []byte("next")
)

// An Outbox holds the alerts of a journal.
type Outbox struct {
	store *store.Store

	mu      sync.Mutex         // guards the fields below; never held during I/O
	cursors map[string]*cursor // by registered sink
	last    uint64             // the number of the newest alert

	alerted store.Signal // alerts were added
	moved   store.Signal // a fold or an ack was stored
}

// New returns the outbox of a store, which Restore reads once it is open.
func New(s *store.Store) *Outbox { return &Outbox{store: s, cursors: map[string]*cursor{}} }

// Alerted returns a channel that is closed when the next alert is journalled.
// A caller that must miss none takes the channel before it reads.
func (o *Outbox) Alerted() <-chan struct{} { return o.alerted.Wait() }

// Announce wakes those who wait for an alert.
func Announce(o *Outbox) { o.alerted.Fire() }

// Moved returns the signal that fires when a fold or an ack was stored.
func Moved(o *Outbox) *store.Signal { return &o.moved }

// Busy reports whether an alert is pending for a registered sink.
func Busy(o *Outbox) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.cursors {
		if c.pending(o.last) > 0 {
			return true
		}
	}
	return false
}

// Restore reads the part of the file that is held in memory, and refuses tables that
// contradict each other.
func Restore(o *Outbox, tx *store.Tx) error {
	last, err := tx.Table(store.StateTable).Number(lastKey)
	if err != nil {
		return err
	}
	if err := checkAlerts(tx, last); err != nil {
		return err
	}
	cursors, err := loadCursors(tx, last)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = last
	for name, c := range o.cursors {
		if stored, ok := cursors[name]; ok {
			*c = stored
		}
	}
	return nil
}

// checkAlerts refuses numbers beyond the last alert's.
func checkAlerts(tx *store.Tx, last uint64) (err error) {
	for k := range tx.Table(alertTable).Descend(&err, nil) {
		if !numbered(k, 1, last) {
			return fmt.Errorf("%w: alert %x beyond the last, %d", store.ErrDamaged, k, last)
		}
		break
	}
	for k, v := range tx.Table(alertIDTable).Ascend(&err, nil) {
		if !numbered(v, 1, last) {
			return fmt.Errorf("%w: alert %q is said to be %x, the last is %d", store.ErrDamaged, k, v, last)
		}
	}
	if err != nil {
		return err
	}
	return checkAlertLanes(tx)
}

// loadCursors returns how far each sink has come. The numbers that a sink keeps have
// to lie between its cursor and the last alert.
func loadCursors(tx *store.Tx, last uint64) (map[string]cursor, error) {
	cursors := map[string]cursor{}
	err := eachSink(tx, func(name string, s *sinkStore) error {
		c, err := s.load(tx, name)
		if err != nil {
			return err
		}
		cursors[name] = c
		if c.next < 1 || c.next > last+1 {
			return fmt.Errorf("%w: the cursor of sink %q is %d, the last alert is %d", store.ErrDamaged, name, c.next, last)
		}
		for _, t := range []struct {
			store.Table
			name string
			low  uint64
		}{{s.done, doneTable, c.next + 1}, {s.attempts, attemptsTable, c.next}, {s.dead, deadTable, 1}, {s.deliveries, deliveryTable, 1}} {
			for k := range t.Ascend(&err, nil) {
				if !numbered(k, t.low, last) {
					return fmt.Errorf("%w: sink %q: %s of alert %x, the cursor is %d and the last alert %d", store.ErrDamaged, name, t.name, k, c.next, last)
				}
			}
			if err != nil {
				return err
			}
		}
		for k, v := range s.refs.Ascend(&err, nil) {
			if !json.Valid(v) {
				return store.Damaged(k)
			}
		}
		return err
	})
	return cursors, err
}
