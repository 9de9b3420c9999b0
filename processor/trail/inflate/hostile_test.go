package inflate

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// A bitWriter writes DEFLATE data by hand.
type bitWriter struct {
	b []byte
	n int // bits
}

// bits writes the lowest n bits of v, the lowest first.
func (w *bitWriter) bits(v uint, n int) *bitWriter {
	for i := range n {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(v>>i&1) << (w.n % 8)
		w.n++
	}
	return w
}

// code writes a code of n bits, the highest first.
func (w *bitWriter) code(v uint, n int) *bitWriter {
	for i := range n {
		w.bits(v>>(n-1-i), 1)
	}
	return w
}

// bytes writes whole bytes, from the next border on.
func (w *bitWriter) bytes(s string) *bitWriter {
	w.b = append(w.b, s...)
	w.n = 8 * len(w.b)
	return w
}

func (w *bitWriter) data() []byte { return w.b }

func raw() *bitWriter { return new(bitWriter) }

// fixed begins a last block with the fixed codes.
func fixed() *bitWriter { return raw().bits(1, 1).bits(1, 2) }

// end ends a block with the fixed codes.
func (w *bitWriter) end() *bitWriter { return w.code(0, 7) }

// stored writes a stored block.
func (w *bitWriter) stored(final uint, s string) *bitWriter {
	w.bits(final, 1).bits(0, 2)
	n := len(s)
	return w.bytes(string([]byte{byte(n), byte(n >> 8), ^byte(n), ^byte(n >> 8)}) + s)
}

// dynamic begins a last block with codes of these lengths, each of which is
// written with four bits.
func (w *bitWriter) dynamic(literals, distances []uint8) *bitWriter {
	w.bits(1, 1).bits(2, 2).bits(uint(len(literals)-257), 5).bits(uint(len(distances)-1), 5).bits(15, 4)
	for _, symbol := range order {
		if symbol < 16 {
			w.bits(4, 3)
		} else {
			w.bits(0, 3)
		}
	}
	for _, n := range append(append([]uint8{}, literals...), distances...) {
		w.code(uint(n), 4)
	}
	return w
}

// lengths makes the lengths of n codes, of pairs of symbol and length.
func lengths(n int, pairs ...int) []uint8 {
	l := make([]uint8, n)
	for i := 0; i < len(pairs); i += 2 {
		l[pairs[i]] = uint8(pairs[i+1])
	}
	return l
}

// ladder makes the lengths 1, 2, … 14, 15, 15 of the symbols from on.
func ladder(n, from int) []uint8 {
	l := lengths(n)
	for i := range 15 {
		l[from+i] = uint8(i + 1)
	}
	l[from+15] = 15
	return l
}

// aOrEnd is a code in which 0 is an "a" and 1 the end of the block.
var aOrEnd = lengths(257, 'a', 1, 256, 1)

