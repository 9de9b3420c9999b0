package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"
)

func compressed(t *testing.T, codec kgo.CompressionCodec, src []byte) []byte {
	t.Helper()
	c, err := kgo.DefaultCompressor(codec)
	if err != nil {
		t.Fatal(err)
	}
	out, _ := c.Compress(new(bytes.Buffer), src)
	return bytes.Clone(out)
}

// blocks is src as the snappy stream of Java writes it.
func blocks(src []byte) []byte {
	out := append([]byte(xerial), 0, 0, 0, 1, 0, 0, 0, 1)
	for len(src) > 0 {
		n := min(32<<10, len(src))
		block := s2.EncodeSnappy(nil, src[:n])
		out = binary.BigEndian.AppendUint32(out, uint32(len(block)))
		out = append(out, block...)
		src = src[n:]
	}
	return out
}

// Every codec inflates what is within the bound, and refuses what is over it, cut
// or corrupt, with the error that makes the client name the offsets.
func TestInflate(t *testing.T) {
	wide, err := zstd.NewWriter(nil, zstd.WithWindowSize(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		codec    kgo.CompressionCodecType
		compress func([]byte) []byte
	}{
		"gzip":                     {kgo.CodecGzip, func(b []byte) []byte { return compressed(t, kgo.GzipCompression(), b) }},
		"snappy":                   {kgo.CodecSnappy, func(b []byte) []byte { return compressed(t, kgo.SnappyCompression(), b) }},
		"snappy of Java":           {kgo.CodecSnappy, blocks},
		"lz4":                      {kgo.CodecLz4, func(b []byte) []byte { return compressed(t, kgo.Lz4Compression(), b) }},
		"zstd":                     {kgo.CodecZstd, func(b []byte) []byte { return compressed(t, kgo.ZstdCompression(), b) }},
		"zstd with a large window": {kgo.CodecZstd, func(b []byte) []byte { return wide.EncodeAll(b, nil) }},
	} {
		t.Run(name, func(t *testing.T) {
			i := newInflater(inflatedBytes)
			for _, n := range []int{1, 15, 70_000, inflatedBatchBytes} {
				src := bytes.Repeat([]byte{'x'}, n)
				got, err := i.Decompress(c.compress(src), c.codec)
				if err != nil || !bytes.Equal(got, src) {
					t.Fatalf("%d bytes: %d bytes, %v", n, len(got), err)
				}
				i.PutDecompressBytes(got)
			}
			small := c.compress([]byte(strings.Repeat("mfawatch ", 9000)))
			for what, src := range map[string][]byte{
				"one byte over the bound": c.compress(make([]byte, inflatedBatchBytes+1)),
				"far over the bound":      c.compress(make([]byte, 64<<20)),
				"cut":                     small[:len(small)-9],
				"corrupt":                 bytes.Repeat([]byte{0xa5}, 99),
			} {
				if _, err := i.Decompress(src, c.codec); !errors.Is(err, kgo.ErrMaxDecompress) {
					t.Errorf("%s: %v, want %v", what, err, kgo.ErrMaxDecompress)
				}
			}
			if i.used != 0 || len(i.taken) != 0 {
				t.Errorf("%d bytes of the budget taken by %d batches", i.used, len(i.taken))
			}
		})
	}
}

// A batch of records that are small by themselves is bounded by the memory that
// they take.
func TestBatchOfTinyRecords(t *testing.T) {
	tiny := []byte{12, 0, 0, 0, 1, 1, 0}                // neither key nor value
	headers := []byte{20, 0, 0, 0, 1, 1, 4, 0, 0, 0, 0} // two headers of 2 bytes
	for name, tt := range map[string]struct {
		batch []byte
		want  int
	}{
		"records": {bytes.Repeat(tiny, 1000), 1000 * (7 + recordMemory)},
		"headers": {bytes.Repeat(headers, 1000), 1000 * (11 + recordMemory + 2*headerMemory)},
		"cut":     {tiny[:3], 3},
	} {
		if got := footprint(tt.batch); got != tt.want {
			t.Errorf("%s: %d bytes, want %d", name, got, tt.want)
		}
	}
	_, err := newInflater(inflatedBytes).Decompress(compressed(t, kgo.ZstdCompression(), bytes.Repeat(tiny, 1<<20)), kgo.CodecZstd)
	if !errors.Is(err, kgo.ErrMaxDecompress) {
		t.Errorf("a million records of 7 bytes: %v, want %v", err, kgo.ErrMaxDecompress)
	}
}

// Batches that were put back, or that the client forgot, free their room; a batch
// without room fails its fetch for now.
func TestInflateBudget(t *testing.T) {
	i := newInflater(3 << 20)
	i.patience = time.Minute
	src := compressed(t, kgo.ZstdCompression(), make([]byte, 1<<20-8192))
	inflate := func() []byte {
		t.Helper()
		out, err := i.Decompress(src, kgo.CodecZstd)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	need := footprint(make([]byte, 1<<20-8192))
	i.budget = 3 * need
	kept := [][]byte{inflate(), inflate()}
	for range 20 {
		inflate() // forgotten
	}
	i.PutDecompressBytes(kept[0])
	kept[0] = inflate()
	kept = append(kept, inflate())
	i.patience = time.Millisecond
	if _, err := i.Decompress(src, kgo.CodecZstd); !errors.Is(err, errNoRoom) {
		t.Errorf("a fourth batch: %v, want %v", err, errNoRoom)
	}
	for _, out := range kept {
		i.PutDecompressBytes(out)
	}
	runtime.GC()
	if i.used != 0 || len(i.taken) != 0 {
		t.Errorf("%d bytes of the budget taken by %d batches in the end", i.used, len(i.taken))
	}
}
