package files

// A splitter finds the borders between the documents of a stream, so that they are
// handled as they arrive. A document is a line, or a JSON value over several lines, such
// as a whole trail that was formatted for people; it ends with its last line. A
// document that was cut off ends where that shows: at a line end within a string, or
// before a line that begins with a value where none may stand. Zero bytes before a
// document are no part of it.
type splitter struct {
	begun    bool // something else than white space and zero bytes has come
	text     bool // it is no JSON, so that its line is all of it
	inString bool
	escaped  bool   // the byte before was a backslash
	fresh    bool   // nothing else than white space has come since the line began
	last     byte   // the one before that is no white space, outside of strings
	depth    int    // of objects and lists that are open
	lists    uint64 // whether each of those is a list, the innermost in bit 0
}

// next reads b, the next bytes of the stream. It returns how many of them belong to the
// present document, and whether that ends there; the next call then begins with the
// rest of b.
func (s *splitter) next(b []byte) (n int, ended bool) {
	for i, c := range b {
		switch {
		case c == '\n':
			if s.inString || s.begun && (s.text || s.depth == 0) {
				*s = splitter{}
				return i + 1, true
			}
			s.fresh = true
			continue
		case s.inString:
			switch {
			case s.escaped:
				s.escaped = false
			case c == '\\':
				s.escaped = true
			case c == '"':
				s.inString, s.last = false, c
			}
			continue
		case c == ' ', c == '\t', c == '\r', c == 0 && !s.begun:
			continue
		case !s.begun:
			s.begun, s.text = true, c != '{' && c != '['
		case s.fresh && (c == '{' || c == '[') && !s.mayOpen():
			*s = splitter{}
			return i, true
		}
		s.fresh = false
		if s.text {
			continue
		}
		switch c {
		case '"':
			s.inString = true
		case '{', '[':
			s.depth++
			s.lists <<= 1
			if c == '[' {
				s.lists |= 1
			}
		case '}', ']':
			s.depth = max(0, s.depth-1)
			s.lists >>= 1
		}
		s.last = c
	}
	return len(b), false
}

// mayOpen reports whether an object or a list may begin here.
func (s *splitter) mayOpen() bool {
	switch {
	case s.depth == 0, s.depth > 64: // deeper than is remembered
		return true
	case s.lists&1 == 1:
		return s.last == '[' || s.last == ','
	}
	return s.last == ':'
}
