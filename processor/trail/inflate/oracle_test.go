package inflate

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"testing"

	kflate "github.com/klauspost/compress/flate"
	kgzip "github.com/klauspost/compress/gzip"
	kzlib "github.com/klauspost/compress/zlib"
)

// most is the limit of what the tests inflate.
const most = 4 << 20

// library inflates b with the standard library, or with klauspost/compress. It
// returns what is left of b where the format has one stream.
func library(b []byte, f Format, klauspost bool) (out []byte, rest int, err error) {
	r := bytes.NewReader(b)
	var z io.Reader
	switch {
	case f == Raw && klauspost:
		z = kflate.NewReader(r)
	case f == Raw:
		z = flate.NewReader(r)
	case f == Zlib && klauspost:
		z, err = kzlib.NewReader(r)
	case f == Zlib:
		z, err = zlib.NewReader(r)
	case klauspost:
		z, err = kgzip.NewReader(r)
	default:
		z, err = gzip.NewReader(r)
	}
	if err != nil {
		return nil, r.Len(), err
	}
	out, err = io.ReadAll(io.LimitReader(z, most+1))
	return out, r.Len(), err
}

// verdict checks an error of this package against that of the standard library.
func verdict(std, err error, f Format, rest int, b []byte) bool {
	var corrupt flate.CorruptInputError
	switch {
	case std == nil && rest > 0 && f != Gzip:
		return errors.Is(err, ErrGarbage)
	case std == nil:
		return err == nil
	case errors.As(std, &corrupt), errors.Is(std, zlib.ErrDictionary):
		return errors.Is(err, ErrCorrupt)
	case errors.Is(std, gzip.ErrChecksum), errors.Is(std, zlib.ErrChecksum):
		return errors.Is(err, ErrChecksum)
	case errors.Is(std, zlib.ErrHeader):
		return errors.Is(err, ErrCorrupt)
	case errors.Is(std, gzip.ErrHeader):
		// The standard library refuses names of more than 511 bytes.
		return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrGarbage) || errors.Is(err, ErrChecksum) || len(b) > 512
	case errors.Is(std, io.ErrUnexpectedEOF) && f == Gzip && errors.Is(err, ErrGarbage):
		return true // fewer bytes than a header behind the last member
	case errors.Is(std, io.ErrUnexpectedEOF), errors.Is(std, io.EOF):
		// The standard library decodes no symbol where fewer bits are left than
		// the end of the block takes; here it may be seen to be none.
		return errors.Is(err, ErrTruncated) || errors.Is(err, ErrCorrupt)
	}
	return false
}

// A harness holds what check uses again and again.
type harness struct {
	in, out []byte
	decoder [2]Decoder // the second one is careful
	reader  [2]Reader
}

func newHarness(t testing.TB) *harness {
	s := &harness{in: guarded(t, 64<<10), out: guarded(t, most+1)}
	s.decoder[1].m.careful = true
	s.reader[1].m.careful = true
	return s
}

// portions reads b in portions of changing size, among them none.
type portions struct {
	b     []byte
	sizes []byte
	i     int
}

func (p *portions) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := len(b)
	if len(p.sizes) > 0 {
		size := int(p.sizes[p.i%len(p.sizes)])
		n = min(n, size*size)
		if p.i++; size == 0 && p.i%2 == 0 {
			n = 1
		}
	}
	n = copy(b[:n], p.b)
	p.b = p.b[n:]
	return n, nil
}

// check inflates b in every way that there is, and holds that all agree, and
// agree with the libraries. It returns the result of Append.
func (s *harness) check(t *testing.T, b []byte, f Format, sizes []byte) ([]byte, error) {
	t.Helper()
	// Both the input and the output end where memory ends.
	in := s.in[len(s.in)-len(b):]
	copy(in, b)
	out, err := s.decoder[0].Append(nil, in, f, most)
	out = bytes.Clone(out)
	if errors.Is(err, ErrTooLarge) {
		if len(out) != most {
			t.Fatalf("too large with %d bytes", len(out))
		}
		return out, err
	}

	want, rest, std := library(b, f, false)
	if !verdict(std, err, f, rest, b) {
		t.Fatalf("the standard library says %v and leaves %d bytes, this one %v", std, rest, err)
	}
	switch {
	case errors.Is(std, gzip.ErrHeader) && len(b) > 512:
	case errors.Is(std, io.ErrUnexpectedEOF):
		if !bytes.HasPrefix(out, want) || len(out) > len(want)+16 {
			t.Fatalf("the standard library inflates %d bytes before the end, this one %d", len(want), len(out))
		}
	case !bytes.Equal(out, want):
		t.Fatalf("the standard library inflates %d bytes (%v), this one %d (%v)", len(want), std, len(out), err)
	}
	if want, _, other := library(b, f, true); err == nil && (other != nil || !bytes.Equal(out, want)) {
		t.Fatalf("klauspost/compress says %v after %d bytes, this one inflates %d", other, len(want), len(out))
	}

	for i := range s.decoder {
		for _, spare := range []int{0, 1, len(out) / 2, Slack} {
			room := min(len(out)+spare, len(s.out))
			dst := s.out[len(s.out)-room:]
			got, again := s.decoder[i].Append(dst[:0], in, f, most)
			if !bytes.Equal(got, out) || !errors.Is(again, err) {
				t.Fatalf("decoder %d with room for %d bytes: %d bytes (%v) instead of %d (%v)", i, room, len(got), again, len(out), err)
			}
		}
		if len(out) > 0 {
			got, over := s.decoder[i].Append([]byte("before"), in, f, len(out)-1)
			if !errors.Is(over, ErrTooLarge) || string(got) != "before"+string(out[:len(out)-1]) {
				t.Fatalf("decoder %d with a limit of a byte less: %d bytes, %v", i, len(got), over)
			}
		}
		for _, sizes := range [][]byte{nil, sizes} {
			z := &s.reader[i]
			z.Reset(&portions{b: b, sizes: sizes}, f)
			got, again := io.ReadAll(z)
			if !bytes.Equal(got, out) || !errors.Is(again, err) {
				t.Fatalf("reader %d in portions of %v: %d bytes (%v) instead of %d (%v)", i, sizes, len(got), again, len(out), err)
			}
		}
	}
	return out, err
}
