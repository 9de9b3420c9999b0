//go:build unix

package trail

import (
	"bytes"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/mfawatch/mfawatch/processor/trail/inflate"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// reader hides what else a reader can do: objects come from files and sockets.
type reader struct{ io.Reader }

// cpu returns the processor time that the process has taken: unlike the time of
// day it hardly depends on what else the machine does.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRatio takes turns with two ways to do the same, and reports how much
// processor time the second takes for that of the first.
func BenchmarkRatio(b *testing.B) {
	ratio := func(name string, first, second func()) {
		b.Run(name, func(b *testing.B) {
			var spent [2]time.Duration
			first() // both have their memory from now on
			second()
			for b.Loop() {
				for i, f := range [...]func(){first, second} {
					start := cpu(b)
					f()
					spent[i] += cpu(b) - start
				}
			}
			b.ReportMetric(spent[1].Seconds()/spent[0].Seconds(), "ratio")
		})
	}
	var in bytes.Reader
	var z inflate.Reader
	var decoder inflate.Decoder
	var klauspost gzip.Reader
	out := make([]byte, 0, inCache+inflate.Slack)
	s, v := NewScanner(), new(discard)
	scan := func(docs ...[]byte) func() {
		return func() {
			for _, doc := range docs {
				in.Reset(doc)
				if _, err := s.Scan(Place("bench"), reader{&in}, v); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	memory := func(doc []byte) func() { return func() { s.ScanBytes(Place("bench"), doc, v) } }
	for _, size := range []string{"big", "middle", "small"} {
		objects, _ := objects(size)
		bare := func() {
			for _, o := range objects {
				if saidSize(o, FormGzip) <= inCache {
					out, _ = decoder.Append(out[:0], o, inflate.Gzip, inCache)
					continue
				}
				in.Reset(o)
				z.Reset(&in, inflate.Gzip)
				z.WriteTo(io.Discard)
			}
		}
		ratio("inflate/"+size, bare, func() {
			for _, o := range objects {
				in.Reset(o)
				if err := klauspost.Reset(&in); err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, &klauspost)
			}
		})
		ratio("scan/"+size, scan(objects...), bare)
	}
	none, hundredth := trailtest.New(3).Object(10000, 0), trailtest.New(3).Object(10000, 100)
	ratio("matches/plain", memory(none), memory(hundredth))
	ratio("matches/gzip", memory(trailtest.Gzip(none)), memory(trailtest.Gzip(hundredth)))
	ratio("sweep", memory(none), func() {
		for w := none; ; {
			_, rest, ok := bytes.Cut(w, []byte(`ventName"`))
			if !ok {
				break
			}
			w = rest
		}
	})
	for _, kind := range []struct{ name, decoy string }{{"objects", `{"eventName":"CheckMfa"},`}, {"strings", `"{\"eventName\":\"CheckMfa\"}",`}} {
		for _, where := range []string{"behind", "before"} {
			decoys := decoyed(kind.decoy, where)
			ratio("decoys/"+kind.name+"/"+where, memory(bytes.ReplaceAll(decoys, []byte("CheckMfa"), []byte("CheckMfx"))), memory(decoys))
		}
	}
}

// decoyed is four watched records, the first of which has 2,500 decoys among its
// parameters, behind or before the members that mark it.
func decoyed(decoy, where string) []byte {
	m := trailtest.New(5)
	list := `"requestParameters":{"values":[` + strings.Repeat(decoy, 2500) + `0]`
	first := string(m.Deactivate())
	if where == "before" {
		first = `{` + list + `},` + first[1:]
	} else {
		first = strings.Replace(first, `"requestParameters":{`, list+`,`, 1)
	}
	records := []string{first, string(m.Deactivate()), string(m.Deactivate()), string(m.Deactivate())}
	return []byte(`{"Records":[` + strings.Join(records, ",") + `]}`)
}
