package trail

import (
	"errors"
	"io"
)

const (
	// maxKept is how much compressed input is kept while it is skimmed.
	maxKept = 8 << 20
	// keptSize is how long a piece of it is.
	keptSize = 256 << 10
)

// A source is the reader that a scan was given; it keeps its errors apart from those
// of the decompressor.
type source struct {
	r     io.Reader
	again []byte   // to be read once more, before r
	rest  [][]byte // likewise, behind again
	kept  [][]byte // unless nil: all that was read
	size  int      // of it
	n     int64
	end   error // of r
	err   error // the same, other than io.EOF
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.again) > 0 {
		n := copy(p, s.again)
		if s.again = s.again[n:]; len(s.again) == 0 && len(s.rest) > 0 {
			s.again, s.rest[0], s.rest = s.rest[0], nil, s.rest[1:]
		}
		return n, nil
	}
	if s.end != nil {
		return 0, s.end
	}
	n, err := s.r.Read(p)
	s.n += int64(n)
	if s.kept != nil {
		s.add(p[:n])
	}
	if s.end = err; err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// keep keeps b, which has been read, and what is read from now on.
func (s *source) keep(b []byte) { s.kept, s.size = [][]byte{b[:len(b):len(b)]}, len(b) }

// add keeps b.
func (s *source) add(b []byte) {
	s.size += len(b)
	for len(b) > 0 {
		last := len(s.kept) - 1
		if len(s.kept[last]) == cap(s.kept[last]) {
			s.kept = append(s.kept, make([]byte, 0, keptSize))
			last++
		}
		n := min(len(b), cap(s.kept[last])-len(s.kept[last]))
		s.kept[last] = append(s.kept[last], b[:n]...)
		b = b[n:]
	}
}

// rewind has all that was kept read once more, and keeps no more.
func (s *source) rewind() {
	s.again, s.rest, s.kept, s.size = s.kept[0], s.kept[1:], nil, 0
}
