package httpin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/mfawatch/mfawatch/processor/trail/inflate"
	"github.com/mfawatch/mfawatch/sources"
)

// maxLayers is how often a body may be compressed.
const maxLayers = 3

// Errors of a body, each of which can never be read.
var (
	errTooLarge  = fmt.Errorf("the body is larger than %d MiB", bodyBytes>>20)
	errInflated  = fmt.Errorf("the body inflates to more than %d MiB", inflatedBytes>>20)
	errDamaged   = errors.New("the body is damaged")
	errLayers    = fmt.Errorf("%w: compressed more than %d times", errDamaged, maxLayers)
	errNoRecords = errors.New("the body is neither JSON nor gzip or zstd of that")
)

// A body is what was posted, inflated as it is read. What it is compressed with
// is known by its begin: what Content-Encoding says is not always so.
type body struct {
	raw    *rawBody
	r      *bufio.Reader
	layers int   // that it is compressed in
	left   int64 // that it may yet inflate to
	close  []func()
	err    error // why it could not be read to its end
	opened error // why it could not even be begun
}

// A rawBody tells the connection's errors from those of the decompressor.
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

// openBody begins to read r, which ends with an http.MaxBytesError where it is
// too large, and may inflate to most bytes. The caller closes what it gets.
func openBody(r io.Reader, most int64) *body {
	b := &body{raw: &rawBody{r: r}, left: most}
	b.r = bufio.NewReaderSize(b.raw, 32<<10)
	for ; ; b.layers++ {
		head, _ := b.r.Peek(4) // an error comes again with the next read
		open := layerOf(head)
		if open == nil {
			return b
		}
		if b.layers == maxLayers {
			b.opened = errLayers
			return b
		}
		inner, err := open(b.r, b)
		if err != nil {
			b.opened = b.cause(err)
			return b
		}
		b.r = bufio.NewReaderSize(inner, 32<<10)
	}
}

// layerOf is what inflates a stream that begins like this, nil where nothing has
// to: what else is compressed is not so as a whole.
func layerOf(head []byte) func(io.Reader, *body) (io.Reader, error) {
	switch sources.Sniff(head) {
	case sources.FormGzip:
		return func(r io.Reader, _ *body) (io.Reader, error) { return inflate.NewReader(r, inflate.Gzip), nil }
	case sources.FormZstd:
		return func(r io.Reader, b *body) (io.Reader, error) {
			z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(mostRoom))
			if err == nil {
				b.close = append(b.close, z.Close)
			}
			return z, err
		}
	}
	return nil
}

// cause is what an error of reading says about the body.
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
	if b.opened != nil {
		b.err = b.opened
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

// begins reports whether it begins as something that may hold records, "" and
// white space included.
func (b *body) begins() bool {
	head, err := b.r.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return true // which comes again with the next read
	}
	return sources.Sniff(sources.TrimHead(head)) != sources.FormUnknown
}

// Close lets go of what inflates it.
func (b *body) Close() {
	for _, f := range b.close {
		f()
	}
}

// unknownCoding is a Content-Encoding that is not read, "" if there is none.
// deflate is zlib, which is read wherever records are.
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

// roomFor is how much memory a request may take.
func roomFor(r *http.Request) int64 {
	if r.ContentLength < 0 || r.Header.Get("Content-Encoding") != "" {
		return mostRoom
	}
	return min(max(r.ContentLength, leastRoom), mostRoom)
}
