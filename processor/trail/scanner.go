package trail

import (
	"bytes"
	"cmp"
	"io"
)

const (
	// maxInflated is how much one part may inflate to. CloudTrail's largest
	// objects have 50 MB compressed, which can be gigabytes.
	maxInflated = 16 << 30
	// maxInflatedWithin is the same for compressed data inside an envelope.
	maxInflatedWithin = 256 << 20
)

// A Scanner finds the watched records in objects. It is reusable, by one goroutine
// at a time. Its memory is bounded, whatever is streamed: a window of 5 MiB at
// most, one more for each envelope around another, and 8 MiB of compressed input
// while it is skimmed; input that is in memory already may be inflated, unescaped
// or decoded once more.
type Scanner struct {
	inner    *Scanner // for the content of an envelope
	depth    int      // of envelopes around
	input    source
	in       []byte // its first bytes
	inflater inflater
	pieces   pieces // of what is streamed, but not inflated
	text     []byte // the unescaped or decoded content of an envelope
	rec      record

	eager    bool // the last document that was to be skimmed had to be walked
	walk     walk // the structure around the names met
	hidden   walk // the structure around base64
	spelling []byte

	// Of the scan under way:
	origin    Origin
	visitor   Visitor
	offset    int64 // of the document in the part, for envelopes
	base      int64 // of the window in the document
	most      int64 // how much a part may inflate to; 0: maxInflated
	budget    int64 // how much may yet be inflated
	inflated  int64
	walked    int64 // bytes that walks looked at
	unescaped int64 // up to here names in strings have been handled with their string
	overlong  int64 // the string over the bound that was reported last; negative: none
	raw       int   // how much of what cannot be read may yet be kept
	records   int64 // in the documents before this one
	plain     int64 // in this one: names at the surface
	inString  int64 // names inside strings
	escapes   int   // backslashes before their quotes
	decoded   int64 // records that base64 hid
	own       bool  // the document begins as CloudTrail's own; no mapped record was met
	looked    int64 // up to here mapped records have been looked for in it
	far       bool  // the last name in it is far apart; see farApart
	skimming  bool  // the document is only swept; see skim
	met       bool  // it has a name which may be a watched one
	damaged   bool  // the stream's end is unreadable; the inflater reports it
	cut       bool  // the document's end is unreadable, which has been reported
}

// NewScanner returns a Scanner.
func NewScanner() *Scanner { return &Scanner{} }

// Bound sets how many bytes each part from now on may inflate to; 0: 16 GiB.
func (s *Scanner) Bound(inflated int64) { s.most = inflated }

func (s *Scanner) begin(o Origin, v Visitor) {
	s.origin, s.visitor, s.budget = o, v, cmp.Or(s.most, maxInflated)
	s.offset, s.inflated, s.damaged = 0, 0, false
	s.records, s.plain, s.inString, s.decoded = 0, 0, 0, 0
	s.walked, s.raw = 0, maxRecord
	s.restart()
}

// restart readies s for the start of a document.
func (s *Scanner) restart() { s.base = 0; s.forget() }

// forget drops the state of a document.
func (s *Scanner) forget() {
	s.unescaped, s.overlong, s.cut = 0, -1, false
	s.looked, s.far = s.base, false
	s.walk.reset()
	s.hidden.reset()
}

// Scan reads r to its end, plain or compressed, in any envelope, and gives v
// what it finds. Its error is r's own, other than io.EOF; input that cannot
// be read goes to v.Unreadable instead, and what comes before it is still found.
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
		if n >= wholeObject || compression(s.in) == FormUnknown {
			return s.in[:n], false
		}
		s.in = append(s.in, make([]byte, len(s.in))...)
	}
}

// object scans an object that begins with b and goes on in the input.
func (s *Scanner) object(b []byte) {
	s.input.again = b
	f := compression(b)
	if f.skims() && !s.eager {
		s.input.keep(b)
		if s.skimReader(&s.input, f) {
			return
		}
		s.input.rewind()
	}
	if f != FormUnknown {
		_ = s.inflate(&s.input, f) // reports its error
	} else {
		_ = s.streamPieces(&s.input) // Scan returns the input's own error
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

// document scans b, which is all there is of it: plain, compressed or base64.
func (s *Scanner) document(b []byte) {
	s.restart()
	if f := compression(b); f != FormUnknown {
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
	switch {
	case isLines(trimmed):
		s.lines(trimmed, 0, true)
	case s.looksLikeJSON(trimmed):
		s.whole(trimmed)
	}
}

// whole sweeps one JSON document.
func (s *Scanner) whole(w []byte) {
	seen := s.plain
	s.own = beginsAsOwn(w)
	s.sweep(w, 0, true)
	if coded := s.plain == seen; coded || !s.own {
		s.decode(w, 0, true, coded)
	}
	s.finish(w, headOf(w))
	s.count()
}
