package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"time"
)

// MaxName bounds a name within a key: bbolt's keys are bounded, and names come
// from outside.
const MaxName = 256

// NameKey returns a name as (part of) a key: itself, or a hash where it is too
// long.
func NameKey(name string) []byte {
	if len(name) > 0 && len(name) <= MaxName {
		return []byte(name)
	}
	h := sha256.Sum256([]byte(name))
	return []byte("sha256:" + hex.EncodeToString(h[:]))
}

// NamePrefix returns the prefix of the keys of all that belongs to a name. The
// length in front keeps one name from being the prefix of another.
func NamePrefix(name string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(name))), name...)
}

// SecondsKey sorts like the time, to the second, for any year.
func SecondsKey(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.Unix())^1<<63)
}

// KeySeconds returns the time of a SecondsKey.
func KeySeconds(b []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(b)^1<<63), 0).UTC()
}

// ExactKey sorts like the time, to the nanosecond, for the years 1678 to 2262.
func ExactKey(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.UnixNano())^1<<63)
}

// KeyExact returns the time of an ExactKey.
func KeyExact(b []byte) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(b)^1<<63)).UTC()
}

// NumberKey sorts like the number.
func NumberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// Encode is json.Marshal that leaves <, > and & as they are, so that a raw
// record inside keeps its bytes.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
