package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// The buckets of the file. Every value of a sealed bucket carries a checksum.
var (
	metaBucket    = []byte("meta")    // "format" → format
	eventsBucket  = []byte("events")  // account, time, event ID and name → the event as JSON; sealed
	seenBucket    = []byte("seen")    // account, event ID and name → when it was appended
	dirtyBucket   = []byte("dirty")   // account with events not folded yet → generation, when the first was appended
	accountBucket = []byte("account") // account → next look and record as JSON; sealed
	dueBucket     = []byte("due")     // next look, account → nothing
	alertsBucket  = []byte("alerts")  // number → when, exposure and the alert as JSON; sealed
	toldBucket    = []byte("told")    // alert ID → number
	sinksBucket   = []byte("sinks")   // sink → a bucket of placeKey and the four that follow
	asideBucket   = []byte("aside")   // hash → a record that could not be read, as JSON; sealed

	doneBucket  = []byte("done")  // number of an alert told out of turn → nothing
	refsBucket  = []byte("refs")  // exposure → the channel's reference, as JSON
	deadBucket  = []byte("dead")  // number → a dead letter as JSON; sealed
	triesBucket = []byte("tries") // number → how often it failed and since when

	// present is the value where the key says it all: a nil one is not told
	// from none before it is on disk.
	present = []byte{1}

	formatKey = []byte("format")
	placeKey  = []byte("place") // the number of the first alert that may not be told yet

	topBuckets    = [][]byte{metaBucket, eventsBucket, seenBucket, dirtyBucket, accountBucket, dueBucket, alertsBucket, toldBucket, sinksBucket, asideBucket}
	sealedBuckets = [][]byte{eventsBucket, accountBucket, alertsBucket, asideBucket}
)

// maxName bounds a name within a key: bbolt's keys are bounded, and names come
// from outside.
const maxName = 256

// nameKey is a name as (part of) a key: itself, or a hash where it is too long.
func nameKey(name string) []byte {
	if len(name) > 0 && len(name) <= maxName {
		return []byte(name)
	}
	h := sha256.Sum256([]byte(name))
	return []byte("sha256:" + hex.EncodeToString(h[:]))
}

// accountPrefix is what the keys of all events of an account begin with. The
// length in front keeps one account's name from being the prefix of another's.
func accountPrefix(account string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(account))), account...)
}

// accountName is whose account an event is kept under. Each partition numbers
// its accounts itself.
func accountName(e *trail.Event) string {
	return string(nameKey(e.Partition + "/" + e.Account))
}

// identity tells events of one account apart: by the ID, and by the name too,
// lest records that were given one ID by hand hide each other.
func identity(e *trail.Event) []byte { return nameKey(e.ID + "/" + e.Name) }

func seenKey(e *trail.Event) []byte {
	return append(accountPrefix(accountName(e)), identity(e)...)
}

func eventKey(e *trail.Event) []byte {
	return append(append(accountPrefix(accountName(e)), timeKey(e.Time)...), identity(e)...)
}

// timeKey sorts like the time, to the second, for any year.
func timeKey(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.Unix())^1<<63)
}

// exactKey sorts like the time, to the nanosecond, for the years 1678 to 2262.
func exactKey(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.UnixNano())^1<<63)
}

func exactTime(b []byte) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(b)^1<<63)).UTC()
}

func keyTime(b []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(b)^1<<63), 0).UTC()
}

func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal puts a checksum of key and value in front of the value.
func seal(key, value []byte) []byte {
	sealed := make([]byte, 4, 4+len(value))
	binary.BigEndian.PutUint32(sealed, checksum(key, value))
	return append(sealed, value...)
}

// unseal returns the value, in the memory of sealed.
func unseal(key, sealed []byte) ([]byte, error) {
	if len(sealed) < 4 || binary.BigEndian.Uint32(sealed) != checksum(key, sealed[4:]) {
		return nil, fmt.Errorf("%w: checksum of entry %q", ErrDamaged, key)
	}
	return sealed[4:], nil
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// encode is json.Marshal that leaves <, > and & as they are, so that a raw
// record inside stays the bytes it was.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
