package journal

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// An alertEntry is an alert on its way into the file.
type alertEntry struct {
	alert  *exposure.Alert
	value  []byte // when, flags, length of its line, line, rest of when, the alert as JSON
	number uint64 // set by the transaction
}

// Flags of an alert. The bits above them are its step by its place in steps and
// its severity by that in the list of all, from 1; 0 is one that was written
// before they were there. A step of 0 beside a severity is the one that has no
// place in steps, a campaign.
const (
	endsFlag  = 1 << iota // it ends its exposure
	exactFlag             // the nanoseconds of when follow the line

	stepShift     = 2
	severityShift = 5
)

// steps are those that are kept beside an alert, seven at most. Their places are
// written to the file.
var steps = []exposure.Step{exposure.Attempted, exposure.Opened, exposure.Reduced, exposure.Updated, exposure.Exploited, exposure.Escalated, exposure.Resolved}

func newAlertEntry(a *exposure.Alert, since time.Time) (alertEntry, error) {
	body, err := encode(a)
	if err != nil {
		return alertEntry{}, fmt.Errorf("alert %q: %w", a.ID, err)
	}
	line := string(nameKey(lineOf(a)))
	v := append(timeKey(since), exactFlag)
	if a.Step == exposure.Resolved {
		v[8] |= endsFlag
	}
	v[8] |= byte(slices.Index(steps, a.Step)+1)<<stepShift | byte(slices.Index(exposure.Severities, a.Severity)+1)<<severityShift
	v = append(binary.BigEndian.AppendUint16(v, uint16(len(line))), line...)
	v = binary.BigEndian.AppendUint32(v, uint32(since.Nanosecond()))
	return alertEntry{alert: a, value: append(v, body...)}, nil
}

// lineOf names what an alert has to keep its turn in: its exposure, or itself.
func lineOf(a *exposure.Alert) string {
	if a.Exposure != nil {
		return *a.Exposure
	}
	return a.ID
}

// putAlerts numbers and writes the alerts that are not there yet.
func putAlerts(tx *bolt.Tx, entries []alertEntry) ([]alertEntry, error) {
	alerts, told := tx.Bucket(alertsBucket), tx.Bucket(toldBucket)
	var numbered []alertEntry
	for _, e := range entries {
		id := nameKey(e.alert.ID)
		if told.Get(id) != nil {
			continue
		}
		var err error
		if e.number, err = alerts.NextSequence(); err != nil {
			return nil, err
		}
		key := numberKey(e.number)
		if err := alerts.Put(key, seal(key, e.value)); err != nil {
			return nil, err
		}
		if err := told.Put(id, key); err != nil {
			return nil, err
		}
		numbered = append(numbered, e)
	}
	return numbered, nil
}

// A Pending is an alert that a sink has still to be told.
type Pending struct {
	Number   uint64            // its place among all alerts
	Line     string            // alerts of one line, which is one exposure, are told in order of their number
	Step     exposure.Step     // "" for one that was journalled before steps were kept here
	Severity exposure.Severity // "" for one that was journalled before severities were kept here
	Since    time.Time         // when the first event behind it that was not folded was journalled

	// How the sink fared with it before this process: see Failed. Zero if it
	// did not fail.
	Attempts int
	First    time.Time

	// Stopped says that the sink is to be told no more of the exposure.
	Stopped bool
	// Known says that the sink knows the exposure, through the recipients To.
	Known bool
	To    []string
	// Orphan says that a sink knows the exposure that is not registered: it went
	// away, or has another name now.
	Orphan bool

	ends bool // the exposure
}

const alertHeader = 8 + 1 + 2

func splitAlert(key, sealed []byte) (p Pending, body []byte, err error) {
	v, err := unseal(key, sealed)
	if err != nil {
		return p, nil, err
	}
	if len(key) != 8 || len(v) < alertHeader {
		return p, nil, fmt.Errorf("%w: alert %x", ErrDamaged, key)
	}
	line := int(binary.BigEndian.Uint16(v[9:]))
	exact := 0
	if v[8]&exactFlag != 0 {
		exact = 4
	}
	if len(v) < alertHeader+line+exact {
		return p, nil, fmt.Errorf("%w: alert %x", ErrDamaged, key)
	}
	p = Pending{
		Number: binary.BigEndian.Uint64(key),
		Line:   string(v[alertHeader : alertHeader+line]),
		Since:  keyTime(v),
		ends:   v[8]&endsFlag != 0,
	}
	if i := int(v[8] >> severityShift & 7); i > 0 && i <= len(exposure.Severities) {
		p.Severity = exposure.Severities[i-1]
	}
	switch i := int(v[8] >> stepShift & 7); {
	case i > 0 && i <= len(steps):
		p.Step = steps[i-1]
	case p.Severity != "":
		p.Step = exposure.Campaign
	}
	body = v[alertHeader+line:]
	if exact > 0 {
		p.Since = p.Since.Add(time.Duration(binary.BigEndian.Uint32(body)))
	}
	return p, body[exact:], nil
}

func getAlert(tx *bolt.Tx, number uint64) (*exposure.Alert, Pending, error) {
	key := numberKey(number)
	sealed := tx.Bucket(alertsBucket).Get(key)
	if sealed == nil {
		return nil, Pending{}, fmt.Errorf("alert %d is not in the journal", number)
	}
	p, body, err := splitAlert(key, sealed)
	if err != nil {
		return nil, p, err
	}
	a := new(exposure.Alert)
	if err := json.Unmarshal(body, a); err != nil {
		return nil, p, fmt.Errorf("%w: alert %d: %w", ErrDamaged, number, err)
	}
	return a, p, nil
}
