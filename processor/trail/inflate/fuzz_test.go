package inflate

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"testing"
)

// FuzzInput inflates whatever bytes there are, in each format.
func FuzzInput(f *testing.F) {
	for _, h := range hostile {
		f.Add(h.data(), byte(Raw), []byte{0, 1, 9})
	}
	for _, format := range []Format{Raw, Gzip, Zlib} {
		f.Add(compress([]byte("one and one and one"), format, 9), byte(format), []byte{3})
	}
	s := newHarness(f)
	f.Fuzz(func(t *testing.T, b []byte, format byte, sizes []byte) {
		if len(b) <= 8<<10 && len(sizes) <= 16 {
			s.check(t, b, Format(format%3), sizes)
		}
	})
}

// FuzzCompressed inflates what a compressor wrote, as it is and with one byte
// changed or everything from there on missing.
func FuzzCompressed(f *testing.F) {
	f.Add([]byte("one and one and one"), uint16(1), byte(0), uint16(0), byte(0), []byte{3})
	f.Add([]byte{0}, uint16(2000), byte(1), uint16(9), byte(1), []byte{200, 0})
	f.Add([]byte(`{"eventName":"CheckMfa"}`), uint16(20000), byte(29), uint16(40), byte(77), []byte{255})
	s := newHarness(f)
	f.Fuzz(func(t *testing.T, text []byte, times uint16, how byte, at uint16, change byte, sizes []byte) {
		if len(text) == 0 || len(text)*int(times) > 600<<10 || len(sizes) > 16 {
			return
		}
		// Each repetition differs, or the whole would be one copy.
		var plain []byte
		for i := range int(times) {
			plain = append(plain, text...)
			plain[len(plain)-1] ^= byte(i * i >> 3)
		}
		format := Format(how % 3)
		b := compress(plain, format, int(how/3)%12-2)
		if how >= 128 && format == Gzip {
			b = append(b, compress(text, format, 6)...)
			plain = append(plain, text...)
		}
		if len(b) > len(s.in) {
			return
		}
		switch {
		case change == 0:
			if out, err := s.check(t, b, format, sizes); err != nil || !bytes.Equal(out, plain) {
				t.Fatalf("%d bytes, %v instead of %d", len(out), err, len(plain))
			}
			return
		case change == 1:
			b = b[:int(at)%len(b)]
			if _, err := s.check(t, b, format, sizes); err == nil && len(b) == 0 {
				t.Fatal("nothing is no error")
			}
			return
		}
		b[int(at)%len(b)] ^= change
		s.check(t, b, format, sizes)
	})
}

// compress compresses plain; levels are those of package flate.
func compress(plain []byte, f Format, level int) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch f {
	case Gzip:
		w, err = gzip.NewWriterLevel(&b, level)
	case Zlib:
		w, err = zlib.NewWriterLevel(&b, level)
	default:
		w, err = flate.NewWriter(&b, level)
	}
	if err != nil {
		panic(err)
	}
	if _, err := w.Write(plain); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}
