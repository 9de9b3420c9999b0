package journal

import (
	"encoding/binary"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// The tables of the file, by name, besides store.StateTable with its counters.
// "sinks" holds a group of six tables for each sink, "sources" one table for each
// source.
const (
	eventTable      = "events"     // subject, time, event ID and name → the event; see encodeEvent
	seenTable       = "seen"       // lane, event ID and name → when it was appended
	keyTable        = "keys"       // lane, key of a subject → subject
	subjectTable    = "subjects"   // subject → its keys as JSON
	dirtyTable      = "dirty"      // subject with events not folded yet → generation, when the first was appended
	recordTable     = "records"    // subject → due time and record as JSON
	dueTable        = "due"        // due time, subject → nothing
	alertTable      = "alerts"     // number → header and the alert as JSON
	alertIDTable    = "alert-ids"  // alert ID → number it was first journalled with
	quarantineTable = "quarantine" // hash → a quarantined record as JSON
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
	lastAlertKey  = []byte("alert")      // number of the newest alert
	generationKey = []byte("generation") // of the newest event
	cursorKey     = []byte("next")
)

// namePrefix returns the prefix of the keys of all that belongs to a lane or
// subject. The length in front keeps one name from being the prefix of another.
func namePrefix(name string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(name))), name...)
}

// laneName returns the lane of an event as (part of) a key.
func laneName(e *trail.Event) string { return string(store.NameKey(exposure.Lane(e))) }

// laneKey returns the key of a subject's key in its lane, which is also the name
// of a subject that begins with it.
func laneKey(lane, key string) []byte { return append(namePrefix(lane), store.NameKey(key)...) }

// subjectLane returns the lane of a subject.
func subjectLane(subject string) string {
	if n := len(subject); n < 2 || n-2 < int(binary.BigEndian.Uint16([]byte(subject))) {
		return subject
	}
	return subject[2 : 2+binary.BigEndian.Uint16([]byte(subject))]
}

// eventIdentity tells events of one lane apart by ID and name, so that
// records that were given one ID by hand do not hide each other.
func eventIdentity(e *trail.Event) []byte { return store.NameKey(e.ID + "/" + e.Name) }

func seenKey(e *trail.Event) []byte {
	return append(namePrefix(laneName(e)), eventIdentity(e)...)
}

func eventKey(subject string, e *trail.Event) []byte {
	return append(append(namePrefix(subject), store.SecondsKey(e.Time)...), eventIdentity(e)...)
}

// dueKey sorts by time, then by subject.
func dueKey(t time.Time, subject []byte) []byte { return append(store.ExactKey(t), subject...) }
