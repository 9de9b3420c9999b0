package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"
)

// errNoRoom fails a fetch of a partition whose batch has no room now. The client
// fetches the batch again.
var errNoRoom = errors.New("the memory for inflated batches is taken")

// inflater inflates the batches of all fetches of a client within one budget. A
// batch takes room from when it is inflated until its records are recycled, or
// until the client forgot them and they were collected.
//
// It is a kgo.Decompressor and a kgo.PoolDecompressBytes.
type inflater struct {
	budget   int
	patience time.Duration // for room
	free     chan *codecs  // one for each batch that may be inflated concurrently

	mu    sync.Mutex
	used  int
	taken map[uintptr]*room // by the address of the inflated bytes
	freed chan struct{}     // closed when used falls
}

// A room is the part of the budget that one batch takes.
type room struct {
	at      uintptr
	bytes   int
	cleanup runtime.Cleanup
}

var (
	_ kgo.Decompressor        = (*inflater)(nil)
	_ kgo.PoolDecompressBytes = (*inflater)(nil)
)

func newInflater(budget int) *inflater {
	i := &inflater{
		budget:   budget,
		patience: 250 * time.Millisecond,
		free:     make(chan *codecs, concurrentInflates),
		taken:    make(map[uintptr]*room),
		freed:    make(chan struct{}),
	}
	for range concurrentInflates {
		i.free <- new(codecs)
	}
	return i
}

// Decompress returns src inflated. Its error is kgo.ErrMaxDecompress for a batch
// that is over a bound or corrupt, of which the client names the offsets, and
// errNoRoom while the budget is taken.
func (i *inflater) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if codec == kgo.CodecNone {
		return src, nil
	}
	c := <-i.free
	defer func() { i.free <- c }()
	inflated, err := c.inflate(src, codec)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", kgo.ErrMaxDecompress, err)
	}
	need := footprint(inflated)
	if len(inflated) > inflatedBatchBytes || need > batchMemory {
		return nil, kgo.ErrMaxDecompress
	}
	if !i.acquire(need) {
		return nil, errNoRoom
	}
	// No smaller object is sure to have its cleanup run.
	out := append(make([]byte, 0, max(16, len(inflated))), inflated...)
	i.occupy(out, need)
	return out, nil
}

// acquire takes n bytes of the budget. It waits for them a little: bytes that the
// client forgot are free once they were collected.
func (i *inflater) acquire(n int) bool {
	deadline := time.After(i.patience)
	for collected := false; ; collected = true {
		i.mu.Lock()
		if i.used+n <= i.budget {
			i.used += n
			i.mu.Unlock()
			return true
		}
		freed := i.freed
		i.mu.Unlock()
		if !collected {
			runtime.GC()
		}
		select {
		case <-freed:
		case <-deadline:
			return false
		}
	}
}

// occupy notes that out takes n bytes of the budget until it is put back or
// collected.
func (i *inflater) occupy(out []byte, n int) {
	r := &room{at: address(out), bytes: n}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.taken[r.at] = r
	r.cleanup = runtime.AddCleanup(unsafe.SliceData(out), i.collected, r)
}

func (i *inflater) collected(r *room) {
	i.mu.Lock()
	if i.taken[r.at] == r { // otherwise the address was given to another batch
		delete(i.taken, r.at)
	}
	i.mu.Unlock()
	i.release(r.bytes)
}

// PutDecompressBytes releases the room of a batch. The client calls it when all
// records of the batch were recycled.
func (i *inflater) PutDecompressBytes(out []byte) {
	i.mu.Lock()
	r := i.taken[address(out)]
	delete(i.taken, address(out))
	i.mu.Unlock()
	if r != nil {
		r.cleanup.Stop()
		i.release(r.bytes)
	}
	runtime.KeepAlive(out)
}

// GetDecompressBytes is not called: the client has an own Decompressor.
func (*inflater) GetDecompressBytes([]byte, kgo.CompressionCodecType) []byte { return nil }

