package trail

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// A crumbs is a feed of a few bytes a step, which drops all that it is allowed to.
// Its first step is long.
type crumbs struct {
	doc    []byte
	lo, hi int
	step   func() int
}

func (f *crumbs) full() bool { return true }

func (f *crumbs) more(drop int) (w []byte, dropped int, err error) {
	clear(f.doc[f.lo : f.lo+drop])
	f.lo += drop
	step := f.step()
	if f.hi == 0 {
		step = block // the format is known from that
	}
	f.hi = min(f.hi+step, len(f.doc))
	if f.hi == len(f.doc) {
		err = io.EOF
	}
	return f.doc[f.lo:f.hi:f.hi], drop, err
}

// checkCrumbs holds a scan in crumbs against one in memory.
func checkCrumbs(t *testing.T, seed uint64, doc []byte) {
	t.Helper()
	if c := bytes.TrimSpace(doc); len(c) == 0 || !opens(c[0]) {
		return // nothing is streamed that begins otherwise
	}
	r := rand.New(rand.NewPCG(seed, 29))
	most := 1 + r.IntN(600)
	var whole, streamed found
	s := NewScanner()
	s.ScanBytes(Place("x"), doc, &whole)
	s.begin(Place("x"), &streamed)
	if err := s.stream(&crumbs{doc: bytes.Clone(doc), step: func() int { return 1 + r.IntN(most) }}); err != nil {
		t.Fatal(err)
	}
	if a, b := whole.summary(), streamed.summary(); a != b {
		t.Fatalf("in memory\n%sin up to %d bytes a step (seed %d)\n%sin the end of a document, %q", a, most, seed, b, doc[max(0, len(doc)-4<<10):])
	}
}

func FuzzCrumbs(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, shape(rand.New(rand.NewPCG(seed, 31))))
	}
	f.Fuzz(func(t *testing.T, seed uint64, doc []byte) {
		if !json.Valid(doc) {
			return // of a damaged document a stream reports more: it walks it in any case
		}
		checkCrumbs(t, seed, slices.Concat([]byte(`["`+strings.Repeat("a", block)+`",`), doc, []byte(`]`)))
	})
}

// TestCrumbs reads documents in every envelope, with what callers write.
func TestCrumbs(t *testing.T) {
	n := uint64(200)
	if trailtest.Short() {
		n = 50
	}
	names, long := slices.Sorted(maps.Keys(envelopes)), strings.Repeat("a", block)
	for seed := range n {
		r := rand.New(rand.NewPCG(seed, 37))
		checkCrumbs(t, seed, slices.Concat([]byte(`["`+long+`",`), shape(r), []byte(`]`)))
		var line bytes.Buffer
		json.Compact(&line, shape(r))
		values := []string{quoted(forgeries[r.IntN(len(forgeries))]), line.String()}
		records := []string{`{"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","eventID":"e","userAgent":"` + long + `"}`}
		for _, c := range callsOf(r) {
			records = append(records, c.record(r, values))
		}
		doc := []byte(envelopes[names[seed%uint64(len(names))]](records))
		checkCrumbs(t, seed, doc)
	}
}
