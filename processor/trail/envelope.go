package trail

import (
	"bytes"
	"encoding/base64"
	"errors"

	"github.com/mfawatch/mfawatch/processor/trail/escape"
)

// maxDepth is how many envelopes may be nested.
const maxDepth = 8

var errTooWrapped = errors.New("wrapped in more than 8 envelopes")

// within scans the content of an envelope as a document of its own, and returns
// the number of records in it.
func (s *Scanner) within(doc []byte, at int) int64 {
	in := s.enter(at, min(maxInflatedWithin, s.budget))
	if in == nil {
		return 0
	}
	in.document(doc)
	return s.leave(in)
}

// enter returns the Scanner for the content of an envelope, which may inflate to
// budget; nil if too many are nested.
func (s *Scanner) enter(at int, budget int64) *Scanner {
	if s.depth == maxDepth {
		s.unreadable(at, ReasonTooDeep, errTooWrapped, nil)
		return nil
	}
	if s.inner == nil {
		s.inner = NewScanner()
		s.inner.depth = s.depth + 1
	}
	in := s.inner
	in.begin(s.origin, s.visitor)
	in.offset = s.offset + s.base + int64(at)
	in.budget, in.raw = budget, s.raw
	s.budget -= budget
	return in
}

// leave ends the scan of the content of an envelope, and returns the number of
// records in it.
func (s *Scanner) leave(in *Scanner) int64 {
	s.budget += max(0, in.budget)
	s.raw = in.raw
	s.walked += in.walked
	in.visitor = nil
	return in.records
}

// leastZlib is the least size of a record in zlib. Its head proves little: it is two
// bytes of a word, too.
const leastZlib = 96

// decode scans the mapped records in w[from:] and, if coded, the base64 strings as
// documents of their own. It is for documents that show no CloudTrail record at
// their surface: Kinesis, Firehose and Lambda batches. It returns where to go on
// from once there is more behind w.
func (s *Scanner) decode(w []byte, from int, final, coded bool) int {
	k := &s.hidden
	var next [1 + len(markers)]int
	for n := range next {
		next[n] = -1
	}
	for {
		i, isMarker := len(w), false
		for n := range next {
			if next[n] < from {
				next[n] = nextHidden(w, n, from, coded)
			}
			if next[n] < i {
				i, isMarker = next[n], n > 0
			}
		}
		if i == len(w) {
			break
		}
		if isMarker {
			var more bool
			if from, more = s.marker(w, i, final); more {
				return i
			}
			continue
		}
		from = i + 1
		if escape.Escaped(w, i) {
			continue
		}
		end := escape.StringEnd(w, i+1)
		if end < 0 {
			if final {
				break
			}
			return i
		}
		k.to(w, i, false)
		k.add(w, isCoded, i, end+1)
		k.skip(end + 1)
		s.report(w, k)
		from = end + 1
	}
	if final {
		if k.started() {
			k.finish(w)
			s.report(w, k)
		}
		return len(w)
	}
	return max(from, len(w)-longestMarker)
}

// nextHidden is the quote in w[from:] behind which base64 stands (n is 0), or the
// marker before n; len(w) if there is none.
func nextHidden(w []byte, n, from int, coded bool) int {
	if n > 0 {
		return nextMarker(w, n-1, from)
	}
	for ; coded; from++ {
		i := bytes.IndexByte(w[from:], '"')
		if i < 0 {
			break
		}
		if from += i; isBase64(w[from+1:]) {
			return from
		}
	}
	return len(w)
}

// base64 decodes b, padded or not, with escapes or not. The result is valid
// until the next call. What only looks like base64, such as a word or a
// signature, does not decode to compressed data or to JSON from end to end.
func (s *Scanner) base64(b []byte) (doc []byte, ok bool) {
	if bytes.IndexByte(b, '\\') >= 0 {
		b = escape.Append(nil, b)
	}
	var err error
	if s.text, err = base64.RawStdEncoding.AppendDecode(s.text[:0], bytes.TrimRight(b, "=")); err != nil {
		return nil, false
	}
	if f := compression(s.text); f != FormUnknown {
		return s.text, f != FormZlib || len(s.text) >= leastZlib
	}
	i, end := skipSpace(s.text, 1), spaceBefore(s.text, len(s.text))
	if i >= end || !opens(s.text[0]) || !closes(s.text[end-1]) {
		return nil, false
	}
	c := s.text[i]
	return s.text, c == '"' || opens(c) || closes(c)
}
