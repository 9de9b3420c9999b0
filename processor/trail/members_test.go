package trail

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// TestMembersThroughTheWindow has documents of several members, cut or whole, that
// are longer than a step of the inflater, skimmed first or not: what is found is
// what is found in as much of the document as they inflate to.
func TestMembersThroughTheWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	m := trailtest.New(6)
	s := NewScanner()
	rounds := 30
	if trailtest.Short() {
		rounds = 10
	}
	for n := range rounds {
		long := `{"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","eventID":"e","requestParameters":{"a":"` + strings.Repeat(`\\\"}{`, r.IntN(60_000)) + `"}}`
		doc := bytes.Replace(m.Object(300+r.IntN(300), 1+r.IntN(200)), []byte(`{"eventVersion"`), []byte(long+`,{"eventVersion"`), 1+r.IntN(3))
		if r.IntN(3) == 0 {
			doc = m.Object(600, 0)
		}
		var object []byte
		for rest := doc; ; {
			cut := min(len(rest), r.IntN(400_000))
			object = append(object, trailtest.Gzip(rest[:cut])...)
			if rest = rest[cut:]; len(rest) == 0 {
				break
			}
		}
		if r.IntN(2) == 0 {
			object = object[:len(object)-1-r.IntN(len(object)/2)]
		}
		var inflated bytes.Buffer
		z, err := gzip.NewReader(bytes.NewReader(object))
		if err == nil {
			_, err = io.Copy(&inflated, z)
		}
		var want, got, again found
		s.ScanBytes(Place("x"), inflated.Bytes(), &want)
		s.eager = r.IntN(2) == 0
		if _, err := s.Scan(Place("x"), iotest.HalfReader(bytes.NewReader(object)), &got); err != nil {
			t.Fatal(err)
		}
		s.ScanBytes(Place("x"), object, &again)
		if got.names() != want.names() || again.names() != want.names() || (err == nil) != (got.reasons() == "") {
			t.Errorf("document %d, %v: %d events, unreadable %s, in memory %d, plain %d", n, err, len(got.events), got.reasons(), len(again.events), len(want.events))
		}
	}
}
