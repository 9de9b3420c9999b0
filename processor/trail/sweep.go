package trail

import "bytes"

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

// sweep looks at each eventName in w[from:] and reads the records that have a
// watched one. It returns where to go on from once there are more bytes behind
// w, which is len(w) if final. What may be dropped of what lies before is for
// room to say.
func (s *Scanner) sweep(w []byte, from int, final bool) int {
	limit := len(w)
	if !final { // what might begin here is left to the next sweep as a whole
		limit -= afterRare
	}
	for lo := from; lo < limit; {
		hi := min(lo+block, limit)
		esc, i := nextEscape(w, lo, hi), -1
		for lo < hi {
			if i < lo {
				i = nextName(w, lo, hi)
			}
			next, more := hi, false
			switch {
			case esc < i:
				next, more = s.spelt(w, esc, final)
			case i < hi:
				next, more = s.named(w, i-beforeRare, final)
			}
			if more {
				return min(i, esc)
			}
			lo = next
			if esc < lo {
				esc = nextEscape(w, lo, hi)
			}
		}
		lo = max(lo, hi)
		from = lo
	}
	return max(from, limit)
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
		if i >= beforeRare && i+afterRare < len(w) && string(w[i-beforeRare:i+afterRare+1]) == eventName {
			return i
		}
		lo = i + 1
	}
	return hi
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
// that more bytes are needed to tell.
func (s *Scanner) named(w []byte, i int, final bool) (next int, more bool) {
	after := i + len(eventName)
	if after == len(w) {
		return after, !final
	}
	switch w[after] {
	case '"':
		// In valid JSON an unescaped quote right before a word can only open
		// the string, so this is the whole of it.
		if i == 0 || w[i-1] != '"' || escaped(w, i-1) {
			return after, false
		}
		return s.keyed(w, i-1, after+1, final)
	case '\\':
		return s.quoted(w, i, after, final)
	}
	return after, false
}

// spelt looks at the \u00 at w[i:], which may be a letter of eventName.
func (s *Scanner) spelt(w []byte, i int, final bool) (next int, more bool) {
	const longest = 160 // a name with each letter escaped, and that more than once
	if i+longest > len(w) && !final {
		return 0, true
	}
	next = i + len(escapeNeedle)
	lo, hi := i, next
	for lo > 0 && i-lo < longest && (wordBytes[w[lo-1]] || w[lo-1] == '\\') {
		lo--
	}
	for hi < len(w) && hi-i < longest && (wordBytes[w[hi]] || w[hi] == '\\') {
		hi++
	}
	if bytes.Contains(w[lo:hi], []byte(eventName)) {
		return next, false // it is met as such
	}
	var a, b [2 * longest]byte
	word := spell(a[:0], w[lo:hi])
	if string(word) == eventName && lo > 0 && w[lo-1] == '"' && !escaped(w, lo-1) && hi < len(w) && w[hi] == '"' {
		return s.keyed(w, lo-1, hi+1, final)
	}
	// Inside a string, where the digits of an escape may be escaped in turn, it
	// is the carrier that is unescaped and looked through again.
	for range maxDepth {
		if bytes.IndexByte(word, '\\') < 0 && !bytes.Contains(word, []byte(eventName)) {
			break
		}
		if bytes.Contains(word, []byte(eventName)) {
			if next, more = s.carrier(w, i, final); !more {
				s.inString++
			}
			return next, more
		}
		word = append(a[:0], spell(b[:0], word)...)
	}
	return next, false
}

