package trail

import (
	"bytes"

	"github.com/mfawatch/mfawatch/processor/trail/escape"
)

// spelt looks at the \u00 at w[i:], which may be a letter of eventName. It looks
// at the run of letters, digits and backslashes around it, and goes on behind.
func (s *Scanner) spelt(w []byte, i int, final bool) (next int, more bool) {
	const (
		longest = 160     // a name with each letter escaped, and that more than once
		chunk   = 4 << 10 // of a run that is longer
	)
	if i+longest > len(w) && !final {
		return 0, true
	}
	next = i + len(escapeNeedle)
	if next < len(w) && w[next] < '3' {
		return next, false // neither a letter, a digit nor a backslash
	}
	lo, hi := i, next
	for lo > 0 && i-lo < longest && inRun[w[lo-1]] {
		lo--
	}
	for hi < len(w) && hi-i < chunk && inRun[w[hi]] {
		hi++
	}
	if hi == len(w) && !final || hi-i == chunk {
		next = max(next, hi-longest)
	} else {
		next = hi
	}
	s.spelling = escape.Spell(s.spelling[:0], w[lo:hi])
	if string(s.spelling) == eventName && lo > 0 && w[lo-1] == '"' && !escape.Escaped(w, lo-1) && hi < len(w) && w[hi] == '"' {
		return s.keyed(w, lo-1, hi+1, final)
	}
	// Inside a string, where the digits of an escape may be escaped in turn, the
	// string is unescaped and looked through again. Names that are not spelt out
	// are met as such.
	met := bytes.Count(w[lo:hi], []byte(eventName))
	for range maxDepth {
		if bytes.Count(s.spelling, []byte(eventName)) > met {
			if more = s.inside(w, i, final); !more {
				s.counted(w, lo)
			}
			return next, more
		}
		if bytes.IndexByte(s.spelling, '\\') < 0 {
			break
		}
		s.spelling = escape.Spell(s.spelling[:0], s.spelling) // it never grows
	}
	return next, false
}

// quoted looks at the eventName at w[i:] that stands inside a string, with its
// quotes escaped. Only if its value may be a watched name is the
// string worth unescaping.
func (s *Scanner) quoted(w []byte, i, after int, final bool) (next int, more bool) {
	const enough = 512
	v, sure := escape.Value(w[after:min(after+enough, len(w))])
	if !sure && !final && len(w)-after < enough {
		return 0, true
	}
	if v == nil {
		return after, false
	}
	if sure && !watched(v) {
		if bytes.IndexByte(v, ':') < 0 { // as above
			s.counted(w, i)
		}
		return after, false
	}
	if more = s.inside(w, i, final); !more {
		s.counted(w, i)
	}
	return after, more
}

// counted counts the eventName before w[i:] in a string. Records are those whose
// quotes have the fewest backslashes: others stand in strings of theirs.
func (s *Scanner) counted(w []byte, i int) {
	before, isQuote := bytes.CutSuffix(w[:i], escapedQuote[1:])
	if !isQuote {
		before, isQuote = bytes.CutSuffix(w[:i], []byte(`"`))
	}
	n := len(before)
	if isQuote {
		n -= len(bytes.TrimRight(before, `\`))
	}
	if s.inString == 0 || n < s.escapes {
		s.inString, s.escapes = 0, n
	}
	if n == s.escapes {
		s.inString++
	}
}

// inside has the string around w[i] unescaped and scanned as a document of its
// own, if it stands where records may. It reports whether that needs more bytes.
func (s *Scanner) inside(w []byte, i int, final bool) (more bool) {
	s.met = true
	if s.skimming {
		return true
	}
	if s.base+int64(i) < s.unescaped {
		return false // seen with the rest of its string
	}
	k := &s.walk
	open, end, ok := k.around(w, i, final)
	if ok && end < 0 && !final && len(w)-open <= maxQuoted {
		return true
	}
	s.unescaped = s.base + int64(len(w))
	switch {
	case !ok:
		s.unescaped = s.base + int64(i) + 1
		k.lost(i)
	case end >= 0 && open >= 0:
		s.unescaped = s.base + int64(end)
		k.add(w, isText, open, end+1)
	case end < 0 && len(w)-open <= maxQuoted:
		k.add(w, isCutText, open, len(w))
	case s.overlong != s.base+int64(open):
		s.overlong = s.base + int64(open)
		k.add(w, isLongText, open, open)
	}
	s.report(w, k)
	return false
}
