//go:build libdeflate && cgo

package trail

/*
#cgo LDFLAGS: -ldeflate
#include <libdeflate.h>
*/
import "C"

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"unsafe"
)

const (
	// wholeObject is how long a compressed object may be to be inflated in one
	// go, and wholeInflated how long what it inflates to. What is longer goes
	// through the stream: half as fast, but within bounds.
	wholeObject   = 4 << 20
	wholeInflated = 32 << 20
)

// memory is how bytes in memory are read: by libdeflate's decompressor, with
// what it inflated last, or as a stream.
type memory struct {
	bytes.Reader
	d       *C.struct_libdeflate_decompressor
	out     []byte
	in, got C.size_t // of the last member; here because what C is given may not be on the stack
}

// inflateBytes scans what b inflates to. Whatever libdeflate does not like
// goes through the stream, which says what is wrong with it.
func (s *Scanner) inflateBytes(b []byte, f format) {
	if f == gzipped && len(b) <= wholeObject && s.inflater.memory.gunzip(b) {
		doc := s.inflater.memory.out
		if int64(len(doc)) <= s.budget {
			s.budget -= int64(len(doc))
			s.inflatedDocument(doc)
			return
		}
	}
	r := &s.inflater.memory.Reader
	r.Reset(b)
	s.inflate(r, f)
	r.Reset(nil)
}

// gunzip inflates the members in b, one after the other, into z.out.
func (z *memory) gunzip(b []byte) bool {
	if z.d == nil {
		if z.d = C.libdeflate_alloc_decompressor(); z.d == nil {
			return false
		}
		runtime.AddCleanup(z, func(d *C.struct_libdeflate_decompressor) { C.libdeflate_free_decompressor(d) }, z.d)
	}
	if !z.grow(inflatedSize(b)) {
		return false
	}
	n := 0
	for len(b) > 0 {
		room := z.out[n:cap(z.out)]
		if len(room) == 0 {
			if !z.grow(2 * cap(z.out)) {
				return false
			}
			continue
		}
		switch C.libdeflate_gzip_decompress_ex(z.d, unsafe.Pointer(&b[0]), C.size_t(len(b)),
			unsafe.Pointer(&room[0]), C.size_t(len(room)), &z.in, &z.got) {
		case C.LIBDEFLATE_SUCCESS:
			b, n = b[z.in:], n+int(z.got)
		case C.LIBDEFLATE_INSUFFICIENT_SPACE:
			if !z.grow(2 * cap(z.out)) {
				return false
			}
		default:
			return false
		}
	}
	z.out = z.out[:n]
	return true
}

// inflatedSize is what the last member says that it inflates to. It may lie.
func inflatedSize(b []byte) int {
	if len(b) < 18 {
		return 1
	}
	return int(binary.LittleEndian.Uint32(b[len(b)-4:])) + 1
}

// grow makes z.out hold size bytes, unless that is over the bound.
func (z *memory) grow(size int) bool {
	if size > wholeInflated {
		return false
	}
	if size > cap(z.out) {
		bigger := make([]byte, max(size, 256<<10))
		copy(bigger, z.out[:cap(z.out)])
		z.out = bigger
	}
	return true
}
