package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// An event in the file is a byte that names this layout, the length of its texts,
// the texts with the length of each in front, a byte of flags, its numbers, body
// and raw record. Members of JSON would take half of the file, and reading them
// half of the time of a fold.
const eventLayout = 1

const (
	flagSelf = 1 << iota
	flagAssumedRoot
	flagMFA // and flagMFA<<1: whether it is known, and what it says
	_
	flagMFAUsed // likewise
)

// eventTexts lists the texts of an event in the order of the file.
func eventTexts(e *trail.Event) [25]*string {
	a := &e.Actor
	return [...]*string{&e.ID, &e.Source, &e.Name, &e.Partition, &e.Account, &e.Region, &e.User, &e.NewUser, &e.Serial, &e.Detail,
		&a.Type, &a.ARN, &a.Name, &a.AccessKeyID, &a.SourceIP, &a.UserAgent, &a.OnBehalfOf, &a.SourceIdentity, &a.Via,
		&e.ErrorCode, &e.ErrorMessage, &e.Origin, &e.Exposure, &e.Lane, &e.Key}
}

func encodeEvent(e *trail.Event) []byte {
	var texts []byte
	for _, s := range eventTexts(e) {
		texts = appendBytes(texts, *s)
	}
	b := append(make([]byte, 0, 64+len(texts)+len(e.Body)+len(e.Raw)), eventLayout)
	b = appendBytes(b, texts)
	b = append(b, flag(e.Actor.Self)*flagSelf|flag(e.Actor.AssumedRoot)*flagAssumedRoot|known(e.Actor.MFA)*flagMFA|known(e.MFAUsed)*flagMFAUsed)
	b = binary.AppendVarint(b, e.Time.Unix())
	b = binary.AppendVarint(b, int64(e.Time.Nanosecond()))
	b = binary.AppendVarint(b, int64(e.Deadline))
	return appendBytes(appendBytes(b, e.Body), e.Raw)
}

func appendBytes[T string | []byte | json.RawMessage](b []byte, v T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

func known(b *bool) byte {
	if b == nil {
		return 0
	}
	return 1 | flag(*b)<<1
}

func decodeEvent(key, value []byte) (*trail.Event, error) {
	r := &reader{rest: value}
	layout := r.byte()
	texts := &reader{rest: r.bytes()}
	owned := string(texts.rest) // the memory of all texts
	e := new(trail.Event)
	for _, s := range eventTexts(e) {
		n := len(texts.bytes())
		end := len(owned) - len(texts.rest)
		*s = owned[end-n : end]
	}
	flags := r.byte()
	e.Actor.Self, e.Actor.AssumedRoot = flags&flagSelf != 0, flags&flagAssumedRoot != 0
	e.Actor.MFA, e.MFAUsed = unknown(flags/flagMFA), unknown(flags/flagMFAUsed)
	seconds := r.varint()
	e.Time = time.Unix(seconds, r.varint()).UTC()
	e.Deadline = int(r.varint())
	e.Body, e.Raw = r.message(), r.message()
	if layout != eventLayout || r.bad || texts.bad || len(r.rest)+len(texts.rest) > 0 {
		return nil, fmt.Errorf("%w: event %.100q", store.ErrDamaged, key)
	}
	return e, nil
}

// putEvent writes an event, and returns the number that is new with it. Events lie
// in order of arrival, so that those of one transaction share pages however many
// subjects they belong to: only the small table of their keys is written all over.
func putEvent(tx *store.Tx, key, value []byte) (number uint64, err error) {
	if number, err = tx.Table(store.StateTable).Increment(generationKey); err != nil {
		return 0, err
	}
	if err := deleteEvent(tx, key); err != nil { // the retention of its ID was over
		return 0, err
	}
	if err := tx.Table(eventKeyTable).Put(key, store.NumberKey(number)); err != nil {
		return 0, err
	}
	return number, tx.Table(eventTable).Append(store.NumberKey(number), value)
}

// getEvent returns the number of the event and the event as it is stored, valid
// until the transaction ends or changes the tables; nil where there is none.
func getEvent(tx *store.Tx, key []byte) (number, value []byte, err error) {
	if number, err = tx.Table(eventKeyTable).Get(key); err != nil || number == nil {
		return nil, nil, err
	}
	value, err = eventReader(tx)(key, number)
	return number, value, err
}

// eventReader returns a function that returns the event of a key by its number.
func eventReader(tx *store.Tx) func(key, number []byte) ([]byte, error) {
	get := tx.Table(eventTable).Reader()
	return func(key, number []byte) ([]byte, error) {
		value, err := get(number)
		if err == nil && value == nil {
			err = fmt.Errorf("%w: event %.100q is missing", store.ErrDamaged, key)
		}
		return value, err
	}
}

// deleteEvent removes an event, if it is there.
func deleteEvent(tx *store.Tx, key []byte) error {
	number, err := tx.Table(eventKeyTable).Get(key)
	if err != nil || number == nil {
		return err
	}
	if err := tx.Table(eventTable).Delete(number); err != nil {
		return err
	}
	return tx.Table(eventKeyTable).Delete(key)
}

func unknown(flags byte) *bool {
	if flags&1 == 0 {
		return nil
	}
	b := flags&2 != 0
	return &b
}

// A reader takes values from the front of rest, zeros from what is too short.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) bytes() []byte {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > uint64(len(r.rest)-n) {
		r.bad, r.rest = true, nil
		return nil
	}
	b := r.rest[n : n+int(v)]
	r.rest = r.rest[n+int(v):]
	return b
}

// message returns a copy, nil where there is nothing.
func (r *reader) message() json.RawMessage {
	if b := r.bytes(); len(b) > 0 {
		return bytes.Clone(b)
	}
	return nil
}
