package trail

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/mfawatch/mfawatch/processor/trail/inflate"
)

const (
	// wholeObject is how long a compressed object may be to be read into memory
	// whole, and wholeInflated how long the document within may be to be
	// inflated in one go. Longer ones are streamed.
	wholeObject   = 1 << 20
	wholeInflated = 16 << 20
	// inCache is how long a document may be to be in the processor's cache still
	// when all of it is inflated. Longer ones are skimmed first.
	inCache = 256 << 10
	// maxZstdWindow is how much memory zstd may ask for: its command needs no more
	// below --ultra and --long.
	maxZstdWindow = 8 << 20
)

// An inflater keeps decompressors and their memory between objects: most
// objects are so small that making them would cost more than using them.
type inflater struct {
	decoder inflate.Decoder
	reader  inflate.Reader
	steps   steps // of reader
	zstd    *zstd.Decoder
	memory  bytes.Reader
	doc     []byte // what decoder inflated last
}

// inflateBytes scans the document that b inflates to: in one go, or as a stream
// if it is long or damaged.
func (s *Scanner) inflateBytes(b []byte, f Form) {
	z := &s.inflater
	if f == FormZip {
		s.archive(b)
		return
	}
	limit, size := min(wholeInflated, s.budget), saidSize(b, f)
	isWhole := f != FormZstd && len(b) <= wholeObject && size <= limit
	z.memory.Reset(b)
	defer z.memory.Reset(nil)
	if f.skims() && !s.eager && (!isWhole || size > inCache) && s.skimReader(&z.memory, f) {
		return
	}
	if isWhole {
		var err error
		if z.doc, err = z.decoder.Append(z.doc[:0], b, f.inflates(), int(limit)); err == nil {
			s.budget -= int64(len(z.doc))
			s.met = false
			s.inflatedDocument(z.doc)
			s.eager = s.met && size > inCache
			return
		}
	}
	z.memory.Reset(b)
	_ = s.inflate(&z.memory, f) // reports its error
}

// saidSize returns the size of the document by its last gzip member, which may
// lie.
func saidSize(b []byte, f Form) int64 {
	if f != FormGzip || len(b) < 4 {
		return 0
	}
	return int64(binary.LittleEndian.Uint32(b[len(b)-4:]))
}

// inflate scans the document that r inflates to, as a stream. It returns the
// error that it has reported.
func (s *Scanner) inflate(r io.Reader, f Form) error {
	z := &s.inflater
	var err error
	switch f {
	case FormZip:
		s.readArchive(r)
		return nil
	case FormZstd:
		if z.zstd == nil {
			z.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		}
		if err == nil {
			err = z.zstd.Reset(r)
		}
		if err == nil {
			err = s.streamPieces(z.zstd)
			_ = z.zstd.Reset(nil) // lets go of r
		}
	case FormUnknown:
		err = s.streamPieces(r)
	default:
		z.reader.Reset(r, f.inflates())
		z.steps = steps{z: &z.reader}
		s.met = false
		err = s.stream(&z.steps)
		s.eager = s.met
	}
	if err != nil && s.input.err == nil && !errors.Is(err, errTooInflated) {
		s.unreadable(0, inflateReason(err), err, nil)
	}
	return err
}

// inflates names the format for package inflate.
func (f Form) inflates() inflate.Format {
	if f == FormZlib {
		return inflate.Zlib
	}
	return inflate.Gzip
}

// inflateReason names the defect of compressed data.
func inflateReason(err error) Reason {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF): // so does inflate.ErrTruncated
		return ReasonTruncated
	case errors.Is(err, inflate.ErrGarbage), errors.Is(err, zstd.ErrMagicMismatch):
		return ReasonGarbage
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return ReasonTooLarge
	}
	return ReasonCorrupt
}
