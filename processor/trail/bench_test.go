package trail

import (
	"bytes"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// discard counts events and unreadable parts.
type discard struct{ events, unreadable int }

func (d *discard) Event(*Event)          { d.events++ }
func (d *discard) Unreadable(Unreadable) { d.unreadable++ }

// BenchmarkSweep compares the sweep with one bare bytes.Index pass over the
// same bytes, for the key and for the needle with which such a pass is fastest,
// and with a gjson walk of each record.
func BenchmarkSweep(b *testing.B) {
	doc := trailtest.New(1).Object(10000, 0)
	for name, needle := range map[string]string{"index": `ventName"`, "fastest": "Name"} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			needle := []byte(needle)
			for b.Loop() {
				for w := doc; ; {
					i := bytes.Index(w, needle)
					if i < 0 {
						break
					}
					w = w[i+len(needle):]
				}
			}
		})
	}
	b.Run("mfawatch", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		s, v := NewScanner(), new(discard)
		for b.Loop() {
			s.ScanBytes(Place("bench"), doc, v)
		}
	})
	b.Run("gjson", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		for b.Loop() {
			gjson.Get(view(doc), "Records").ForEach(func(_, r gjson.Result) bool {
				return r.Get("eventName").Str != "" && r.Get("eventSource").Str != ""
			})
		}
	})
}

// objects are compressed ones as CloudTrail delivers them: one that is big, a
// few of a megabyte, and many with eight records.
func objects(size string) (objects [][]byte, inflated int64) {
	m := trailtest.New(2)
	count, records := 1, 40000
	switch size {
	case "middle":
		count, records = 4, 8000
	case "small":
		count, records = 2000, 8
	}
	for range count {
		doc := m.Object(records, 0)
		objects = append(objects, trailtest.Gzip(doc))
		inflated += int64(len(doc))
	}
	return objects, inflated
}

// BenchmarkCores scans many objects, with as many scanners as there are cores:
// to be run with -cpu 1,2.
func BenchmarkCores(b *testing.B) {
	objects, total := objects("small")
	b.SetBytes(total / int64(len(objects)))
	var next atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		s, v := NewScanner(), new(discard)
		var r bytes.Reader
		for pb.Next() {
			r.Reset(objects[next.Add(1)%int64(len(objects))])
			s.Scan(Place("bench"), &r, v)
		}
	})
}

// BenchmarkRecord parses watched records, found and proven.
func BenchmarkRecord(b *testing.B) {
	doc := trailtest.New(1).Deactivate()
	s := NewScanner()
	v := new(discard)
	s.begin(Place("bench"), v)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		s.record(doc, 0)
	}
	if v.events == 0 {
		b.Fatal("no event")
	}
}
