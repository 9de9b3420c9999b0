package trail

import (
	"bytes"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/tidwall/gjson"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// discard counts events and unreadable parts.
type discard struct{ events, unreadable int }

func (d *discard) Event(*Event)          { d.events++ }
func (d *discard) Unreadable(Unreadable) { d.unreadable++ }

// reader hides what else a reader can do: objects come from files and sockets.
type reader struct{ io.Reader }

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

// BenchmarkGzip compares scanning compressed objects with inflating them into
// nothing.
func BenchmarkGzip(b *testing.B) {
	for _, size := range []string{"big", "middle", "small"} {
		objects, total := objects(size)
		b.Run(size+"/inflate", func(b *testing.B) {
			b.SetBytes(total)
			var z gzip.Reader
			var r bytes.Reader
			var in io.Reader = reader{&r}
			for b.Loop() {
				for _, o := range objects {
					r.Reset(o)
					if err := z.Reset(in); err != nil {
						b.Fatal(err)
					}
					io.Copy(io.Discard, &z)
				}
			}
		})
		b.Run(size+"/mfawatch", func(b *testing.B) {
			b.SetBytes(total)
			b.ReportAllocs()
			s, v := NewScanner(), new(discard)
			var r bytes.Reader
			var in io.Reader = reader{&r}
			for b.Loop() {
				for _, o := range objects {
					r.Reset(o)
					s.Scan(Place("bench"), in, v)
				}
			}
		})
	}
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

// BenchmarkMatches compares objects with one match in a hundred records with
// objects without.
func BenchmarkMatches(b *testing.B) {
	for _, kind := range []string{"plain", "gzip"} {
		for _, every := range []struct {
			name string
			n    int
		}{{"none", 0}, {"hundredth", 100}, {"every", 1}} {
			doc := trailtest.New(3).Object(10000, every.n)
			size := int64(len(doc))
			if kind == "gzip" {
				doc = trailtest.Gzip(doc)
			}
			b.Run(kind+"/"+every.name, func(b *testing.B) {
				b.SetBytes(size)
				s, v := NewScanner(), new(discard)
				for b.Loop() {
					s.ScanBytes(Place("bench"), doc, v)
				}
			})
		}
	}
}

// BenchmarkDecoys compares watched records, the first of which has 2,500 look-alikes
// among its parameters, with the same bytes whose look-alikes have other names.
func BenchmarkDecoys(b *testing.B) {
	m := trailtest.New(5)
	records := [][]byte{m.Deactivate(), m.Deactivate(), m.Deactivate(), m.Deactivate()}
	for _, kind := range []struct{ name, decoy string }{
		{"objects/without", `{"eventName":"CheckMfx"},`}, {"objects/decoys", `{"eventName":"CheckMfa"},`},
		{"strings/without", `"{\"eventName\":\"CheckMfx\"}",`}, {"strings/decoys", `"{\"eventName\":\"CheckMfa\"}",`},
	} {
		list := []byte(`"requestParameters":{"values":[` + strings.Repeat(kind.decoy, 2500) + `0],`)
		docs := map[string][]byte{
			"behind": bytes.Replace(records[0], []byte(`"requestParameters":{`), list, 1),
			"before": append([]byte(`{"requestParameters":{"values":[`+strings.Repeat(kind.decoy, 2500)+`0]},`), records[0][1:]...),
		}
		for _, where := range []string{"behind", "before"} {
			doc := bytes.Join([][]byte{[]byte(`{"Records":[`), docs[where], bytes.Join(records[1:], []byte(",")), []byte(`]}`)}, nil)
			doc = bytes.Replace(doc, []byte("}{\"eventVersion"), []byte("},{\"eventVersion"), 1)
			b.Run(kind.name+"/"+where, func(b *testing.B) {
				b.SetBytes(int64(len(doc)))
				s, v := NewScanner(), new(discard)
				for b.Loop() {
					s.ScanBytes(Place("bench"), doc, v)
				}
				if v.events == 0 || v.events%len(records) != 0 || v.unreadable > 0 {
					b.Fatalf("%+v", *v)
				}
			})
		}
	}
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
