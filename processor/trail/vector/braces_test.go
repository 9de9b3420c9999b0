package vector

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// reference is Braces byte by byte.
func reference(w []byte, blocks []Block, s *State) int {
	inString, escaped := false, false
	n := 0
	for ; n < min((len(w)-1)/Size, len(blocks)); n++ {
		b := Block{}
		for i := range Size {
			c, next := w[n*Size+i], string(w[n*Size+i+1])
			brace := c == '{' || c == '}'
			switch {
			case c == '\n', inString && brace, !inString && c == '\\':
				return n
			case escaped:
				escaped = false
			case c == '\\':
				escaped = true
			case c == '"':
				inString = !inString
			case c == '{':
				if next != `"` && (next != `}` || i == Size-1) {
					return n
				}
				b.Opens |= 1 << i
			case c == '}':
				if !strings.Contains(`,]}`, next) {
					return n
				}
				b.Closes |= 1 << i
			}
		}
		opens, closes := bits.OnesCount64(b.Opens), bits.OnesCount64(b.Closes)
		if s.Depth+opens > s.Most || s.Depth-closes < s.Least {
			return n
		}
		s.Depth += opens - closes
		blocks[n] = b
	}
	return n
}

func check(t *testing.T, w []byte) {
	t.Helper()
	if !Fast {
		t.Skip("the processor lacks the instructions")
	}
	begin := State{Depth: 3, Least: 1, Most: 40}
	var want, got [8]Block
	wanted := begin
	n := reference(w, want[:], &wanted)
	for _, first := range []int{len(got), 1, 3} { // blocks that are found in the first call
		s := begin
		m := Braces(w, got[:first], &s)
		if m == first {
			m += Braces(w[m*Size:], got[m:], &s)
		}
		if m != n || s.Depth != wanted.Depth || !slices.Equal(got[:n], want[:n]) {
			t.Fatalf("%d blocks %x to depth %d, want %d %x to depth %d, in %q", m, got[:m], s.Depth, n, want[:n], wanted.Depth, w)
		}
	}
}

func TestBraces(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	found := 0
	for _, pieces := range [][]string{
		{`"`, `\`, `{"`, `},`, `a`}, {`"`, `\`, `a`}, {`{"`, `",`, `},`, `"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`},
		{`{"`, `"a"}`, `{}`, `}]`, `},`, `},{"`, "aaaaaaa", "aaaaaaa"}, {`{`, `}`}, {`""`, `\\`, `\\\`, `a`}, {`"`, "\xff", "\xa2", "\xfb", "\xdc", "\x02", `{"`},
		{`{"a":"bbbbbbbbbbbbb","c":{}},`, `{"a":["cccccccccccccccccccc"],"d":null},`, `"\\\"",`, `{"e":{"f":[{"g":"\\"}]}},`, `"hhhhhhhhhhhhhhhhhhhhhhhhhh",`},
		{`{"a":"`, `\\`, `\"`, `","b":["`, `"]},`, "aaaaaaaaaaaaa"}, {"aaaaaaaaaaaaaaaaaaaaaaa", `{"`, `"},`, "\n", `}}`, `}"`, `{,`},
	} {
		for range 20_000 {
			var w []byte
			for size := r.IntN(9 * Size); len(w) < size; {
				w = append(w, pieces[r.IntN(len(pieces))]...)
			}
			if len(w) > 0 && r.IntN(2) == 0 {
				w[0] = '"' // so that backslashes come to stand in strings
			}
			check(t, w)
			found += Braces(w, make([]Block, 8), &State{Depth: 20, Most: 64})
		}
	}
	if Fast && found < 30_000 {
		t.Errorf("%d blocks were found: the test tests little", found)
	}
}

func FuzzBraces(f *testing.F) {
	f.Add([]byte(`{"a":"\\\"","b":{"c":"\\"},"d":[{}]},{"a":"\\\"","b":{"c":"\\"},"d":[{}]},{"a":"\\\"","b":{"c":"\\"},"d":[{}]}`))
	f.Add([]byte(strings.Repeat(`{"a":"`+strings.Repeat("b", 50)+`"},`, 9)))
	f.Fuzz(check)
}

// BenchmarkBraces reads records.
func BenchmarkBraces(b *testing.B) {
	const record = `{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::123456789012:user/alice"},"eventTime":"2026-05-01T08:03:11Z"},`
	w := []byte(strings.Repeat(record, 64<<10/len(record)))
	var blocks [1 << 10]Block
	b.SetBytes(int64(len(w)))
	for b.Loop() {
		if n := Braces(w, blocks[:], &State{Most: 64}); n < len(w)/Size-1 {
			b.Fatal(n)
		}
	}
}
