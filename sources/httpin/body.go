package httpin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/inflate"
)

// maxLayers is how often a body may be compressed.
const maxLayers = 3

// Errors of a body, each permanent.
var (
	errTooLarge  = fmt.Errorf("the body is larger than %d MiB", bodyBytes>>20)
	errInflated  = fmt.Errorf("the body inflates to more than %d MiB", inflatedBytes>>20)
	errDamaged   = errors.New("the body is damaged")
	errLayers    = fmt.Errorf("%w: compressed more than %d times", errDamaged, maxLayers)
	errNoRecords = errors.New("the body is neither JSON nor gzip or zstd of that")
)

// A body is the posted data, inflated as it is read. Its first bytes decide its
// compression, since Content-Encoding may be wrong.
type body struct {
	raw    *rawBody
	r      *bufio.Reader
	layers int   // of compression
	left   int64 // bytes that it may still inflate to
	close  []func()
	err    error // why it cannot be read to its end
}

// A rawBody distinguishes errors of the connection from those of the decompressor.
type rawBody struct {
	r   io.Reader
	err error
}

func (b *rawBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			b.err = errTooLarge
		}
	}
	return n, err
}

// openBody starts to read r, which ends with an http.MaxBytesError if it is too
// large. The body may inflate to most bytes. The caller closes it.
func openBody(r io.Reader, most int64) *body {
	b := &body{raw: &rawBody{r: r}, left: most}
	var inner io.Reader = b.raw
	for ; ; b.layers++ {
		b.r = bufio.NewReaderSize(inner, 32<<10)
		head, _ := b.r.Peek(4) // the next read returns the error again
		form := trail.Sniff(head)
		switch {
		case form != trail.FormGzip && form != trail.FormZlib && form != trail.FormZstd:
			return b
		case b.layers == maxLayers:
			b.err = errLayers
			return b
		case form == trail.FormGzip:
			inner = inflate.NewReader(b.r, inflate.Gzip)
		case form == trail.FormZlib:
			inner = inflate.NewReader(b.r, inflate.Zlib)
		default:
			z, err := zstd.NewReader(b.r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxReserve))
			if err != nil {
				b.err = b.cause(err)
				return b
			}
			inner, b.close = z, append(b.close, z.Close)
		}
	}
}

// cause returns the error of the body behind an error of a read.
func (b *body) cause(err error) error {
	switch {
	case b.raw.err != nil:
		return b.raw.err
	case errors.Is(err, errInflated):
		return err
	}
	return fmt.Errorf("%w: %w", errDamaged, err)
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}

	n, err := b.r.Read(p)
	b.left -= int64(n)
	switch {
	case b.left < 0:
		b.err = errInflated
	case err == nil, errors.Is(err, io.EOF):
		return n, err
	default:
		b.err = b.cause(err)
	}
	return n, b.err
}

// begins reports whether the first bytes may hold records. An empty body and white
// space may.
func (b *body) begins() bool {
	head, err := b.r.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return true // the next read returns the error again
	}
	return trail.Sniff(head) != trail.FormUnknown
}

// archive reports whether the body is a zip archive.
func (b *body) archive() bool {
	head, _ := b.r.Peek(4) // the next read returns the error again
	return trail.Sniff(head) == trail.FormZip
}

// Close frees the decompressors.
func (b *body) Close() {
	for _, f := range b.close {
		f()
	}
}

// unknownCoding returns the first unsupported Content-Encoding, "" if there is
// none. deflate is zlib.
func unknownCoding(h http.Header) string {
	for _, value := range h.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(value, ",") {
			switch coding = strings.ToLower(strings.TrimSpace(coding)); coding {
			case "", "identity", "gzip", "x-gzip", "deflate", "zstd":
			default:
				return coding
			}
		}
	}
	return ""
}

// reserveFor returns how much memory a request reserves.
func reserveFor(r *http.Request) int64 {
	if r.ContentLength < 0 || r.Header.Get("Content-Encoding") != "" {
		return maxReserve
	}
	return min(max(r.ContentLength, minReserve), maxReserve)
}