// wordBytes are letters and digits.
var wordBytes = func() (is [256]bool) {
	for c := range is {
		is[c] = '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	return is
}()

// spell appends src to dst with the \u00xx escapes replaced by their bytes,
// however often the backslash itself is escaped. It stops when dst is full.
func spell(dst, src []byte) []byte {
	for i := 0; i < len(src) && len(dst) < cap(dst); {
		j := i
		for j < len(src) && src[j] == '\\' {
			j++
		}
		if j > i && j+5 <= len(src) && string(src[j:j+3]) == "u00" && isHex(src[j+3]) && isHex(src[j+4]) {
			dst = append(dst, unhex(src[j+3])<<4|unhex(src[j+4]))
			i = j + 5
			continue
		}
		dst = append(dst, src[i])
		i++
	}
	return dst
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0
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
	end := v
	for end < len(w) && wordBytes[w[end]] {
		end++
	}
	special := end == len(w) || w[end] != '"' // not the plain word that nearly all are
	colon := false
	if special {
		n := bytes.IndexByte(w[v:min(v+longest, len(w))], '"')
		if n < 0 {
			return after, !final && len(w)-v < longest
		}
		end = v + n
		colon = bytes.IndexByte(w[v:end], ':') >= 0
	}
	name := w[v:end]
	if special && bytes.IndexByte(name, '\\') >= 0 {
		var word [longest]byte
		name = spell(word[:0], name)
	}
	next = end
	if watched(name) {
		end, more := s.frame(w, q, final)
		if more {
			return 0, true
		}
		next = max(next, end)
	}
	s.met[s.names%len(s.met)] = s.base + int64(q)
	s.names++
	s.overlong = false
	if !colon { // ObjectCreated:Put, aws:kinesis:record: not CloudTrail's (R39)
		s.plain++
	}
	return next, false
}

// quoted looks at the eventName at w[i:] that stands inside a string, with its
// quotes escaped. Only if its value may be a watched name is the
// string worth unescaping.
func (s *Scanner) quoted(w []byte, i, after int, final bool) (next int, more bool) {
	const enough = 512
	v, sure := valueInString(w[after:min(after+enough, len(w))])
	if !sure && !final && len(w)-after < enough {
		return 0, true
	}
	if v == nil {
		return after, false
	}
	if sure && !watched(v) {
		if bytes.IndexByte(v, ':') < 0 { // as above
			s.inString++
		}
		return after, false
	}
	if _, more = s.carrier(w, i, final); !more {
		s.inString++
	}
	return after, more
}

// valueInString reads the escaped form of `": "value"` at the beginning of b:
// the value up to its end, nil if b is nothing of the kind. It is not sure where
// escapes hide something or b ends in it.
func valueInString(b []byte) (value []byte, sure bool) {
	var seen [3]byte // quote, colon, quote
	n, i := 0, 0
	for i < len(b) && n < len(seen) {
		c, size := unescapeAny(b[i:])
		switch c {
		case ' ', '\t', '\n', '\r':
		case '"', ':':
			seen[n] = c
			n++
		default:
			if b[i] == '\\' {
				return b[:0], false // an escape that hides something
			}
			return nil, true
		}
		i += size
	}
	if n < len(seen) {
		return b[:0], false
	}
	if string(seen[:]) != `":"` {
		return nil, true
	}
	for j := i; j < len(b); j++ {
		if b[j] == '"' {
			return nil, true // the string itself ends here
		}
		if b[j] == '\\' {
			c, size := unescapeAny(b[j:])
			return b[i:j], size > 0 && c == '"'
		}
	}
	return b[i:], false
}

// unescapeAny reads one character at the beginning of b, however often it is
// escaped; size 0 says that b ends in it.
func unescapeAny(b []byte) (c byte, size int) {
	i := 0
	for i < len(b) && b[i] == '\\' {
		i++
	}
	if i == len(b) {
		return 0, 0
	}
	if i == 0 {
		return b[0], 1
	}
	switch b[i] {
	case 'n':
		return '\n', i + 1
	case 't':
		return '\t', i + 1
	case 'r':
		return '\r', i + 1
	case 'u':
		if i+5 > len(b) {
			return 0, 0
		}
		if b[i+1] != '0' || b[i+2] != '0' || !isHex(b[i+3]) || !isHex(b[i+4]) {
			return 0, i + 5
		}
		return unhex(b[i+3])<<4 | unhex(b[i+4]), i + 5
	}
	return b[i], i + 1
}
