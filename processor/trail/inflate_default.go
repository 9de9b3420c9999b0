//go:build !libdeflate || !cgo

package trail

import "bytes"

// wholeObject is how long an object may be to be read into memory whole: most
// are no longer, and the decompressor is faster so.
const wholeObject = 64 << 10

// memory is how bytes in memory are read.
type memory struct{ bytes.Reader }

// inflateBytes scans what b inflates to.
func (s *Scanner) inflateBytes(b []byte, f format) {
	r := &s.inflater.memory.Reader
	r.Reset(b)
	s.inflate(r, f)
	r.Reset(nil)
}
