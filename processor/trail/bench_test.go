package trail

import (
	"bytes"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/tidwall/gjson"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// discard counts what it is told.
type discard struct{ events, unreadable int }

func (d *discard) Event(*Event)          { d.events++ }
func (d *discard) Unreadable(Unreadable) { d.unreadable++ }

// reader hides what else a reader can do: objects come from files and sockets.
type reader struct{ io.Reader }

// BenchmarkSweep compares the sweep with one bare bytes.Index pass over the
// same bytes and with a gjson walk of each record.
func BenchmarkSweep(b *testing.B) {
	doc := trailtest.New(1).Object(10000, 0)
	b.Run("index", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		for b.Loop() {
			for w := doc; ; {
				i := bytes.Index(w, nameNeedle)
				if i < 0 {
					break
				}
				w = w[i+len(nameNeedle):]
			}
		}
	})
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

// BenchmarkGzip compares scanning compressed objects with inflating them into
// nothing.
func BenchmarkGzip(b *testing.B) {
	m := trailtest.New(2)
	sizes := map[string][][]byte{"big": {trailtest.Gzip(m.Object(40000, 0))}}
	for range 2000 {
		sizes["small"] = append(sizes["small"], trailtest.Gzip(m.Object(8, 0)))
	}
	for _, size := range []string{"big", "small"} {
		objects := sizes[size]
		var total, packed int64
		for _, o := range objects {
			z, err := gzip.NewReader(bytes.NewReader(o))
			if err != nil {
				b.Fatal(err)
			}
			n, _ := io.Copy(io.Discard, z)
			total += n
			packed += int64(len(o))
		}
		b.Logf("%s: %d objects, %.1f:1, %d bytes inflated each", size, len(objects), float64(total)/float64(packed), total/int64(len(objects)))
		b.Run(size+"/inflate", func(b *testing.B) {
			b.SetBytes(total)
			var z gzip.Reader
			var r bytes.Reader
			for b.Loop() {
				for _, o := range objects {
					r.Reset(o)
					if err := z.Reset(reader{&r}); err != nil {
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
			for b.Loop() {
				for _, o := range objects {
					r.Reset(o)
					s.Scan(Place("bench"), reader{&r}, v)
				}
			}
		})
	}
}

// BenchmarkMatches compares objects with one match in a hundred records with
// objects without.
func BenchmarkMatches(b *testing.B) {
	for _, kind := range []string{"plain", "gzip"} {
		for _, every := range []struct {
			name string
			n    int
		}{{"none", 0}, {"hundredth", 100}} {
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
