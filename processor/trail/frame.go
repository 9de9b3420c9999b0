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
	// nearby is how far back every record's place is looked at.
	nearby = 4 << 10
	// maxLevels is how deep the carriers around a record may be nested in one
	// document.
	maxLevels = 24
	// maxAhead is how far behind a value it is looked whether what holds it is a
	// record: the keys that tell stand early.
	maxAhead = 16 << 10
)

// frame reads the object whose key opens at w[q], if it is a record in a place
// for records. It returns where to go on from.
func (s *Scanner) frame(w []byte, q int, final bool) (next int, more bool) {
	next = q + 1
	start, ok := s.openerBefore(w, q, q-maxRecord, -1)
	if !ok {
		if start > 0 || s.dropped {
			s.unreadable(q, ReasonTooLarge, errRecordTooLarge, nil)
		}
		return next, false
	}
	if w[start] != '{' || s.base+int64(start) == s.refused {
		return next, false
	}
	end, err := s.closerAfter(w, q)
	if err == errCutRecord && !final && len(w)-start <= maxRecord {
		return 0, true
	}
	if !s.carried(w, start) {
		return next, false
	}
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
	default:
		s.cut = true
		s.unreadable(start, ReasonTruncated, err, w[start:])
	}
	s.refused = s.base + int64(start) // and told once, however many names it has
	return next, false
}

// carried reports whether the value at w[i:] stands where records may stand:
// at the top, in a list, under a key, and so on outwards, but never inside a
// record. A look-alike among a record's own parameters, which whoever made the
// call may have filled in, is thus none. Where the way out is long, an object
// that follows a record in a list is taken for its like, so that a match in a
// large file costs no more than in a small one.
func (s *Scanner) carried(w []byte, i int) bool {
	yes, sure := s.judge(w, i, i-nearby)
	if !sure && w[i] == '{' && s.followsRecord(w, i) {
		return true
	}
	if !sure {
		yes, _ = s.judge(w, i, i-maxRecord)
	}
	return yes
}

// judge is carried, as far as the way out is not longer than to w[low:]. It is
// sure of a no, and of a yes that saw all of it. What it walked it remembers, so
// that no list is walked twice.
func (s *Scanner) judge(w []byte, i, low int) (yes, sure bool) {
	known := true // every key on the way is a carrier's
	element := -1 // the outermost value that is one of a list
	accept := func() (bool, bool) {
		if element >= 0 {
			s.judged = s.base + int64(element)
		}
		return true, true
	}
	for range maxLevels {
		j := spaceBefore(w, i)
		if j == 0 {
			if s.dropped && !known {
				return false, true
			}
			return accept()
		}
		key, member, value := "", false, i
		switch c := w[j-1]; {
		case c == ':':
			open, text := stringBefore(w, spaceBefore(w, j-1))
			if open < 0 {
				return false, true
			}
			j, key, member = open, view(text), true
		case c == '[', c == ',':
			element = i
		case closes(c), c == '"', bytes.HasSuffix(w[:j], bom):
			return accept() // the value before ends without a comma: this one begins a document
		default:
			return false, true
		}
		var ok bool
		if i, ok = s.openerBefore(w, j, low, int(s.judged-s.base)); !ok {
			return known && (!member || carriers[key]) && s.effort <= s.bearable(), false
		}
		if !member && s.base+int64(i) == s.judged {
			return accept() // a neighbour's place was found to be good
		}
		if member {
			if s.recordLike(w[i:min(len(w), value+maxAhead)]) {
				return false, true
			}
			known = known && carriers[key]
		}
	}
	s.unreadable(i, ReasonTooDeep, errTooWrapped, nil)
	return false, true
}

// followsRecord reports whether the object at w[i:] comes after a record in a
// list.
func (s *Scanner) followsRecord(w []byte, i int) bool {
	j := spaceBefore(w, i)
	if j < 2 || w[j-1] != ',' {
		return false
	}
	if j = spaceBefore(w, j-1); j == 0 || w[j-1] != '}' {
		return false
	}
	open, ok := s.openerBefore(w, j-1, i-maxAhead, -1)
	return ok && w[open] == '{' && s.recordLike(w[open:j])
}

// recordLike reports whether the object at the beginning of b has the keys of a
// record, and is none of Lambda's own items, which have them too.
func (s *Scanner) recordLike(b []byte) bool {
	s.effort += int64(len(b))
	doc := view(b)
	source := gjson.Get(doc, "eventSource")
	return source.Exists() && !strings.HasPrefix(source.Str, "aws:") && gjson.Get(doc, eventName).Exists()
}

// bearable is how many bytes may be walked through for what was swept so far:
// what is made to be walked again and again is given up, and told.
func (s *Scanner) bearable() int64 { return 32<<20 + 64*s.inflated }

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
// or bracket that encloses it, or to an element of the same list at w[stop]. It
// gives up before low, with what it had reached.
func (s *Scanner) openerBefore(w []byte, i, low, stop int) (at int, ok bool) {
	low = max(low, 0)
	if s.effort > s.bearable() {
		return low, false
	}
	from := i
	defer func() { s.effort += int64(from - i) }()
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
			if depth--; depth == 0 && i == stop {
				return i, true
			}
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
func (s *Scanner) closerAfter(w []byte, i int) (end int, err error) {
	if s.effort > s.bearable() {
		return 0, errTooDeep
	}
	from := i
	defer func() { s.effort += int64(i - from) }()
	depth := 1
	for ; i < len(w); i++ {
		switch w[i] {
		case '"':
			if i = stringEnd(w, i+1); i < 0 {
				i = len(w)
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
