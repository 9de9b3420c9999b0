// Package trail reads CloudTrail as it comes over the wire: it unwraps
// carriers, sweeps the bytes for watched records and parses those.
package trail

import (
	"bytes"
	"errors"
	"io"
)

const (
	// maxInflated is how much one part may inflate to. CloudTrail's largest
	// objects have 50 MB compressed, which can be gigabytes.
	maxInflated = 16 << 30
	// maxInflatedWithin is the same for compressed data inside a carrier.
	maxInflatedWithin = 256 << 20

	firstWindow = 256 << 10
	maxWindow   = 4 << 20
	context     = 4 << 10 // what is kept before what was looked into
	readSize    = 32 << 10
)

// A Scanner finds the watched records in objects. It is made to be used again
// and again, by one goroutine at a time. Its memory is bounded whatever is
// streamed: a window of 4 MiB at most, and one more for each carrier around
// another; what lies in memory already may be unescaped or decoded once more.
type Scanner struct {
	inner    *Scanner // for what lies inside a carrier
	depth    int      // of carriers around
	input    source
	in       []byte // its first bytes
	inflater inflater
	buf      []byte // the window
	text     []byte // an unescaped or decoded carrier
	rec      record

	// Of the scan under way:
	origin    Origin
	visitor   Visitor
	offset    int64 // of the document in the part, for carriers
	base      int64 // of the window in the document
	budget    int64 // how much may yet be inflated
	inflated  int64
	unescaped int64     // up to here escaped names have been seen to with their string
	dropped   bool      // the window no longer begins where the document does
	overlong  bool      // a string that holds records is too long, which has been told
	judged    int64     // the element of a list that was found to stand well last; negative: none
	refused   int64     // the object that could not be read last; negative: none
	effort    int64     // bytes walked through to find what names stand in
	raw       int       // how much of what cannot be read may yet be kept
	records   int64     // in the documents before this one
	met       [16]int64 // where the last names stood, in turn
	names     int       // how many were met
	plain     int64     // in this one: names at the surface
	inString  int64     // names inside strings
	decoded   int64     // records that base64 hid
	damaged   bool      // the stream's end is unreadable, which is told of it
	cut       bool      // the document's end is unreadable, which has been told
}

// NewScanner returns a Scanner.
func NewScanner() *Scanner { return &Scanner{} }

func (s *Scanner) begin(o Origin, v Visitor) {
	s.origin, s.visitor, s.budget = o, v, maxInflated
	s.offset, s.inflated, s.damaged = 0, 0, false
	s.records, s.plain, s.inString, s.decoded = 0, 0, 0, 0
	s.effort, s.raw = 0, maxRecord
	s.restart()
}

// restart forgets where in a document it was.
func (s *Scanner) restart() { s.base = 0; s.forget() }

// forget forgets what is known of a document.
func (s *Scanner) forget() {
	s.unescaped, s.cut, s.names, s.dropped, s.overlong = 0, false, 0, false, false
	s.judged, s.refused = -1, -1
}

// Scan reads r to its end, plain or compressed, in whatever carrier, and tells
// v what it finds. Its error is r's own, other than io.EOF; input that cannot
// be read goes to v.Unreadable instead, and what comes before it is still told.
func (s *Scanner) Scan(o Origin, r io.Reader, v Visitor) (Stats, error) {
	s.begin(o, v)
	s.input = source{r: r}
	if b, whole := s.read(); whole {
		s.document(b)
	} else {
		s.object(b)
	}
	stats := Stats{Records: s.records, Bytes: s.input.n, Inflated: s.inflated}
	err := s.input.err
	s.input, s.visitor = source{}, nil
	return stats, err
}

// read reads the input's first bytes, which are the whole of most objects: to
// have those in memory is faster.
func (s *Scanner) read() (b []byte, whole bool) {
	if s.in == nil {
		s.in = make([]byte, 64<<10)
	}
	for n := 0; ; {
		m, err := io.ReadFull(&s.input, s.in[n:])
		n += m
		if err != nil {
			return s.in[:n], s.input.err == nil
		}
		if n >= wholeObject || compression(s.in) == plain {
			return s.in[:n], false
		}
		s.in = append(s.in, make([]byte, len(s.in))...)
	}
}

// object scans an object that begins with b and goes on in the input.
func (s *Scanner) object(b []byte) {
	s.input.again = b
	if f := compression(b); f != plain {
		s.inflate(&s.input, f)
	} else {
		s.stream(&s.input)
	}
}

// ScanBytes is Scan over bytes in memory. It neither changes nor keeps b.
func (s *Scanner) ScanBytes(o Origin, b []byte, v Visitor) Stats {
	s.begin(o, v)
	s.document(b)
	s.visitor = nil
	return Stats{Records: s.records, Bytes: int64(len(b)), Inflated: s.inflated}
}

// count adds up the CloudTrail records of a document at its end. Names inside
// strings are records only where none stands at the surface.
func (s *Scanner) count() {
	s.records += s.plain + s.decoded
	if s.plain == 0 {
		s.records += s.inString
	}
	s.plain, s.inString, s.decoded = 0, 0, 0
}

