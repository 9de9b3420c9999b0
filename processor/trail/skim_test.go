package trail

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// A stepwise gives doc in steps of some bytes, with 32 KiB before them. The first is
// long enough for how the document begins.
type stepwise struct {
	doc      []byte
	at, size int
}

func (z *stepwise) Step(int) ([]byte, int, error) {
	lo, hi := max(0, z.at-32<<10), min(max(64, z.at+z.size), len(z.doc))
	fresh := z.at - lo
	if z.at = hi; fresh == hi-lo {
		return z.doc[lo:hi], fresh, io.EOF
	}
	return z.doc[lo:hi], fresh, nil
}

// skimmed reports whether skimming doc is all there is to do, and the records in it.
func (s *Scanner) skimmed(doc []byte, step int) (done bool, records int64) {
	s.begin(Place("x"), new(found))
	done = s.skim(&stepwise{doc: doc, size: step})
	return done, s.records
}

func TestSkimMissesNothing(t *testing.T) {
	m := trailtest.New(4)
	plain := func(n int) string {
		var records []string
		for range n {
			records = append(records, string(m.Record()))
		}
		return strings.Join(records, ",")
	}
	spelt := func(name string) string {
		return strings.Replace(minimal, `"eventName":`, name, 1)
	}
	for name, watched := range map[string]string{
		"as it is":       minimal,
		"spelt":          spelt(`"\u0065ventName":`),
		"spaced":         spelt(`"eventName" : ` + strings.Repeat(" ", 40<<10)),
		"in a string":    `{"message":` + quoted(minimal) + `}`,
		"in one escaped": `{"message":"` + strings.ReplaceAll(minimal, `"`, `\u0022`) + `"}`,
	} {
		doc := []byte(`{"Records":[` + plain(3) + "," + watched + "," + plain(3) + `]}`)
		for step := 1; step < 4<<10; step += 1 + step/7 {
			if done, _ := NewScanner().skimmed(doc, step); done {
				t.Errorf("%s, in steps of %d: it was skimmed", name, step)
			}
		}
	}
	own := `{"Records":[` + plain(40) + `]}`
	for name, doc := range map[string]string{
		"cut": own[:len(own)-1], "another behind": own + "}", "foreign": `{"message":"x",` + own[1:], "no records": `{"Records":[{"eventID":""}]}`,
		"lines": strings.Join([]string{own, own}, "\n"),
	} {
		if done, _ := NewScanner().skimmed([]byte(doc), 64<<10); done {
			t.Errorf("%s: it was skimmed", name)
		}
	}
	for step := 1; step < 4<<10; step += 1 + step/7 {
		if done, records := NewScanner().skimmed([]byte(own+"\n"), step); !done || records != 40 {
			t.Errorf("in steps of %d: %v, %d records", step, done, records)
		}
	}
}

// TestSkimmedObjects has a watched record at the end of objects that are inflated
// whole, that are streamed, and that are longer than what is kept.
func TestSkimmedObjects(t *testing.T) {
	doc := trailtest.New(4).Object(300, 0)
	last := strings.TrimSuffix(string(doc), "]}") + "," + minimal + "]}"
	stored := func(doc []byte) []byte {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.NoCompression)
		z.Write(doc)
		z.Close()
		return b.Bytes()
	}
	filled := func(size int) []byte {
		records := strings.TrimSuffix(strings.TrimPrefix(string(doc), `{"Records":[`), "]}")
		return []byte(`{"Records":[` + strings.Repeat(records+",", size/len(records)) + minimal + "]}")
	}
	failed := errors.New("network")
	for name, object := range map[string][]byte{
		"whole": trailtest.Gzip([]byte(last)), "streamed": trailtest.Gzip(filled(17 << 20)), "kept": stored(filled(3 << 20)), "over the bound": stored(filled(maxKept + 1<<20)),
		"two members": append(trailtest.Gzip([]byte(last[:1000])), trailtest.Gzip([]byte(last[1000:]))...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f found
			stats, err := NewScanner().Scan(Place("x"), iotest.HalfReader(bytes.NewReader(object)), &f)
			if err != nil || len(f.events) != 1 || len(f.unreadable) != 0 || stats.Bytes != int64(len(object)) || stats.Records < 301 {
				t.Errorf("%d events, unreadable %v, %+v, %v", len(f.events), f.unreadable, stats, err)
			}
			f = found{}
			in := io.MultiReader(bytes.NewReader(object[:len(object)-4]), iotest.ErrReader(failed))
			if _, err := NewScanner().Scan(Place("x"), in, &f); !errors.Is(err, failed) || len(f.events) != 1 || len(f.unreadable) != 0 {
				t.Errorf("with an error of the network: %d events, unreadable %v, %v", len(f.events), f.unreadable, err)
			}
			f = found{}
			NewScanner().ScanBytes(Place("x"), object[:len(object)-4], &f)
			if len(f.events) != 1 || f.reasons() != string(ReasonTruncated) {
				t.Errorf("cut: %d events, unreadable %v", len(f.events), f.unreadable)
			}
		})
	}
}