// hostile are streams that a compressor does not write, or hardly ever.
var hostile = []struct {
	name string
	*bitWriter
	err error // nil if it is valid
	out string
}{
	{"nothing", raw(), ErrTruncated, ""},
	{"a block of no kind", raw().bits(7, 3).bytes("12345678"), ErrCorrupt, ""},
	{"fixed and empty", fixed().end(), nil, ""},
	{"bits behind the end", fixed().end().bits(63, 6), nil, ""},
	{"bytes behind the end", fixed().end().bytes("\x00"), ErrGarbage, ""},
	{"no last block", raw().stored(0, "abc"), ErrTruncated, "abc"},
	{"stored blocks of nothing", raw().stored(0, "").stored(0, "").stored(1, ""), nil, ""},
	{"stored, then a copy from it", raw().stored(0, "abc").bits(1, 1).bits(1, 2).code(1, 7).code(2, 5).end(), nil, "abcabc"},
	{"stored of the largest size", raw().stored(1, strings.Repeat("x", 65535)), nil, strings.Repeat("x", 65535)},
	{"stored with a wrong complement", raw().bits(1, 3).bytes("\x03\x00\xfc\xfeabc"), ErrCorrupt, ""},
	{"stored without its size", raw().bits(1, 3).bytes("\x03\x00\xfc"), ErrTruncated, ""},
	{"stored and cut", raw().bits(1, 3).bytes("\x09\x00\xf6\xffabc"), ErrTruncated, "abc"},
	{"a copy before the start", fixed().code(1, 7).code(0, 5).end(), ErrCorrupt, ""},
	{"a copy from the start", fixed().code(0x30+'a', 8).code(1, 7).code(0, 5).end(), nil, "aaaa"},
	{"a copy from one before the start", fixed().code(0x30+'a', 8).code(1, 7).code(1, 5).end(), ErrCorrupt, "a"},
	{"a copy from far before the start", fixed().code(0x30+'a', 8).code(1, 7).code(29, 5).bits(8191, 13).end(), ErrCorrupt, "a"},
	{"the length 286", fixed().code(0x30+'a', 8).code(0xc6, 8).code(0, 5).end(), ErrCorrupt, "a"},
	{"the length 287", fixed().code(0x30+'a', 8).code(0xc7, 8).code(0, 5).end(), ErrCorrupt, "a"},
	{"the distance 30", fixed().code(0x30+'a', 8).code(1, 7).code(30, 5).end(), ErrCorrupt, "a"},
	{"the distance 31", fixed().code(0x30+'a', 8).code(1, 7).code(31, 5).end(), ErrCorrupt, "a"},
	{"287 literals", raw().dynamic(append(aOrEnd, make([]uint8, 30)...), lengths(1)).code(1, 1), ErrCorrupt, ""},
	{"31 distances", raw().dynamic(aOrEnd, lengths(31)).code(1, 1), ErrCorrupt, ""},
	{"no distance", raw().dynamic(aOrEnd, lengths(1)).code(0, 1).code(1, 1), nil, "a"},
	{"no distance, and a copy", raw().dynamic(lengths(258, 'a', 1, 256, 2, 257, 2), lengths(1)).code(0, 1).code(3, 2).bits(0, 9), ErrCorrupt, "a"},
	{"one distance", raw().dynamic(lengths(258, 'a', 1, 256, 2, 257, 2), lengths(1, 0, 1)).code(0, 1).code(3, 2).bits(0, 1).code(2, 2), nil, "aaaa"},
	{"one distance, and another", raw().dynamic(lengths(258, 'a', 1, 256, 2, 257, 2), lengths(1, 0, 1)).code(0, 1).code(3, 2).bits(1, 1).code(2, 2), ErrCorrupt, "a"},
	{"one distance of two bits", raw().dynamic(aOrEnd, lengths(1, 0, 2)).code(1, 1), ErrCorrupt, ""},
	{"distances with a gap", raw().dynamic(aOrEnd, lengths(2, 0, 1, 1, 2)).code(1, 1), ErrCorrupt, ""},
	{"too many distances", raw().dynamic(aOrEnd, lengths(3, 0, 1, 1, 1, 2, 1)).code(1, 1), ErrCorrupt, ""},
	{"no literal", raw().dynamic(lengths(257), lengths(1)).bits(0, 30), ErrCorrupt, ""},
	{"only an end", raw().dynamic(lengths(257, 256, 1), lengths(1)).code(0, 1), nil, ""},
	{"only an end, and something else", raw().dynamic(lengths(257, 256, 1), lengths(1)).code(1, 1), ErrCorrupt, ""},
	{"literals with a gap", raw().dynamic(lengths(257, 'a', 1, 256, 2), lengths(1)).code(1, 1), ErrCorrupt, ""},
	{"too many literals", raw().dynamic(lengths(257, 'a', 1, 'b', 1, 256, 2), lengths(1)).code(1, 1), ErrCorrupt, ""},
	{"too many literals of 15 bits", raw().dynamic(append(ladder(256, 0), 15), lengths(1)).code(1, 1), ErrCorrupt, ""},
	{"no end", raw().dynamic(lengths(257, 'a', 1, 'b', 1), lengths(1)).bits(2, 8), ErrTruncated, "ab" + strings.Repeat("a", 12)},
	{"codes of all lengths", raw().dynamic(ladder(258, 256-14), ladder(16, 0)).bits(0, 50).bits(0, 50).bits(0, 50).
		code(0x3ffe, 14).code(0x7fff, 15).code(0x7ffe, 15).bits(0, 6).code(0x7ffe, 15), nil,
		strings.Repeat("\xf2", 150) + "\xff\xf2\xf2\xf2"},
	{"too many codes of the precode", raw().bits(1, 1).bits(2, 2).bits(0, 14).bits(0o1111, 12).bits(0, 40), ErrCorrupt, ""},
	{"a precode with a gap", raw().bits(1, 1).bits(2, 2).bits(0, 14).bits(0o22, 12).bits(0, 40), ErrCorrupt, ""},
	{"no precode", raw().bits(1, 1).bits(2, 2).bits(0, 14).bits(0, 12).bits(0, 40), ErrCorrupt, ""},
	{"a length repeated before the first", raw().bits(1, 1).bits(2, 2).bits(0, 14).bits(0o11, 12).bits(0, 40), ErrCorrupt, ""},
	{"lengths repeated beyond the last", raw().bits(1, 1).bits(2, 2).bits(0, 14).bits(0o1100, 12).bits(^uint(0), 60), ErrCorrupt, ""},
	{"a precode of one bit", raw().bits(1, 1).bits(2, 2).bits(0, 14).bits(0o100, 12).bits(0, 60).bits(0, 60).bits(0, 60).bits(0, 60), ErrCorrupt, ""},
	{"cut in the sizes", raw().bits(1, 1).bits(2, 2).bits(0, 5), ErrTruncated, ""},
	{"cut in the precode", raw().bits(1, 1).bits(2, 2).bits(0, 14).bits(0o11, 7), ErrTruncated, ""},
	{"cut in the lengths", &bitWriter{b: raw().dynamic(aOrEnd, lengths(1)).b[:100]}, ErrTruncated, ""},
}

func TestHostileStreams(t *testing.T) {
	s := newHarness(t)
	s.in = guarded(t, 128<<10)
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			out, err := s.check(t, h.data(), Raw, []byte{0, 1, 2, 30})
			if string(out) != h.out || !errors.Is(err, h.err) {
				t.Errorf("%q, %v instead of %q, %v", out, err, h.out, h.err)
			}
			// Behind a stored block of many bytes, so that the fast loop sees it.
			far := raw().stored(0, strings.Repeat("-", 40))
			far.b = append(far.b, h.data()...)
			s.check(t, far.b, Raw, nil)
			if err == nil {
				s.check(t, append(bytes.Clone(h.data()), make([]byte, 100)...), Raw, nil)
			}
		})
	}
}
