package trail

import (
	"bytes"
	"errors"
	"io"
)

const (
	firstWindow = 256 << 10
	maxWindow   = 4 << 20
	context     = 4 << 10 // kept before what was looked into
	readSize    = 32 << 10
)

// A window is the part of a document that is in memory.
type window struct {
	w       []byte
	swept   int   // swept up to here
	decoded int   // looked into for base64 up to here
	surface int64 // names seen at the surface up to there
}

// stream scans the document that f gives through a window. It returns the error
// of f, other than io.EOF.
func (s *Scanner) stream(f feed) error {
	const enough = block // to know the format, as of a document in memory
	s.restart()
	at := window{surface: s.plain}
	err := s.fill(f, &at, 0)
	for err == nil && (len(at.w) < enough || skipSpace(at.w, 0) == len(at.w)) {
		drop := 0
		if skipSpace(at.w, 0) == len(at.w) {
			drop = len(at.w)
		}
		err = s.fill(f, &at, drop)
	}
	s.forget()
	at.swept, at.decoded = 0, 0
	lines := isLines(at.w)
	if !lines && !s.looksLikeJSON(at.w) {
		return ended(err)
	}
	h := headOf(at.w)
	s.own = beginsAsOwn(bytes.TrimLeft(bytes.TrimPrefix(at.w, bom), " \t\r\n"))
	for err == nil {
		s.look(&at, lines, false)
		drop := 0
		if f.full() {
			drop = s.dropped(&at, lines)
		}
		err = s.fill(f, &at, drop)
	}
	s.damaged = s.damaged || !errors.Is(err, io.EOF)
	s.look(&at, lines, true)
	if !lines {
		s.finish(at.w, h)
	}
	s.count()
	return ended(err)
}

// streamPieces streams r, which is not compressed.
func (s *Scanner) streamPieces(r io.Reader) error {
	s.pieces.r, s.pieces.n = r, 0
	err := s.stream(&s.pieces)
	s.pieces.r = nil
	return err
}

// look looks at what has come into the window.
func (s *Scanner) look(at *window, lines, final bool) {
	if lines {
		at.swept = s.lines(at.w, at.swept, final)
		return
	}
	at.swept = s.sweep(at.w, at.swept, final)
	coded := s.plain == at.surface
	if (coded || !s.own) && (final || len(at.w)-at.decoded > maxWindow/2) {
		at.decoded = s.decode(at.w, at.decoded, final, coded)
	}
}

// fill moves the window on, and follows it.
func (s *Scanner) fill(f feed, at *window, drop int) error {
	before := len(at.w)
	w, dropped, err := f.more(drop)
	at.w = w
	s.base += int64(dropped)
	s.walk.drop(dropped)
	s.hidden.drop(dropped)
	at.swept, at.decoded = at.swept-dropped, at.decoded-dropped
	m := int64(len(w) - (before - dropped))
	s.inflated += m
	if s.budget -= m; s.budget < 0 {
		s.unreadable(len(w), ReasonTooInflated, errTooInflated, nil)
		return errTooInflated
	}
	return err
}

// dropped returns how many bytes of the window are not needed any more.
func (s *Scanner) dropped(at *window, lines bool) int {
	if lines {
		return at.swept
	}
	drop := s.spare(at)
	if drop < readSize && len(at.w) > maxWindow-readSize {
		// The rest of the document cannot come: white space without end.
		at.swept = s.sweep(at.w, at.swept, true)
		if drop = s.spare(at); drop < readSize {
			s.unreadable(at.decoded, ReasonTooLarge, errTextTooLarge, nil)
			at.decoded = at.swept
			s.hidden.copy(&s.walk)
			drop = s.spare(at)
		}
	}
	return drop
}

// spare is dropped, as long as the rest of the document can come.
func (s *Scanner) spare(at *window) int {
	const ahead = 256 // a name that is met next may begin before what was swept
	need := s.walk.needs(at.w, max(0, at.swept-ahead))
	s.report(at.w, &s.walk)
	if s.plain != at.surface { // nothing here is hidden in base64
		at.surface = s.plain
		if s.own {
			at.decoded = max(at.decoded, at.swept-longestMarker)
			s.hidden.copy(&s.walk)
		} else {
			at.decoded = max(at.decoded, s.decode(at.w, at.decoded, false, false))
		}
	}
	need = min(need, s.hidden.needs(at.w, max(0, at.decoded-ahead)))
	s.report(at.w, &s.hidden)
	return max(0, min(need, at.swept, at.decoded-context))
}
