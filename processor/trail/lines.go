package trail

import "bytes"

// lines scans the documents in w[at:], one a line. It returns where the first
// begins that is not complete.
func (s *Scanner) lines(w []byte, at int, final bool) int {
	base := s.base
	for at < len(w) {
		n := bytes.IndexByte(w[at:], '\n')
		if n < 0 {
			if !final && len(w)-at < maxWindow-readSize {
				break
			}
			n = len(w) - at
		}
		if line := bytes.TrimSpace(w[at : at+n]); len(line) > 0 {
			s.base = base + int64(at)
			s.forget()
			if s.looksLikeJSON(line) {
				s.whole(line)
			}
			s.base = base
		}
		at = min(at+n+1, len(w))
	}
	return at
}

// isLines reports whether w is JSON lines: its first line, which is not a long one, ends
// a document and the next begins another. A first line that is no JSON, as a program may
// have printed it, does no harm to the others.
func isLines(w []byte) bool {
	if first := trimHead(w); len(first) > 0 && !opens(first[0]) && first[0] != '"' {
		return holdsLine(w[:min(len(w), block)])
	}
	n := bytes.IndexByte(w[:min(len(w), block)], '\n')
	if n < 0 {
		return false
	}
	end, next := spaceBefore(w, n), skipSpace(w, n)
	if end == 0 || !closes(w[end-1]) || next == len(w) {
		return false
	}
	c := w[next]
	return c != ',' && c != ':' && !closes(c) // a document does not go on there
}

// holdsLine reports whether a line of text is an object or a list.
func holdsLine(text []byte) bool {
	if bytes.IndexByte(text, 0) >= 0 {
		return false // it is no text
	}
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) > 1 && opens(line[0]) && closes(line[len(line)-1]) {
			return true
		}
	}
	return false
}
