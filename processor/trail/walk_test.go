package trail

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// depths is the reference for a walk: how many objects are open at each byte of
// doc, string by string and byte by byte; -1 inside a string.
func depths(doc []byte) []int {
	at, depth, inText := make([]int, len(doc)), 0, false
	for i := 0; i < len(doc); i++ {
		at[i] = depth
		switch c := doc[i]; {
		case inText && c == '\\':
			at[i] = -1
			if i++; i < len(doc) {
				at[i] = -1
			}
		case inText:
			at[i] = -1
			inText = c != '"'
		case c == '"':
			inText = true
		case c == '{':
			depth++
		case c == '}':
			depth--
		}
	}
	return at
}

// checkWalk holds a walk that stops at each key of doc, and one that also drops
// what it can behind it, against the reference.
func checkWalk(t *testing.T, doc []byte) {
	t.Helper()
	if !json.Valid(doc) {
		return
	}
	want := depths(doc)
	depth := func(k *walk) int { return len(k.stack) + k.within }
	var one, dropping walk
	one.reset()
	dropping.reset()
	dropped := 0
	for q, c := range doc {
		if c != '"' || want[q] < 0 || q+1 == len(doc) || behind[doc[q+1]] {
			continue // no quote that surely opens a string
		}
		one.to(doc, q, false)
		if one.cut() || one.sure > q || depth(&one) != want[q] {
			t.Fatalf("at %d: %d objects open, want %d, in %s", q, depth(&one), want[q], doc)
		}
		n := min(dropping.needs(doc[dropped:q+2], q-dropped), q-dropped)
		dropping.drop(n)
		dropped += n
		if depth(&dropping) != want[q] {
			t.Fatalf("at %d, with %d dropped: %d objects open, want %d, in %s", q, dropped, depth(&dropping), want[q], doc)
		}
	}
	if open := one.finish(doc); open || one.loose {
		t.Fatalf("at the end an object is open, or one too many closed, in %s", doc)
	}
}

func FuzzWalk(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(shape(rand.New(rand.NewPCG(seed, 17))))
	}
	for _, doc := range []string{
		`{"a":"{",",b":"}","c}":{"":"x}"},"d":[1,{"}":true}],"e":"}{"}`, `[{},{"a":{}},"{}","{ ","}"]`,
		"{\n  \"a\": {\n    \"b\": \"{\\\"\"\n  }\n}", `{"a":"\\"}`, `{"a":"\\\"}"}`, `"}"`, `[[{"a":[]}],"]}",{ "b":"]},"}]`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(checkWalk)
}

