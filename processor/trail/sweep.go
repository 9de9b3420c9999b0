package trail

import (
	"bytes"

	"github.com/mfawatch/mfawatch/processor/trail/escape"
	"github.com/mfawatch/mfawatch/processor/trail/vector"
)

// block is how much is swept at a time: small enough that the second needle
// finds the bytes still in the cache.
const block = 64 << 10

const (
	eventName = "eventName"
	// rare is the letter of eventName that is sought, as its frequency decides
	// how fast the search runs: quotes and e's are everywhere, an N is rare.
	rare       = 'N'
	beforeRare = 5
	afterRare  = len(eventName) - beforeRare - 1
)

// escapeNeedle begins a letter of a key that is spelt with escapes.
var escapeNeedle = []byte(`\u00`)

// sweep looks at each eventName in w[from:] and has the walk find the place of
// the watched ones. It returns where to go on from once there are more bytes
// behind w, which is len(w) if final.
func (s *Scanner) sweep(w []byte, from int, final bool) int {
	limit := len(w)
	if !final { // what might begin here is left to the next sweep as a whole
		limit -= afterRare
	}
	spelt := from // up to here escapes have been looked at
	for lo := from; lo < limit; {
		hi := min(lo+block, limit)
		for lo < hi {
			i, more := nextOf(w, lo, max(lo, spelt), hi), false
			switch {
			case i == hi:
				lo = hi
			case w[i] == rare:
				lo, more = s.named(w, i-beforeRare, final)
			default:
				lo = i + 1
				spelt, more = s.spelt(w, i, final)
			}
			if more {
				return i
			}
		}
		lo = max(lo, hi)
		from = lo
	}
	if s.own {
		s.passed(w, max(from, limit), false)
	}
	return max(from, limit)
}

// nextOf returns the first that nextName finds in w[lo:hi] or nextEscape in
// w[spelt:hi], hi if there is none; spelt >= lo.
func nextOf(w []byte, lo, spelt, hi int) int {
	if vector.Fast {
		return nextPair(w, lo, spelt, hi)
	}
	return nextInTurns(w, lo, spelt, hi)
}

// nextPair is nextOf with vectors, in one pass for both.
func nextPair(w []byte, lo, spelt, hi int) int {
	for at, end := max(0, lo-1), min(hi+1, len(w)); ; at++ {
		at += vector.Pair(w[at:end])
		switch {
		case at == end-1, at == hi-1 && w[at] != '\\':
			return hi
		case w[at] == '\\':
			if at >= spelt && bytes.HasPrefix(w[at:], escapeNeedle) {
				return at
			}
		case isName(w, at+1):
			return at + 1
		}
	}
}

// nextInTurns is nextOf with what package bytes has. It looks not much further than
// to what it finds, so that the next call does not do all again.
func nextInTurns(w []byte, lo, spelt, hi int) int {
	for size := 256; lo < hi; size *= 2 {
		end := min(lo+size, hi)
		if i := nextEscape(w, max(lo, spelt), nextName(w, lo, end)); i < end {
			return i
		}
		lo = end
	}
	return hi
}

// nextName is the N of the first eventName with its N in w[lo:hi], hi if there
// is none.
func nextName(w []byte, lo, hi int) int {
	for lo < hi {
		i := bytes.IndexByte(w[lo:hi], rare)
		if i < 0 {
			break
		}
		i += lo
		if isName(w, i) {
			return i
		}
		lo = i + 1
	}
	return hi
}

// isName reports whether the N at w[i] is that of eventName.
func isName(w []byte, i int) bool {
	return i >= beforeRare && i+afterRare < len(w) && string(w[i-beforeRare:i+afterRare+1]) == eventName
}

// nextEscape is the first \u00 that begins in w[lo:hi], hi if there is none.
func nextEscape(w []byte, lo, hi int) int {
	if lo >= hi {
		return hi
	}
	i := bytes.Index(w[lo:min(hi+len(escapeNeedle)-1, len(w))], escapeNeedle)
	if i < 0 {
		return hi
	}
	return lo + i
}

// named looks at the eventName at w[i:]. It returns where to go on from, or
// that it needs more bytes.
func (s *Scanner) named(w []byte, i int, final bool) (next int, more bool) {
	after := i + len(eventName)
	if after == len(w) {
		return after, !final
	}
	switch w[after] {
	case '"':
		// In valid JSON an unescaped quote right before a word can only open
		// the string, so this is the whole of it.
		if i == 0 || w[i-1] != '"' || escape.Escaped(w, i-1) {
			return after, false
		}
		return s.keyed(w, i-1, after+1, final)
	case '\\':
		return s.quoted(w, i, after, final)
	}
	return after, false
}

// keyed looks at the string "eventName" that opens at w[q] and ended before
// w[after]: if it is a key, its value may be a watched name.
func (s *Scanner) keyed(w []byte, q, after int, final bool) (next int, more bool) {
	const longest = 256 // a longer value is no name
	v := skipSpace(w, after)
	if v < len(w) && w[v] != ':' {
		return after, false
	}
	v = skipSpace(w, v+1)
	if v >= len(w) {
		return after, !final
	}
	if w[v] != '"' {
		return after, false
	}
	v++
	n := bytes.IndexByte(w[v:min(v+longest, len(w))], '"')
	if n < 0 {
		return after, !final && len(w)-v < longest
	}
	end := v + n
	name := w[v:end]
	if bytes.IndexByte(name, '\\') >= 0 {
		s.spelling = escape.Spell(s.spelling[:0], name)
		name = s.spelling
	}
	if watched(name) {
		s.met = true
		if s.skimming {
			return after, true
		}
		s.walk.key(w, q)
		s.report(w, &s.walk)
	}
	if bytes.IndexByte(name, ':') < 0 { // ObjectCreated:Put, aws:kinesis:record: not CloudTrail's (R39)
		s.plain++
		if s.own {
			s.passed(w, after, true)
		}
	}
	return end, false
}
