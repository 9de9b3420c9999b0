package inflate

import (
	"bytes"
	"compress/gzip"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// header is a gzip member with every field that a header may have.
func header(t *testing.T, text string) []byte {
	b := []byte{0x1f, 0x8b, 8, flagHeaderSum | flagExtra | flagName | flagComment, 1, 2, 3, 4, 0, 255}
	b = append(b, 5, 0)
	b = append(b, "extra"...)
	b = append(b, "name\x00"...)
	b = append(b, "comment\x00"...)
	sum := crc32.ChecksumIEEE(b)
	b = append(b, byte(sum), byte(sum>>8))
	b = append(b, compress([]byte(text), Gzip, 6)[10:]...)
	if z, err := gzip.NewReader(bytes.NewReader(b)); err != nil || z.Name != "name" {
		t.Fatal(err)
	}
	return b
}

func TestEveryFieldOfAHeader(t *testing.T) {
	s := newHarness(t)
	whole := header(t, "text")
	if out, err := s.check(t, whole, Gzip, []byte{1}); err != nil || string(out) != "text" {
		t.Fatalf("%q, %v", out, err)
	}
	for n := range whole {
		if _, err := s.check(t, whole[:n], Gzip, []byte{1}); !errors.Is(err, ErrTruncated) {
			t.Errorf("cut at %d: %v", n, err)
		}
		if n < 3 {
			continue
		}
		two := append(bytes.Clone(whole), whole[:n]...)
		if out, err := s.check(t, two, Gzip, []byte{1}); !errors.Is(err, ErrTruncated) || !strings.HasPrefix(string(out), "text") {
			t.Errorf("the second member cut at %d: %q, %v", n, out, err)
		}
	}
	sums := len(whole) - len(compress([]byte("text"), Gzip, 6)) + 10 - 2
	for n := 4; n < sums; n++ {
		b := bytes.Clone(whole)
		b[n] ^= 0x20
		if _, err := s.check(t, b, Gzip, nil); err == nil {
			t.Errorf("byte %d changed: no error", n)
		}
	}
}

func TestLongTextsInAHeader(t *testing.T) {
	plain := compress([]byte("text"), Gzip, 6)
	plain[3] = flagExtra | flagName
	b := append(bytes.Clone(plain[:10]), 0xff, 0xff)
	b = append(b, make([]byte, 0xffff)...)
	b = append(b, strings.Repeat("n", 200<<10)+"\x00"...)
	b = append(b, plain[10:]...)
	var d Decoder
	out, err := d.Append(nil, b, Gzip, most)
	streamed, streamErr := io.ReadAll(NewReader(iotest.HalfReader(bytes.NewReader(b)), Gzip))
	if err != nil || streamErr != nil || string(out) != "text" || string(streamed) != "text" {
		t.Errorf("%q, %v; %q, %v", out, err, streamed, streamErr)
	}
}

func TestMembersAndBehindThem(t *testing.T) {
	s := newHarness(t)
	one, two, empty := compress([]byte("one"), Gzip, 6), compress([]byte("two"), Gzip, 0), compress(nil, Gzip, 6)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	wrong := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[len(b)-at]++
		return b
	}
	for name, test := range map[string]struct {
		in  []byte
		f   Format
		out string
		err error
	}{
		"nothing":                         {nil, Gzip, "", ErrTruncated},
		"no gzip":                         {[]byte(`{"Records":[]}`), Gzip, "", ErrCorrupt},
		"another method":                  {[]byte("\x1f\x8b\x07\x00\x00\x00\x00\x00\x00\x00"), Gzip, "", ErrCorrupt},
		"two members":                     {join(one, two), Gzip, "onetwo", nil},
		"empty members":                   {join(empty, one, empty, two, empty), Gzip, "onetwo", nil},
		"a copy reaches no earlier one":   {join(one, one[:10], fixed().code(1, 7).code(0, 5).end().data()), Gzip, "one", ErrCorrupt},
		"nor far from the end":            {join(one, one[:10], fixed().code(1, 7).code(0, 5).end().data(), make([]byte, 100)), Gzip, "one", ErrCorrupt},
		"zeros behind":                    {join(one, make([]byte, 512)), Gzip, "one", ErrGarbage},
		"one zero behind":                 {join(one, make([]byte, 1)), Gzip, "one", ErrGarbage},
		"text behind":                     {join(one, []byte("this is no member")), Gzip, "one", ErrGarbage},
		"the beginning of a member":       {join(one, two[:7]), Gzip, "one", ErrTruncated},
		"a wrong sum":                     {join(wrong(one, 8), two), Gzip, "one", ErrChecksum},
		"a wrong length":                  {join(one, wrong(two, 1)), Gzip, "onetwo", ErrChecksum},
		"zlib":                            {compress([]byte("one"), Zlib, 6), Zlib, "one", nil},
		"zlib with bytes behind":          {join(compress([]byte("one"), Zlib, 6), []byte{0}), Zlib, "one", ErrGarbage},
		"zlib with a wrong sum":           {wrong(compress([]byte("one"), Zlib, 6), 1), Zlib, "one", ErrChecksum},
		"zlib with a dictionary":          {[]byte("\x78\xbb\x00\x00\x00\x00"), Zlib, "", ErrCorrupt},
		"zlib with a larger window":       {[]byte("\x88\x1c\x03\x00\x00\x00\x00\x01"), Zlib, "", ErrCorrupt},
		"zlib with a wrong check":         {[]byte("\x78\x9d\x03\x00\x00\x00\x00\x01"), Zlib, "", ErrCorrupt},
		"zlib cut in its sum":             {compress([]byte("one"), Zlib, 6)[:10], Zlib, "one", ErrTruncated},
		"a length that lies, and no data": {join(one[:10], []byte("\x06\x00\x00\x00\x00\xff\xff\xff\xff")), Gzip, "", ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := s.check(t, test.in, test.f, []byte{1, 2}); string(out) != test.out || !errors.Is(err, test.err) {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
}

// TestCutAtEveryByte cuts an object at every byte of it, and compares every
// library on some of the cuts, and on the object with a bit changed there.
func TestCutAtEveryByte(t *testing.T) {
	s := newHarness(t)
	doc := trailtest.New(1).Object(3, 0)
	for _, level := range []int{0, 1, 6, -2} {
		for _, f := range []Format{Raw, Gzip, Zlib} {
			b := compress(doc, f, level)
			before := 0
			for n := range len(b) {
				in := s.in[len(s.in)-n:]
				copy(in, b)
				out, err := s.decoder[n%2].Append(s.out[:0], in, f, most)
				if !errors.Is(err, ErrTruncated) || !bytes.HasPrefix(doc, out) || len(out) < before {
					t.Fatalf("level %d, cut at %d: %v after %d bytes", level, n, err, len(out))
				}
				before = len(out)
				if n%(len(b)/25) != 0 {
					continue
				}
				s.check(t, b[:n], f, []byte{7})
				changed := bytes.Clone(b)
				changed[n] ^= 1 << (n % 8)
				s.check(t, changed, f, []byte{7})
			}
		}
	}
}

// TestDistances copies from every distance up to 70 and from the largest ones,
// in every length, in all forms.
func TestDistances(t *testing.T) {
	s := newHarness(t)
	r := rand.New(rand.NewPCG(1, 2))
	start := make([]byte, history)
	for i := range start {
		start[i] = byte(r.Uint32())
	}
	for distance := 1; distance <= history; distance++ {
		if distance == 71 {
			distance = history - 3
		}
		w := raw().stored(0, string(start)).bits(1, 1).bits(1, 2)
		symbol := 0
		for symbol < 29 && distanceSymbols[symbol+1].value() <= distance {
			symbol++
		}
		e := distanceSymbols[symbol]
		for length := 257; length < 286; length++ {
			extra := int(literalSymbols[length].used())
			for _, more := range []uint{0, 1<<extra - 1} {
				if length < 280 {
					w.code(uint(length-256), 7)
				} else {
					w.code(0xc0+uint(length-280), 8)
				}
				w.bits(more, extra).code(uint(symbol), 5).bits(uint(distance-e.value()), int(e.used()))
			}
		}
		if _, err := s.check(t, w.end().data(), Raw, []byte{50}); err != nil {
			t.Fatalf("distance %d: %v", distance, err)
		}
	}
}

func TestErrorOfTheInput(t *testing.T) {
	broken := errors.New("broken")
	b := compress(trailtest.New(1).Object(400, 0), Gzip, 6)
	for _, n := range []int{0, 1, 9, 10, len(b) / 2, len(b) - 1, len(b)} {
		want, _ := new(Decoder).Append(nil, b[:n], Gzip, most)
		z := NewReader(io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(broken)), Gzip)
		for range 2 {
			out, err := io.ReadAll(z)
			if !errors.Is(err, broken) || !bytes.Equal(out, want) {
				t.Errorf("broken at %d: %d bytes instead of %d, %v", n, len(out), len(want), err)
			}
			want = nil // the error stays
		}
	}
	if _, err := NewReader(portionsOfNothing{}, Gzip).Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

type portionsOfNothing struct{}

func (portionsOfNothing) Read([]byte) (int, error) { return 0, nil }

// TestNext mixes the ways to read.
func TestNext(t *testing.T) {
	doc := trailtest.New(1).Object(1000, 0)
	z := NewReader(bytes.NewReader(compress(doc, Gzip, 6)), Gzip)
	var got []byte
	head := make([]byte, 10)
	if n, err := io.ReadFull(z, head); n != 10 || err != nil {
		t.Fatal(err)
	}
	got = append(got, head...)
	for {
		b, err := z.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
		got = append(got, b...)
		if _, err := z.Read(nil); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, doc) {
		t.Errorf("%d bytes instead of %d", len(got), len(doc))
	}
	if iotest.TestReader(NewReader(bytes.NewReader(compress(doc, Gzip, 6)), Gzip), doc) != nil {
		t.Error("it is no reader as others are")
	}
}

func TestAllocations(t *testing.T) {
	object := compress(trailtest.New(1).Object(8, 0), Gzip, 6)
	large := compress(trailtest.New(1).Object(800, 0), Zlib, 6)
	var d Decoder
	var z Reader
	var in bytes.Reader
	var buffer []byte
	inflate := func() {
		for _, b := range []struct {
			b []byte
			f Format
		}{{object, Gzip}, {large, Zlib}, {object[:100], Gzip}, {object[10:], Raw}} {
			buffer, _ = d.Append(buffer[:0], b.b, b.f, most)
			in.Reset(b.b)
			z.Reset(&in, b.f)
			z.WriteTo(io.Discard)
		}
	}
	if n := testing.AllocsPerRun(10, inflate); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestMemory inflates 2 GB.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it inflates 2 GB")
	}
	part := compress(bytes.Repeat([]byte(`{"eventName":"Decrypt"},`), 1<<20), Gzip, 6)
	parts := 85
	if !trailtest.Whole() {
		parts = 20
	}
	var in []io.Reader
	for range parts {
		in = append(in, bytes.NewReader(part))
	}
	runtime.GC()
	debug.FreeOSMemory()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := NewReader(io.MultiReader(in...), Gzip).WriteTo(io.Discard)
	runtime.ReadMemStats(&after)
	if want := int64(parts) * 24 << 20; n != want || err != nil {
		t.Errorf("%d bytes instead of %d, %v", n, want, err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes allocated", grown)
	}
}

// TestLimit refuses a bomb, whatever it says of its size.
func TestLimit(t *testing.T) {
	bomb := compress(make([]byte, 64<<20), Gzip, 9)
	for _, said := range []string{"", "\x00\x00\x00\x00", "\xff\xff\xff\xff"} {
		b := append(bytes.Clone(bomb[:len(bomb)-len(said)]), said...)
		var d Decoder
		out, err := d.Append(nil, b, Gzip, 1<<20)
		if !errors.Is(err, ErrTooLarge) || len(out) != 1<<20 || cap(out) > 1<<20+2*Slack {
			t.Errorf("%d bytes in %d, %v", len(out), cap(out), err)
		}
	}
	for _, limit := range []int{-1, 0} {
		var d Decoder
		if out, err := d.Append(nil, bomb, Gzip, limit); !errors.Is(err, ErrTooLarge) || len(out) > 0 {
			t.Errorf("limit %d: %d bytes, %v", limit, len(out), err)
		}
		if out, err := d.Append(nil, compress(nil, Gzip, 9), Gzip, limit); err != nil || len(out) > 0 {
			t.Errorf("limit %d of nothing: %v", limit, err)
		}
	}
	var d Decoder
	if out, err := d.Append(nil, bomb, Gzip, int(^uint(0)>>1)); err != nil || len(out) != 64<<20 {
		t.Errorf("without a limit: %d bytes, %v", len(out), err)
	}
}