func (i *inflater) release(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.used -= n
	close(i.freed)
	i.freed = make(chan struct{})
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// footprint returns the memory that a batch takes as records: a record without a
// value has 7 bytes in the batch, and a header 2.
func footprint(batch []byte) int {
	n := len(batch)
	for len(batch) > 0 {
		length, used := binary.Varint(batch)
		if used <= 0 || length < 0 || length > int64(len(batch)-used) {
			break
		}
		record := kbin.Reader{Src: batch[used : used+int(length)]}
		record.Int8()        // attributes
		record.Varlong()     // time
		record.Varint()      // offset
		record.VarintBytes() // key
		record.VarintBytes() // value
		headers := record.VarintArrayLen()
		if !record.Ok() {
			break // as the client does
		}
		n += recordMemory + headerMemory*max(0, int(headers))
		batch = batch[used+int(length):]
	}
	return n
}

// The memory of a record and a header themselves.
const (
	recordMemory = int(unsafe.Sizeof(kgo.Record{}) + unsafe.Sizeof(&kgo.Record{}))
	headerMemory = int(unsafe.Sizeof(kgo.RecordHeader{}))
)

// codecs inflates one batch after another into one buffer.
type codecs struct {
	out  []byte
	src  bytes.Reader
	gzip gzip.Reader
	lz4  *lz4.Reader
	zstd *zstd.Decoder
}

var errInflated = fmt.Errorf("more than %d MiB", inflatedBatchBytes>>20)

// inflate returns src inflated, in bytes that are valid until the next call.
func (c *codecs) inflate(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if c.out == nil {
		c.out = make([]byte, 0, inflatedBatchBytes+1) // full: over the bound
	}
	c.src.Reset(src)
	switch codec {
	case kgo.CodecGzip:
		if err := c.gzip.Reset(&c.src); err != nil {
			return nil, err
		}
		return c.read(&c.gzip)
	case kgo.CodecLz4:
		if c.lz4 == nil {
			c.lz4 = lz4.NewReader(nil)
		}
		c.lz4.Reset(&c.src)
		return c.read(c.lz4)
	case kgo.CodecSnappy:
		return c.snappy(src)
	case kgo.CodecZstd:
		if c.zstd == nil {
			var err error
			c.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
			if err != nil {
				return nil, err
			}
		}
		return c.zstd.DecodeAll(src, c.out)
	}
	return nil, fmt.Errorf("unknown compression %d", codec)
}

func (c *codecs) read(from io.Reader) ([]byte, error) {
	for out := c.out; len(out) < cap(out); {
		n, err := from.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errInflated
}

// xerial precedes the blocks that the snappy stream of Java writes. Two versions
// follow, of 4 bytes each, then blocks: their length in 4 bytes, and raw snappy.
const xerial = "\x82SNAPPY\x00"

func (c *codecs) snappy(src []byte) ([]byte, error) {
	const header = len(xerial) + 8
	if len(src) < header || !bytes.HasPrefix(src, []byte(xerial)) {
		return c.block(c.out, src)
	}
	out := c.out
	for src = src[header:]; len(src) > 0; {
		if len(src) < 4 || uint64(binary.BigEndian.Uint32(src)) > uint64(len(src)-4) {
			return nil, io.ErrUnexpectedEOF
		}
		end := 4 + int(binary.BigEndian.Uint32(src))
		var err error
		if out, err = c.block(out, src[4:end]); err != nil {
			return nil, err
		}
		src = src[end:]
	}
	return out, nil
}

// block appends an inflated snappy block to out, within its capacity.
func (c *codecs) block(out, block []byte) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return nil, err
	}
	if n > cap(out)-len(out) {
		return nil, errInflated
	}
	if _, err := s2.Decode(out[len(out):len(out)+n], block); err != nil {
		return nil, err
	}
	return out[:len(out)+n], nil
}
