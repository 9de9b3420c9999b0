//go:build !libdeflate || !cgo

package trail

// wholeObject is how long an object may be to be read into memory whole: most
// are no longer, and the decompressor is faster so.
const wholeObject = 64 << 10

// deflater is libdeflate's, which this build is without.
type deflater struct{}

// inflateBytes scans what b inflates to.
func (s *Scanner) inflateBytes(b []byte, f format) {
	s.inflater.memory.Reset(b)
	s.inflate(&s.inflater.memory, f)
	s.inflater.memory.Reset(nil)
}
