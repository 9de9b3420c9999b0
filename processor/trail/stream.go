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

// A window is where in Scanner.buf its ends are.
type window struct {
	n       int   // filled up to here
	swept   int   // swept up to here
	decoded int   // looked into for base64 up to here
	surface int64 // names seen at the surface up to there
}

// stream scans r, which is not compressed, through a window. It returns r's
// error, other than io.EOF.
func (s *Scanner) stream(r io.Reader) error {
	if s.buf == nil {
		s.buf = make([]byte, firstWindow)
	}
	s.restart()
	at := window{surface: s.plain}
	err := s.fill(r, &at, 512) // enough to know the format
	for err == nil && skipSpace(s.buf[:at.n], 0) == at.n {
		s.base += int64(at.n)
		at.n = 0
		err = s.fill(r, &at, 512)
	}
	if !s.looksLikeJSON(s.buf[:at.n]) {
		return ended(err)
	}
	h := headOf(s.buf[:at.n])
	s.own = beginsAsOwn(bytes.TrimLeft(bytes.TrimPrefix(s.buf[:at.n], bom), " \t\r\n"))
	lines := isLines(s.buf[:at.n])
	for err == nil {
		s.look(&at, lines, false)
		if len(s.buf)-at.n < readSize {
			s.room(&at, lines)
		}
		err = s.fill(r, &at, 1)
	}
	s.damaged = s.damaged || !errors.Is(err, io.EOF)
	s.look(&at, lines, true)
	if !lines {
		s.finish(s.buf[:at.n], h)
	}
	s.count()
	return ended(err)
}

// look looks at what has come into the window.
func (s *Scanner) look(at *window, lines, final bool) {
	w := s.buf[:at.n]
	if lines {
		at.swept = s.lines(w, at.swept, final)
		return
	}
	at.swept = s.sweep(w, at.swept, final)
	coded := s.plain == at.surface
	if (coded || !s.own) && (final || at.n-at.decoded > maxWindow/2) {
		at.decoded = s.decode(w, at.decoded, final, coded)
	}
}

// fill reads at least least bytes into the window, unless r ends.
func (s *Scanner) fill(r io.Reader, at *window, least int) error {
	for least > 0 {
		m, err := r.Read(s.buf[at.n:min(at.n+readSize, len(s.buf))])
		at.n += m
		least -= m
		s.inflated += int64(m)
		if s.budget -= int64(m); s.budget < 0 {
			s.unreadable(at.n, ReasonTooInflated, errTooInflated, nil)
			return errTooInflated
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// room makes room in the window: by dropping bytes that are not needed any more,
// or, where those are too few, by growing it up to its bound. A small window
// stays in the processor's cache.
func (s *Scanner) room(at *window, lines bool) {
	drop := at.swept
	if !lines {
		drop = s.spare(at)
	}
	if drop < len(s.buf)/2 && len(s.buf) < maxWindow {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
		return
	}
	if !lines && drop < readSize {
		// The rest of the document cannot come: white space without end.
		at.swept = s.sweep(s.buf[:at.n], at.swept, true)
		if drop = s.spare(at); drop < readSize {
			s.unreadable(at.decoded, ReasonTooLarge, errTextTooLarge, nil)
			at.decoded = at.swept
			s.hidden.copy(&s.walk)
			drop = s.spare(at)
		}
	}
	copy(s.buf, s.buf[drop:at.n])
	s.base += int64(drop)
	s.walk.drop(drop)
	s.hidden.drop(drop)
	at.n, at.swept, at.decoded = at.n-drop, at.swept-drop, at.decoded-drop
}

// spare returns how many bytes of the window nothing needs any more.
func (s *Scanner) spare(at *window) int {
	const ahead = 256 // a name that is met next may begin before what was swept
	w := s.buf[:at.n]
	need := s.walk.needs(w, max(0, at.swept-ahead))
	s.report(w, &s.walk)
	if s.plain != at.surface { // nothing here is hidden in base64
		at.surface = s.plain
		if s.own {
			at.decoded = max(at.decoded, at.swept-longestMarker)
			s.hidden.copy(&s.walk)
		} else {
			at.decoded = max(at.decoded, s.decode(w, at.decoded, false, false))
		}
	}
	need = min(need, s.hidden.needs(w, max(0, at.decoded-ahead)))
	s.report(w, &s.hidden)
	return max(0, min(need, at.swept, at.decoded-context))
}

// ended is err, unless that only says that all has been read.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
