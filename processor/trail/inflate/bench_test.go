package inflate_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/mfawatch/mfawatch/processor/trail/inflate"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// A set is compressed objects of one size, and what they inflate to in total.
type set struct {
	name    string
	objects [][]byte
	total   int64
	largest int
}

// sets are objects as CloudTrail delivers them: one of 50 MB, a few of a
// megabyte, and many of eight records.
func sets() []set {
	m := trailtest.New(2)
	all := []set{{name: "large"}, {name: "800"}, {name: "8"}}
	for i, shape := range []struct{ objects, records int }{{1, 30000}, {8, 800}, {500, 8}} {
		for range shape.objects {
			doc := m.Object(shape.records, 0)
			all[i].objects = append(all[i].objects, trailtest.Gzip(doc))
			all[i].total += int64(len(doc))
			all[i].largest = max(all[i].largest, len(doc))
		}
	}
	return all
}

// A contender inflates one object.
type contender struct {
	name    string
	inflate func(b *testing.B, object []byte)
}

// contenders are the ways to inflate objects of up to largest bytes.
func contenders(largest int) []contender {
	var decoder inflate.Decoder
	buffer := make([]byte, 0, largest+inflate.Slack)
	var in bytes.Reader
	var reader inflate.Reader
	var klauspost gzip.Reader
	var standard stdgzip.Reader
	stream := func(b *testing.B, object []byte, reset func() error, r io.Reader) {
		in.Reset(object)
		if err := reset(); err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, struct{ io.Reader }{r}); err != nil {
			b.Fatal(err)
		}
	}
	return []contender{
		{"append", func(b *testing.B, object []byte) {
			out, err := decoder.Append(buffer[:0], object, inflate.Gzip, largest)
			if err != nil {
				b.Fatal(err)
			}
			buffer = out
		}},
		{"reader", func(b *testing.B, object []byte) {
			in.Reset(object)
			reader.Reset(&in, inflate.Gzip)
			if _, err := reader.WriteTo(io.Discard); err != nil {
				b.Fatal(err)
			}
		}},
		{"klauspost", func(b *testing.B, object []byte) {
			stream(b, object, func() error { return klauspost.Reset(&in) }, &klauspost)
		}},
		{"standard", func(b *testing.B, object []byte) {
			stream(b, object, func() error { return standard.Reset(&in) }, &standard)
		}},
	}
}

// BenchmarkGunzip inflates gzip objects, checksum included.
func BenchmarkGunzip(b *testing.B) {
	for _, set := range sets() {
		for _, c := range contenders(set.largest) {
			b.Run("size="+set.name+"/by="+c.name, func(b *testing.B) {
				b.SetBytes(set.total)
				b.ReportAllocs()
				for b.Loop() {
					for _, object := range set.objects {
						c.inflate(b, object)
					}
				}
			})
		}
	}
}