// A source is the reader that a scan was given; it tells its errors from those
// of the decompressor.
type source struct {
	r     io.Reader
	again []byte // to be read once more, before r
	n     int64
	err   error
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.again) > 0 {
		n := copy(p, s.again)
		s.again = s.again[n:]
		return n, nil
	}
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// stream scans r, which is not compressed, through a window. It returns r's
// error, other than io.EOF.
func (s *Scanner) stream(r io.Reader) error {
	if s.buf == nil {
		s.buf = make([]byte, firstWindow)
	}
	s.restart()
	var at window
	err := s.fill(r, &at, 512) // enough to tell what it is
	for err == nil && skipSpace(s.buf[:at.n], 0) == at.n {
		s.base += int64(at.n)
		at.n = 0
		err = s.fill(r, &at, 512)
	}
	if !s.looksLikeJSON(s.buf[:at.n]) {
		return ended(err)
	}
	h := headOf(s.buf[:at.n])
	lines := isLines(s.buf[:at.n])
	seen := s.surface()
	for {
		final := err != nil
		if final && !errors.Is(err, io.EOF) {
			s.damaged = true
		}
		w := s.buf[:at.n]
		if lines {
			at.swept = s.lines(w, at.swept, final)
			at.decoded = at.swept
		} else {
			at.swept = s.sweep(w, at.swept, final)
			if final || at.n-at.decoded > maxWindow/2 {
				if s.surface() == seen {
					at.decoded = s.decode(w, at.decoded, final)
				} else {
					at.decoded = at.swept
				}
				seen = s.surface()
			}
		}
		if final {
			if !lines && !s.damaged {
				s.checkEnd(w, h)
			}
			s.count()
			return ended(err)
		}
		if len(s.buf)-at.n < readSize {
			if seen != s.surface() { // nothing here is hidden in base64
				seen, at.decoded = s.surface(), at.swept
			}
			if !s.room(&at) {
				// What is waited for cannot be had: white space without end.
				at.swept = s.sweep(w, at.swept, true)
				if at.decoded < at.swept {
					s.unreadable(at.decoded, ReasonTooLarge, errCarrierTooLarge, nil)
				}
				at.decoded = at.swept
				s.room(&at)
			}
		}
		err = s.fill(r, &at, 1)
	}
}

// A window is where in Scanner.buf its ends are.
type window struct {
	n       int // filled up to here
	swept   int // swept up to here
	decoded int // looked into for base64 up to here
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

// room makes room in the window: by dropping what no record can need any more,
// or, where that is too little, by growing it up to its bound. A small window
// stays in the processor's cache.
func (s *Scanner) room(at *window) bool {
	drop := max(0, min(s.behind(), at.swept, at.decoded-context))
	if drop < len(s.buf)/2 {
		if len(s.buf) < maxWindow {
			s.buf = append(s.buf, make([]byte, len(s.buf))...)
			return true
		}
		drop = max(drop, min(at.swept-maxRecord, at.decoded-context))
	}
	s.dropped = s.dropped || drop > 0
	copy(s.buf, s.buf[drop:at.n])
	s.base += int64(drop)
	at.n, at.swept, at.decoded = at.n-drop, at.swept-drop, at.decoded-drop
	return len(s.buf)-at.n >= readSize
}

// behind is where in the window the name stands that was met some names ago: a
// record begins behind the name of the one before it. Only one that holds so
// many names itself, before its own, would be taken for too long.
func (s *Scanner) behind() int {
	if s.names < len(s.met) {
		return 0
	}
	return int(max(0, s.met[s.names%len(s.met)]-s.base))
}

// ended is err, unless that only says that all has been read.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// surface is how many records have been seen that nothing hides.
func (s *Scanner) surface() int64 { return s.plain }

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

// document scans b, which is all there is of it: plain, compressed or base64.
func (s *Scanner) document(b []byte) {
	s.restart()
	if f := compression(b); f != plain {
		s.inflateBytes(b, f)
		return
	}
	s.inflatedDocument(b)
}

// inflatedDocument is document for what is not compressed, or no longer is.
func (s *Scanner) inflatedDocument(b []byte) {
	s.inflated += int64(len(b))
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(b, bom))
	if isBase64(trimmed) {
		if doc, ok := s.base64(trimmed); ok {
			s.records += s.within(doc, 0)
			return
		}
	}
	if !s.looksLikeJSON(trimmed) {
		return
	}
	if isLines(trimmed) {
		s.lines(trimmed, 0, true)
		return
	}
	s.whole(trimmed)
}

// whole sweeps one JSON document.
func (s *Scanner) whole(w []byte) {
	seen := s.surface()
	s.sweep(w, 0, true)
	if s.surface() == seen {
		s.decode(w, 0, true)
	}
	if !s.damaged {
		s.checkEnd(w, headOf(w))
	}
	s.count()
}

// isLines reports whether the first line of w, which is not a long one, ends a
// document and the next begins another: JSON lines.
func isLines(w []byte) bool {
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

func opens(c byte) bool  { return c == '{' || c == '[' }
func closes(c byte) bool { return c == '}' || c == ']' }

// unreadable tells of a part of the window that could not be read. raw is kept
// if it is a watched record.
func (s *Scanner) unreadable(at int, reason Reason, err error, raw []byte) {
	u := Unreadable{Origin: s.origin, Offset: s.offset + s.base + int64(at), Reason: reason, Err: err}
	if raw != nil {
		u.Watched = true
		u.Raw = bytes.Clone(raw[:min(len(raw), 64<<10, s.raw)])
		s.raw -= len(u.Raw)
	}
	s.visitor.Unreadable(u)
}
