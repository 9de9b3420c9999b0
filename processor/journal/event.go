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

const eventTextCount = 25

// eventTexts lists the texts of an event in the order of the file.
func eventTexts(e *trail.Event) [eventTextCount]*string {
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

// decodeEvent returns the event of a key. It shares with like, which may be another
// event of the subject, or nil, the texts that both have: most of them, as a rule.
func decodeEvent(key, value []byte, like *trail.Event) (*trail.Event, error) {
	r := &reader{rest: value}
	layout := r.byte()
	texts := &reader{rest: r.bytes()}
	e := new(trail.Event)
	if like != nil {
		*e = *like
	}
	var own [eventTextCount]int // lengths of the texts that are not shared
	memory := make([]byte, 0, 512)
	fields := eventTexts(e)
	for i, s := range fields {
		if b := texts.bytes(); *s != string(b) {
			memory, own[i] = append(memory, b...), len(b)
			*s = ""
		}
	}
	owned := string(memory)
	for i, s := range fields {
		if n := own[i]; n > 0 {
			*s, owned = owned[:n], owned[n:]
		}
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

var truth = [...]bool{false, true}

// unknown returns nil, or what is known, in memory that all events share.
func unknown(flags byte) *bool {
	if flags&1 == 0 {
		return nil
	}
	return &truth[flags>>1&1]
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

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// message returns a copy, nil where there is nothing.
func (r *reader) message() json.RawMessage {
	if b := r.bytes(); len(b) > 0 {
		return bytes.Clone(b)
	}
	return nil
}
