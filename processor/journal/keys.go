package journal

import (
	"encoding/binary"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// The tables of the file, by name, besides those of the store and the outbox.
const (
	eventTable      = "events"     // number in order of arrival → the event; see encodeEvent
	listTable       = "lists"      // subject, number of its first event → numbers of the others; see numberList
	seenTable       = "seen"       // lane, event ID and name → when the event was appended, its number
	keyTable        = "keys"       // lane, key of a subject → subject
	subjectTable    = "subjects"   // subject → its keys as JSON
	dirtyTable      = "dirty"      // subject with events not folded yet → generation, when the first was appended
	recordTable     = "records"    // subject → due time and record as JSON
	dueTable        = "due"        // due time, subject → nothing
	quarantineTable = "quarantine" // hash → a quarantined record as JSON
	sourceTables    = "sources"    // source → its cursors by name
)

// generationKey is in the store's state: the number of the newest event, which is
// the generation of its subject.
var generationKey = []byte("generation")

// laneName returns the lane of an event as (part of) a key.
func laneName(e *trail.Event) string { return string(store.NameKey(exposure.Lane(e))) }

// laneKey returns the key of a subject's key in its lane, which is also the name
// of a subject that begins with it.
func laneKey(lane, key string) []byte { return append(store.NamePrefix(lane), store.NameKey(key)...) }

// subjectLane returns the lane of a subject.
func subjectLane(subject string) string {
	if n := len(subject); n < 2 || n-2 < int(binary.BigEndian.Uint16([]byte(subject))) {
		return subject
	}
	return subject[2 : 2+binary.BigEndian.Uint16([]byte(subject))]
}

// eventIdentity distinguishes the events of one lane by ID and name, so that
// records that were given one ID by hand do not hide each other.
func eventIdentity(e *trail.Event) []byte { return store.NameKey(e.ID + "/" + e.Name) }

func seenKey(e *trail.Event) []byte {
	return append(store.NamePrefix(laneName(e)), eventIdentity(e)...)
}

// seenMark is the value of a seenKey. The number leads nowhere once the event is
// dropped, since no other event gets it; 0 is none.
func seenMark(at time.Time, number uint64) []byte {
	return append(store.SecondsKey(at), store.NumberKey(number)...)
}

func splitSeen(key, v []byte) (at time.Time, number uint64, err error) {
	if len(v) != 16 {
		return at, 0, store.Damaged(key)
	}
	return store.KeySeconds(v), binary.BigEndian.Uint64(v[8:]), nil
}

// dueKey sorts by time, then by subject.
func dueKey(t time.Time, subject []byte) []byte { return append(store.ExactKey(t), subject...) }
