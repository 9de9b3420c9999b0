package trail

import (
	"bytes"

	"github.com/mfawatch/mfawatch/processor/trail/escape"
)

// traits are the own members of an object that decide whether it is a record.
type traits uint16

const (
	hasName      traits = 1 << iota // eventName
	hasNames                        // two of them
	hasSource                       // eventSource, CloudTrail's
	hasOther                        // eventSource of a batch item: aws:kinesis
	hasDate                         // eventID or eventTime, and not empty
	hasS3                           // an S3 notification looks much like a record (R39)
	hasArgument                     // another that records have
	hasList                         // a list that only envelopes have
	hasTimestamp                    // @timestamp: of ECS, as event and aws
	hasEvent
	hasAWS
	hasClass // class_uid: of OCSF, as api
	hasAPI

	hasAny = hasName | hasSource | hasDate | hasArgument
)

// ofRecord reports whether they make a record. Its content is its caller's, even
// if the record is malformed.
func (m traits) ofRecord() bool {
	return m&(hasOther|hasList) == 0 && (m&hasName != 0 && m&hasSource != 0 || m&hasNames != 0)
}

// ofMapped reports whether they make a mapped record.
func (m traits) ofMapped() bool {
	const ecs, ocsf = hasTimestamp | hasEvent | hasAWS, hasClass | hasAPI
	return m&ecs == ecs || m&ocsf == ocsf
}

// read reads the object's own members from w[o.next:limit], as far as they are
// complete.
func (o *object) read(w []byte, limit int) {
	depth := 0 // in objects inside, which are closed before limit
	i := max(0, o.next)
	for ; i < limit; i++ {
		switch w[i] {
		case '{':
			depth++
		case '}':
			depth--
		case '"':
			end := escape.StringEnd(w[:limit], i+1)
			if end < 0 {
				o.next = i
				return
			}
			if depth > 0 {
				i = end
				continue
			}
			v := skipSpace(w, end+1)
			if v < len(w) && w[v] == ':' {
				v = skipSpace(w, v+1)
			} else if v < len(w) {
				i = end
				continue
			}
			valueEnd := v
			if v < limit && w[v] == '"' {
				valueEnd = escape.StringEnd(w[:limit], v+1)
			}
			if v > limit || v >= len(w) || valueEnd < 0 {
				o.next = i
				return
			}
			o.member(w[i+1:end], w[v:])
			i = max(end, valueEnd)
			if valueEnd == v {
				i = v - 1 // an object or a list is looked into next
			}
		}
	}
	o.next = max(o.next, limit)
}

// member notes the member of that key, whose value w begins with.
func (o *object) member(key, w []byte) {
	const longest = 160 // of a key that is spelt with escapes
	if len(key) > longest {
		return
	}
	if bytes.IndexByte(key, '\\') >= 0 {
		var word [longest]byte
		key = escape.Append(word[:0], key)
	}
	switch string(key) {
	case eventName:
		if o.has&hasName != 0 {
			o.has |= hasNames
		}
		o.has |= hasName
	case "eventSource":
		switch {
		case o.has&(hasSource|hasOther) != 0: // the first one counts
		case ofBatch(w):
			o.has |= hasOther
		default:
			o.has |= hasSource
		}
	case "eventID", "eventTime":
		if !bytes.HasPrefix(w, []byte(`""`)) && !bytes.HasPrefix(w, []byte(`null`)) {
			o.has |= hasDate
		}
	case "s3":
		o.has |= hasS3
	case "eventVersion", "userIdentity", "requestParameters", "responseElements", "additionalEventData", "userAgent",
		"errorMessage", "serviceEventDetails", "resources":
		o.has |= hasArgument
	case "Records", "logEvents":
		if w[0] == '[' {
			o.has |= hasList
		}
	case "@timestamp":
		o.has |= hasTimestamp
	case "event", "event.action":
		o.has |= hasEvent
	case "aws", "aws.cloudtrail":
		o.has |= hasAWS
	case "class_uid":
		o.has |= hasClass
	case "api", "api.operation":
		o.has |= hasAPI
	default:
		if bytes.HasPrefix(key, []byte("aws.cloudtrail.")) {
			o.has |= hasAWS
		}
	}
}

// ofBatch reports whether the value that w begins with is the eventSource of an
// item that Lambda hands on, however it is spelt.
func ofBatch(w []byte) bool {
	const longest = len(`"aws:`) * len(`\u0061`)
	var word [longest]byte
	return bytes.HasPrefix(escape.Append(word[:0], w[:min(len(w), longest)]), []byte(`"aws:`))
}
