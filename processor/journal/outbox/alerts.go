package outbox

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// An Entry is an alert on its way into the file.
type Entry struct {
	Alert  *exposure.Alert
	value  []byte
	number uint64 // set by Put
}

// NewEntry puts a header in front of the alert as JSON, so that readers
// need not decode that: since, then lane, ID, step and severity, each behind its
// length.
func NewEntry(a *exposure.Alert, since time.Time) (Entry, error) {
	body, err := store.Encode(a)
	if err != nil {
		return Entry{}, fmt.Errorf("alert %q: %w", a.ID, err)
	}
	e := Entry{Alert: a, value: store.ExactKey(since)}
	for _, s := range []string{laneOf(a), string(store.NameKey(a.ID)), string(a.Step), string(a.Severity)} {
		e.value = append(binary.BigEndian.AppendUint16(e.value, uint16(len(s))), s...)
	}
	e.value = append(e.value, body...)
	return e, nil
}

// laneOf names the lane in which an alert keeps its order: its exposure, or
// itself where it belongs to none.
func laneOf(a *exposure.Alert) string {
	if a.Exposure != nil {
		return string(store.NameKey(*a.Exposure))
	}
	return string(store.NameKey(a.ID))
}

// Put numbers and writes the alerts that are not in the journal yet.
func Put(tx *store.Tx, entries []Entry) ([]Entry, error) {
	ids := tx.Table(alertIDTable)
	var numbered []Entry
	for _, e := range entries {
		id := store.NameKey(e.Alert.ID)
		if ids.Has(id) {
			continue
		}
		var err error
		if e.number, err = putAlert(tx, e); err != nil {
			return nil, err
		}
		if err := ids.Put(id, store.NumberKey(e.number)); err != nil {
			return nil, err
		}
		numbered = append(numbered, e)
	}
	return numbered, nil
}

func putAlert(tx *store.Tx, e Entry) (number uint64, err error) {
	if number, err = tx.Table(store.StateTable).Increment(lastKey); err != nil {
		return 0, err
	}
	return number, putNumbered(tx, laneOf(e.Alert), number, e.value)
}

// putNumbered writes an alert and its entry in the index by lane.
func putNumbered(tx *store.Tx, lane string, number uint64, value []byte) error {
	if err := tx.Table(alertLaneTable).Put(laneNumberKey(lane, number), nil); err != nil {
		return err
	}
	return tx.Table(alertTable).Put(store.NumberKey(number), value)
}

// Show shows stored alerts in memory.
func Show(o *Outbox, entries []Entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range entries {
		o.last = max(o.last, e.number)
	}
}

// numbered reports whether b is a number from low to high.
func numbered(b []byte, low, high uint64) bool {
	return len(b) == 8 && binary.BigEndian.Uint64(b) >= low && binary.BigEndian.Uint64(b) <= high
}

// A Pending is an alert that a sink has not acked.
type Pending struct {
	Number   uint64        // its place among all alerts
	Lane     string        // its lane, which is its exposure: alerts of one lane are sent in order of their number
	Step     exposure.Step // what happened
	Severity exposure.Severity
	Since    time.Time // when the first event behind it that was not folded was journalled

	// Attempts and First hold the last values that Failed recorded; zero if it
	// recorded nothing.
	Attempts int
	First    time.Time

	// Stopped reports that a person closed the exposure at the sink.
	ClosedByPerson bool
	// Known reports that the sink knows the exposure, through the recipients To.
	Known bool
	To    []string
	// Orphan reports that a sink knows the exposure that is not registered: it
	// was removed or renamed.
	Orphan bool

	id string // of the alert, as a key
}

// splitAlert returns the header of an alert, and the alert as JSON.
func splitAlert(key, v []byte) (p Pending, body []byte, err error) {
	if len(key) != 8 || len(v) < 8 {
		return p, nil, store.Damaged(key)
	}
	p.Number, p.Since, body = binary.BigEndian.Uint64(key), store.KeyExact(v), v[8:]
	var head [4]string
	for i := range head {
		if len(body) < 2 || len(body)-2 < int(binary.BigEndian.Uint16(body)) {
			return p, nil, store.Damaged(key)
		}
		n := 2 + int(binary.BigEndian.Uint16(body))
		head[i], body = string(body[2:n]), body[n:]
	}
	p.Lane, p.id, p.Step, p.Severity = head[0], head[1], exposure.Step(head[2]), exposure.Severity(head[3])
	return p, body, nil
}

// ascend yields the headers of alerts from a number on, in order, with the alerts as
// JSON, which are valid until the transaction ends. After an error it stops and sets
// err.
func ascend(tx *store.Tx, err *error, from uint64) iter.Seq2[Pending, []byte] {
	return split(tx.Table(alertTable).Ascend(err, store.NumberKey(from)), err)
}

// split yields what splitAlert returns of each alert, as ascend does.
func split(alerts iter.Seq2[[]byte, []byte], err *error) iter.Seq2[Pending, []byte] {
	return func(yield func(p Pending, body []byte) bool) {
		for k, v := range alerts {
			p, body, wrong := splitAlert(k, v)
			if wrong != nil {
				*err = wrong
				return
			}
			if !yield(p, body) {
				return
			}
		}
	}
}

// readAlert returns an alert as JSON, valid until the transaction ends.
func readAlert(tx *store.Tx, number uint64) (p Pending, body []byte, err error) {
	key := store.NumberKey(number)
	v, err := tx.Table(alertTable).Get(key)
	switch {
	case err != nil:
		return p, nil, err
	case v == nil:
		return p, nil, fmt.Errorf("alert %d is not in the journal", number)
	}
	return splitAlert(key, v)
}

func decodeAlert(number uint64, body []byte) (*exposure.Alert, error) {
	a := new(exposure.Alert)
	if err := json.Unmarshal(body, a); err != nil {
		return nil, fmt.Errorf("%w: alert %d: %w", store.ErrDamaged, number, err)
	}
	return a, nil
}

// PlannedUsed returns the planned changes that alerts in the journal name, by
// their IDs. It reads through all alerts.
func (o *Outbox) PlannedUsed() (map[string]bool, error) {
	entries := map[string]bool{}
	err := o.store.View(func(tx *store.Tx) (err error) {
		for p, body := range ascend(tx, &err, 0) {
			if !bytes.Contains(body, []byte(`"expected":{`)) {
				continue
			}
			var a struct {
				Expected *exposure.AlertPlannedChange `json:"expected"`
			}
			if err := json.Unmarshal(body, &a); err != nil {
				return fmt.Errorf("%w: alert %d: %w", store.ErrDamaged, p.Number, err)
			}
			if a.Expected != nil {
				entries[a.Expected.Entry] = true
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list planned changes: %w", err)
	}
	return entries, nil
}
