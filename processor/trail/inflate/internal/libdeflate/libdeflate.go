//go:build libdeflate && cgo

package libdeflate

/*
#cgo LDFLAGS: -ldeflate
#include <libdeflate.h>
*/
import "C"

import "unsafe"

// A Decoder inflates single gzip members.
type Decoder struct {
	d   *C.struct_libdeflate_decompressor
	got C.size_t
}

// New returns a Decoder, which is never freed.
func New() *Decoder { return &Decoder{d: C.libdeflate_alloc_decompressor()} }

// Gunzip inflates src into dst and returns how many bytes came out, or -1.
func (d *Decoder) Gunzip(dst, src []byte) int {
	if C.libdeflate_gzip_decompress(d.d, unsafe.Pointer(&src[0]), C.size_t(len(src)),
		unsafe.Pointer(&dst[0]), C.size_t(len(dst)), &d.got) != C.LIBDEFLATE_SUCCESS {
		return -1
	}
	return int(d.got)
}
