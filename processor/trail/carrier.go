package trail

import (
	"bytes"
	"encoding/base64"
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how many carriers may be wrapped around each other.
const maxDepth = 8

var (
	errCarrierTooLarge = errors.New("a string that holds records is longer than 1 MiB")
	errCutString       = errors.New("a string that holds records is cut off")
	errTooWrapped      = errors.New("wrapped in more than 8 carriers")
)

// carrier unescapes the string around w[i:] and scans it as a document of its
// own, if it stands where records may. It returns where to go on from.
func (s *Scanner) carrier(w []byte, i int, final bool) (next int, more bool) {
	next = i + 1
	if s.base+int64(i) < s.unescaped {
		return next, false // seen with the rest of its string
	}
	open := stringAround(w, i)
	end := -1
	if open >= 0 {
		end = stringEnd(w, i)
	}
	if end < 0 {
		if open >= 0 && !final && len(w)-open <= maxRecord {
			return 0, true
		}
		s.unescaped = s.base + int64(len(w))
		switch {
		case s.overlong: // told already
		case open >= 0 && final && len(w)-open <= maxRecord:
			if s.carried(w, open) {
				s.cut = true
				s.unreadable(open, ReasonTruncated, errCutString, w[open:])
			}
		case open >= 0 || s.dropped:
			s.overlong = true
			s.unreadable(max(open, 0), ReasonTooLarge, errCarrierTooLarge, nil)
		}
		return next, false
	}
	s.overlong = false
	s.unescaped = s.base + int64(end)
	if s.carried(w, open) {
		s.text = unescape(s.text[:0], w[open+1:end])
		s.within(s.text, open) // its names are counted as they are met
	}
	return next, false
}

// within scans what a carrier held as a document of its own, and returns how
// many records it saw there.
func (s *Scanner) within(doc []byte, at int) int64 {
	if s.depth == maxDepth {
		s.unreadable(at, ReasonTooDeep, errTooWrapped, nil)
		return 0
	}
	if s.inner == nil {
		s.inner = NewScanner()
		s.inner.depth = s.depth + 1
	}
	in := s.inner
	in.begin(s.origin, s.visitor)
	in.offset = s.offset + s.base + int64(at)
	in.budget, in.raw, in.effort = min(maxInflatedWithin, s.budget), s.raw, 0
	before := in.budget
	in.document(doc)
	s.budget -= before - max(0, in.budget)
	s.raw = in.raw
	in.visitor = nil
	return in.records
}

// stringAround is where the string opens that w[i] stands in, -1 if w begins
// in it.
func stringAround(w []byte, i int) int {
	for i--; i >= 0; i-- {
		if w[i] == '"' && !escaped(w, i) {
			return i
		}
	}
	return -1
}

// base64Starts are what gzip and JSON look like in base64, with the quote
// before: gzip's magic, and a brace or a bracket with what may follow it.
var base64Starts = [][]byte{[]byte(`"H4sI`), []byte(`"ey`), []byte(`"ew`), []byte(`"W3`), []byte(`"Wy`), []byte(`"Ww`)}

// decode scans the base64 strings in w[from:] as documents of their own. It is
// for what shows no CloudTrail record at its surface: Kinesis, Firehose and
// Lambda batches. It returns where to go on from once there is more behind w.
func (s *Scanner) decode(w []byte, from int, final bool) int {
	done := len(w)
	if !final {
		done = max(from, done-len(base64Starts[0]))
	}
	for _, start := range base64Starts {
		for i := from; ; {
			n := bytes.Index(w[i:], start)
			if n < 0 {
				break
			}
			i += n
			if escaped(w, i) {
				i++
				continue
			}
			end := stringEnd(w, i+1)
			if end < 0 {
				done = min(done, i)
				break
			}
			if doc, ok := s.base64(w[i+1 : end]); ok && s.carried(w, i) {
				s.decoded += s.within(doc, i)
			}
			i = end + 1
		}
	}
	return done
}

// base64 decodes b, padded or not, with escapes or not. What it returns is good
// until the next call. What only looks like base64, such as a word or a
// signature, does not decode to gzip or to JSON from end to end.
func (s *Scanner) base64(b []byte) (doc []byte, ok bool) {
	if bytes.IndexByte(b, '\\') >= 0 {
		b = unescape(nil, b)
	}
	var err error
	if s.text, err = base64.RawStdEncoding.AppendDecode(s.text[:0], bytes.TrimRight(b, "=")); err != nil {
		return nil, false
	}
	if compression(s.text) == gzipped {
		return s.text, true
	}
	i, end := skipSpace(s.text, 1), spaceBefore(s.text, len(s.text))
	if i >= end || !opens(s.text[0]) || !closes(s.text[end-1]) || !utf8.Valid(s.text) {
		return nil, false
	}
	c := s.text[i]
	return s.text, c == '"' || opens(c) || closes(c)
}

// unescape appends what the JSON string src means to dst.
func unescape(dst, src []byte) []byte {
	for len(src) > 0 {
		n := bytes.IndexByte(src, '\\')
		if n < 0 || n+1 == len(src) {
			return append(dst, src...)
		}
		dst = append(dst, src[:n]...)
		c := src[n+1]
		src = src[n+2:]
		switch c {
		case 'n':
			dst = append(dst, '\n')
		case 't':
			dst = append(dst, '\t')
		case 'r':
			dst = append(dst, '\r')
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'u':
			r, size := unescapeRune(src)
			dst = utf8.AppendRune(dst, r)
			src = src[size:]
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// unescapeRune reads the hex digits behind a \u, and the second half of a pair.
func unescapeRune(b []byte) (r rune, size int) {
	if len(b) < 4 {
		return utf8.RuneError, len(b)
	}
	r = hex4(b)
	if utf16.IsSurrogate(r) {
		if len(b) >= 10 && b[4] == '\\' && b[5] == 'u' {
			if pair := utf16.DecodeRune(r, hex4(b[6:])); pair != utf8.RuneError {
				return pair, 10
			}
		}
		return utf8.RuneError, 4
	}
	return r, 4
}

func hex4(b []byte) rune {
	return rune(unhex(b[0]))<<12 | rune(unhex(b[1]))<<8 | rune(unhex(b[2]))<<4 | rune(unhex(b[3]))
}