func TestWalk(t *testing.T) {
	alphabet := []string{`{`, `}`, `"`, `,`, `:`, `[`, `]`, ` `, "\n", `\`, `a`, `\"`, `1`, `{}`, `"}`, `{"`}
	r := rand.New(rand.NewPCG(1, 19))
	n := 30000
	if trailtest.Short() {
		n = 3000
	}
	var text func(depth int) string
	text = func(depth int) string {
		switch k := r.IntN(6); {
		case k < 2 || depth == 0:
			var s strings.Builder
			for range r.IntN(5) {
				s.WriteString(alphabet[r.IntN(len(alphabet))])
			}
			return quoted(s.String())
		case k == 2:
			return []string{"1", "true", "null", "{}", "[]"}[r.IntN(5)]
		case k == 3:
			return "[" + text(depth-1) + "," + text(depth-1) + "]"
		}
		return "{" + text(0) + ":" + text(depth-1) + "," + text(0) + ":" + text(depth-1) + "}"
	}
	for range n {
		doc := text(4)
		if !strings.HasPrefix(doc, `"`) && json.Valid([]byte(doc)) {
			if checkWalk(t, []byte(doc)); r.IntN(4) == 0 {
				checkWalk(t, []byte(pretty(doc)))
			}
		}
	}
}

// BenchmarkWalk walks records as CloudTrail writes them.
func BenchmarkWalk(b *testing.B) {
	doc := trailtest.New(1).Object(100, 0) // as it is walked: right behind the sweep
	b.SetBytes(int64(len(doc)))
	var k walk
	for b.Loop() {
		k.reset()
		k.to(doc, len(doc), true)
	}
	if k.within+len(k.stack) != 0 {
		b.Fatal("objects are open at the end")
	}
}

// The work grows as the document does, whatever is in it.
func TestWorkIsLinear(t *testing.T) {
	decoy := `{"eventName":"CheckMfa"}`
	outer := func(arguments string) string {
		return strings.Replace(minimal, `"eventVersion"`, `"requestParameters":[`+arguments+`],"eventVersion"`, 1)
	}
	for name, make := range map[string]func(n int) string{
		"decoys":            func(n int) string { return outer(strings.Repeat(decoy+",", n) + "1") },
		"decoys in strings": func(n int) string { return outer(strings.Repeat(quoted(decoy)+",", n) + "1") },
		"in one string":     func(n int) string { return `{"a":"` + strings.Repeat(`\"eventName\":\"CheckMfa\",`, n) + `"}` },
		"nested": func(n int) string {
			return strings.Repeat(`{"eventName":"CheckMfa","a":`, n) + "1" + strings.Repeat("}", n)
		},
		"nested, in lists": func(n int) string {
			return "[" + strings.Repeat(strings.Repeat(`{"eventName":"CheckMfa","a":`, 200)+"1"+strings.Repeat("}", 200)+",", n/100) + "1]"
		},
		"names in one":       func(n int) string { return `{` + strings.Repeat(`"eventName":"CheckMfa",`, n) + `"x":1}` },
		"names, open":        func(n int) string { return `{` + strings.Repeat(`"eventName":"CheckMfa",`, n) },
		"braces in strings":  func(n int) string { return outer(`"` + strings.Repeat("}, { ", n) + `",` + decoy) },
		"strings of braces":  func(n int) string { return outer(strings.Repeat(`"},","{",`, n) + decoy) },
		"no braces":          func(n int) string { return outer(strings.Repeat(`"",1,`, n) + decoy) },
		"watched records":    func(n int) string { return "[" + strings.Repeat(minimal+",", n/10) + minimal + "]" },
		"in unknown wrapper": func(n int) string { return `{"x":{"y":[` + strings.Repeat(minimal+",", n/10) + minimal + "]}}" },
	} {
		var before int64
		for n := 500; n <= 8000; n *= 2 {
			doc := []byte(make(n))
			for how, r := range map[string]func(s *Scanner){
				"in memory": func(s *Scanner) { s.ScanBytes(Place("hostile"), doc, new(discard)) },
				"streamed":  func(s *Scanner) { s.Scan(Place("hostile"), bytes.NewReader(doc), new(discard)) },
			} {
				s := NewScanner()
				r(s)
				if s.walked > 4*int64(len(doc)) {
					t.Errorf("%s, %s: %d bytes walked for %d", name, how, s.walked, len(doc))
				}
				before = s.walked
			}
		}
		if before == 0 {
			t.Errorf("%s: nothing was walked", name)
		}
	}
}

func TestEscapesAreLinear(t *testing.T) {
	for _, run := range []string{`\u005c`, `\\`, `\u0065`, `\u005cu0065`, `NNNN\u003c`, `\u0030`} {
		doc := []byte(`{"a":"` + strings.Repeat(run, (1<<20)/len(run)) + `"}`)
		best := time.Hour
		for range 3 { // other programs use the machine, too
			started := time.Now()
			NewScanner().ScanBytes(Place("hostile"), doc, new(discard))
			best = min(best, time.Since(started))
		}
		if best > 600*time.Millisecond {
			t.Errorf("%s: %s for a MiB", run, best)
		}
	}
}
