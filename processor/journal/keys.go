package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// The tables of the file, by name. "sinks" holds a bucket of six tables for
// each sink, "sources" one table for each source.
const (
	metaTable       = "meta"        // formatKey → format; the only value without a checksum
	tallyTable      = "tallies"     // path of a table → its tally
	stateTable      = "state"       // idKey, lastAlertKey and generationKey → identity and counters
	eventTable      = "events"      // subject, time, event ID and name → the event as JSON
	seenTable       = "seen"        // lane, event ID and name → when it was appended
	keyTable        = "keys"        // lane, key of a subject → subject
	subjectTable    = "subjects"    // subject → its keys as JSON
	dirtyTable      = "dirty"       // subject with events not folded yet → generation, when the first was appended
	recordTable     = "records"     // subject → due time and record as JSON
	dueTable        = "due"         // due time, subject → nothing
	alertTable      = "alerts"      // number → header and the alert as JSON
	alertIDTable    = "alert-ids"   // alert ID → number it was first journalled with
	alertLaneTable  = "alert-lanes" // lane, number of an alert → nothing
	quarantineTable = "quarantine"  // hash → a quarantined record as JSON
	sinkTables      = "sinks"
	sourceTables    = "sources" // source → its cursors by name

	cursorTable   = "cursor"     // cursorKey → number of the first alert that the sink may not have acked
	doneTable     = "done"       // number of an alert acked out of order → nothing
	refTable      = "refs"       // exposure → the channel's reference as JSON
	deadTable     = "dead"       // number → a dead letter as JSON
	attemptsTable = "attempts"   // number → how often the alert failed and since when
	deliveryTable = "deliveries" // number → what became of the alert, as JSON
)

var (
	topTables    = []string{tallyTable, stateTable, eventTable, seenTable, keyTable, subjectTable, dirtyTable, recordTable, dueTable, alertTable, alertIDTable, alertLaneTable, quarantineTable}
	tablesOfSink = []string{cursorTable, doneTable, refTable, deadTable, attemptsTable, deliveryTable}

	formatKey     = []byte("format")
	idKey         = []byte("id")         // random, tells this journal from every other
	lastAlertKey  = []byte("alert")      // number of the newest alert
	generationKey = []byte("generation") // of the newest event
	cursorKey     = []byte("next")
)

// maxName bounds a name within a key: bbolt's keys are bounded, and names come
// from outside.
const maxName = 256

// nameKey returns a name as (part of) a key: itself, or a hash where it is too
// long.
func nameKey(name string) []byte {
	if len(name) > 0 && len(name) <= maxName {
		return []byte(name)
	}
	h := sha256.Sum256([]byte(name))
	return []byte("sha256:" + hex.EncodeToString(h[:]))
}

// namePrefix returns the prefix of the keys of all that belongs to a lane or
// subject. The length in front keeps one name from being the prefix of another.
func namePrefix(name string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(name))), name...)
}

// laneName returns the lane of an event as (part of) a key.
func laneName(e *trail.Event) string { return string(nameKey(exposure.Lane(e))) }

// laneKey returns the key of a subject's key in its lane, which is also the name
// of a subject that begins with it.
func laneKey(lane, key string) []byte { return append(namePrefix(lane), nameKey(key)...) }

// subjectLane returns the lane of a subject.
func subjectLane(subject string) string {
	if n := len(subject); n < 2 || n-2 < int(binary.BigEndian.Uint16([]byte(subject))) {
		return subject
	}
	return subject[2 : 2+binary.BigEndian.Uint16([]byte(subject))]
}

// eventIdentity tells events of one lane apart by ID and name, so that
// records that were given one ID by hand do not hide each other.
func eventIdentity(e *trail.Event) []byte { return nameKey(e.ID + "/" + e.Name) }

func seenKey(e *trail.Event) []byte {
	return append(namePrefix(laneName(e)), eventIdentity(e)...)
}

func eventKey(subject string, e *trail.Event) []byte {
	return append(append(namePrefix(subject), secondsKey(e.Time)...), eventIdentity(e)...)
}

// secondsKey sorts like the time, to the second, for any year.
func secondsKey(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.Unix())^1<<63)
}

func keySeconds(b []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(b)^1<<63), 0).UTC()
}

// exactKey sorts like the time, to the nanosecond, for the years 1678 to 2262.
func exactKey(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.UnixNano())^1<<63)
}

func keyExact(b []byte) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(b)^1<<63)).UTC()
}

// dueKey sorts by time, then by subject.
func dueKey(t time.Time, subject []byte) []byte { return append(exactKey(t), subject...) }

func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// encode is json.Marshal that leaves <, > and & as they are, so that a raw
// record inside keeps its bytes.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
