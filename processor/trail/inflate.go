package trail

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
)

// An inflater keeps decompressors between objects: most objects are so small
// that making one would cost more than using it.
type inflater struct {
	gzip     *gzip.Reader
	zlib     io.ReadCloser
	buffered *bufio.Reader
	memory   memory // for what lies in memory
}

// buffer readies z.buffered for r.
func (z *inflater) buffer(r io.Reader) {
	if z.buffered == nil {
		z.buffered = bufio.NewReaderSize(r, readSize)
	}
	z.buffered.Reset(r)
}

// inflate scans what r inflates to, as a stream. The decompressors are fast
// for a *bytes.Reader and a *bufio.Reader.
func (s *Scanner) inflate(r io.Reader, f format) {
	z, err := s.inflater.open(r, f)
	if err == nil {
		err = s.stream(z)
	}
	if err == nil || s.input.err != nil || errors.Is(err, errTooInflated) {
		return
	}
	s.unreadable(0, inflateReason(err, s.inflated), fmt.Errorf("inflate: %w", err), nil)
}

// open readies the decompressor for r.
func (z *inflater) open(r io.Reader, f format) (io.Reader, error) {
	var err error
	switch {
	case f == gzipped:
		if z.gzip == nil {
			z.gzip = new(gzip.Reader)
		}
		return z.gzip, z.gzip.Reset(r)
	case z.zlib == nil:
		z.zlib, err = zlib.NewReader(r)
	default:
		err = z.zlib.(zlib.Resetter).Reset(r, nil)
	}
	return z.zlib, err
}

// inflateReason names what is wrong with compressed data.
func inflateReason(err error, inflated int64) Reason {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ReasonTruncated
	case errors.Is(err, gzip.ErrHeader) && inflated > 0:
		return ReasonGarbage // members follow each other; this is none
	}
	return ReasonCorrupt
}
