package trail

import (
	"bytes"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"
)

const (
	// maxRecord is how long a record may be, and in a stream the string that
	// holds one. CloudTrail writes at most 256 KB, Lake 1 MB.
	maxRecord = 1 << 20
	// maxNesting is how deep a record may be nested.
	maxNesting = 256
	// maxLookback is how far back it is checked what a record stands in. A
	// list of records that reaches further back is taken at its word, so that
	// a match costs the same wherever it stands.
	maxLookback = 4 << 10
)

// frame reads the object whose key opens at w[q], if it is a record in a place
// for records. It returns where to go on from.
func (s *Scanner) frame(w []byte, q int, final bool) (next int, more bool) {
	next = q + 1
	start, ok := openerBefore(w, q, q-maxRecord)
	if !ok {
		if start > 0 || s.base > 0 {
			s.unreadable(q, ReasonTooLarge, errRecordTooLarge, nil)
		}
		return next, false
	}
	if w[start] != '{' || !s.carried(w, start) {
		return next, false
	}
	end, err := closerAfter(w, q)
	switch {
	case err == nil && end-start <= maxRecord:
		if s.record(w[start:end], start) {
			next = end
		}
		return next, false
	case err == errTooDeep:
		s.unreadable(start, ReasonTooDeep, err, w[start:])
	case err == nil || len(w)-start > maxRecord:
		s.unreadable(start, ReasonTooLarge, errRecordTooLarge, w[start:])
	case final:
		s.cut = true
		s.unreadable(start, ReasonTruncated, err, w[start:])
	default:
		return 0, true
	}
	return next, false
}

// carried reports whether the value at w[i:] stands where records may stand:
// at the top, in a list, under a carrier's key, and so on outwards, but never
// inside a record. A look-alike among a record's own parameters, which whoever
// made the call may have filled in, is thus none.
func (s *Scanner) carried(w []byte, i int) bool {
	low := max(0, i-maxLookback)
	known := true // every key on the way is a carrier's
	for {
		j := spaceBefore(w, i)
		if j == 0 {
			return known || s.base == 0
		}
		key, member := "", false
		switch w[j-1] {
		case ':':
			open, text := stringBefore(w, spaceBefore(w, j-1))
			if open < 0 {
				return false
			}
			j, key, member = open, view(text), true
		case '[', ',':
		default: // the value before ends without a comma: this one begins a document
			return true
		}
		var ok bool
		if i, ok = openerBefore(w, j, low); !ok {
			return known && (!member || carriers[key])
		}
		if member {
			if recordLike(w[i:]) {
				return false
			}
			known = known && carriers[key]
		}
	}
}

// recordLike reports whether the object at the beginning of b has the keys of a
// record, and is none of Lambda's own items, which have them too.
func recordLike(b []byte) bool {
	doc := view(b[:min(len(b), maxRecord)])
	source := gjson.Get(doc, "eventSource")
	return source.Exists() && !strings.HasPrefix(source.Str, "aws:") && gjson.Get(doc, eventName).Exists()
}

// carriers are the keys under which pipelines put records, as objects, lists,
// strings or base64. Others will do as well, but only where the way to the top
// is short enough to look at.
var carriers = map[string]bool{
	"Records": true, "records": true, // CloudTrail files; Lambda and Firehose batches
	"detail":  true,              // EventBridge
	"Message": true, "Sns": true, // SNS and its Lambda batch
	"body":    true,                                                                       // SQS and its Lambda batch
	"message": true, "log": true, "event": true, "original": true, "event.original": true, // shippers
	"logEvents": true, "events": true, // CloudWatch Logs
	"kinesis": true, "data": true, "value": true, "data_base64": true, // Kinesis, Firehose, Kafka, CloudEvents
	"payload": true,                          // Kafka Connect
	"Events":  true, "CloudTrailEvent": true, // aws cloudtrail lookup-events
}

// openerBefore walks back from w[i], which is outside of strings, to the brace
// or bracket that encloses it. It gives up before low, with what it had reached.
func openerBefore(w []byte, i, low int) (at int, ok bool) {
	low = max(low, 0)
	depth := 0
	for i--; i >= low; i-- {
		switch w[i] {
		case '"':
			open, _ := stringBefore(w[low:], i+1-low)
			if open < 0 {
				return low, false
			}
			i = low + open
		case '}', ']':
			depth++
		case '{', '[':
			if depth == 0 {
				return i, true
			}
			depth--
		}
	}
	return low, false
}

// stringBefore finds the string that ends right before w[end]: where it opens,
// and what stands between the quotes. open is -1 if there is none.
func stringBefore(w []byte, end int) (open int, text []byte) {
	if end < 1 || w[end-1] != '"' {
		return -1, nil
	}
	for i := end - 2; i >= 0; i-- {
		if w[i] == '"' && !escaped(w, i) {
			return i, w[i+1 : end-1]
		}
	}
	return -1, nil
}

// escaped reports whether the byte at w[i] is escaped: an odd number of
// backslashes before it.
func escaped(w []byte, i int) bool {
	odd := false
	for i > 0 && w[i-1] == '\\' {
		odd = !odd
		i--
	}
	return odd
}

// closerAfter walks on from w[i], which is inside an object and outside of
// strings, to behind the brace that closes the object.
func closerAfter(w []byte, i int) (end int, err error) {
	depth := 1
	for ; i < len(w); i++ {
		switch w[i] {
		case '"':
			i = stringEnd(w, i+1)
			if i < 0 {
				return 0, errCutRecord
			}
		case '{', '[':
			if depth++; depth > maxNesting {
				return 0, errTooDeep
			}
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1, nil
			}
		}
	}
	return 0, errCutRecord
}

// stringEnd is the closing quote of the string whose text begins at w[i], -1
// if w ends in it.
func stringEnd(w []byte, i int) int {
	for i < len(w) {
		n := bytes.IndexByte(w[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		if !escaped(w, i) {
			return i
		}
		i++
	}
	return -1
}

func skipSpace(w []byte, i int) int {
	for i < len(w) && isSpace(w[i]) {
		i++
	}
	return i
}

// spaceBefore is i less the white space before w[i].
func spaceBefore(w []byte, i int) int {
	for i > 0 && isSpace(w[i-1]) {
		i--
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// view is b as a string that shares its memory: for look-ups that keep nothing.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
