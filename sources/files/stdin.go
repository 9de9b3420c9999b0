package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Bounds on what is held of a stream.
const (
	blockBytes    = 64 << 10 // size of one read
	batchBytes    = 1 << 20  // of documents in one delivery, where so many are there
	documentBytes = 4 << 20  // of one document; a longer one is streamed
)

// A stream reads input that may be endless, such as standard input. The documents that
// are there are one delivery, which waits for no others: they gather while it is
// handled.
type stream struct {
	f      *Source
	place  string // what origins say
	ctx    context.Context
	handle processor.Handler
	blocks <-chan block

	held  []byte // read and not offered yet
	at    int64  // where held begins in the stream
	seen  int    // how much of held was looked at
	ends  []int  // of the whole documents in held
	split splitter
	err   error // why no more is to be read; io.EOF at the end
}

// A block is the result of one read.
type block struct {
	b   []byte
	err error
}

// blocks reads r until it ends or ctx is done. A read under way then
// cannot be interrupted: its bytes are lost with the process.
func blocks(ctx context.Context, r io.Reader) <-chan block {
	out := make(chan block, 4)
	go func() {
		for {
			b := make([]byte, blockBytes)
			n, err := r.Read(b)
			select {
			case out <- block{b[:n], err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return out
}

// stream delivers the documents of r to h, until the end of r or ctx is done. Compressed
// input is one document, and so one delivery. The error says that r cannot be read, or
// that h refused a document that cannot be read again.
func (f *Source) stream(ctx context.Context, place string, r io.Reader, h processor.Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := &stream{f: f, place: place, ctx: ctx, handle: h, blocks: blocks(ctx, r)}
	for e.err == nil && (len(e.held) < 2 || len(e.held) < 4 && (e.held[0] == 0x28 || e.held[0] == 'P')) { // zstd, zip
		e.take(true)
	}
	if trail.Sniff(e.held).Compressed() {
		return e.long(true)
	}
	for e.ctx.Err() == nil {
		for e.err == nil && (len(e.ends) == 0 && len(e.held) <= documentBytes || len(e.ends) > 0 && len(e.held) < batchBytes) {
			e.findDocuments()
			if !e.take(len(e.ends) == 0) {
				break
			}
		}
		e.findDocuments()
		if e.err != nil {
			e.endLast()
		}
		switch {
		case len(e.ends) > 0:
			e.offer()
		case e.err != nil:
			return e.ended()
		case len(e.held) > documentBytes:
			if err := e.long(false); err != nil {
				return err
			}
		}
	}
	return e.last()
}

// last handles the documents that had arrived when ctx was done.
func (e *stream) last() error {
	for range cap(e.blocks) + 1 {
		e.take(false)
	}
	e.findDocuments()
	if errors.Is(e.err, io.EOF) {
		e.endLast()
	}
	if len(e.ends) == 0 {
		return nil
	}
	if err := e.deliver(); err != nil {
		return fmt.Errorf("%s: what had come at the end could not be handled: %w", e.place, err)
	}
	return nil
}

// take adds the next block to the held bytes, and reports whether there was one. With
// wait set it waits for it.
func (e *stream) take(wait bool) bool {
	var b block
	select {
	case b = <-e.blocks:
	default:
		if !wait {
			return false
		}
		select {
		case b = <-e.blocks:
		case <-e.ctx.Done():
			e.err = e.ctx.Err()
			return false
		}
	}
	e.held, e.err = append(e.held, b.b...), b.err
	return true
}

// findDocuments finds the documents in the held bytes.
func (e *stream) findDocuments() {
	for e.seen < len(e.held) {
		n, ended := e.split.next(e.held[e.seen:])
		e.seen += n
		if ended && e.seen > e.end() {
			e.ends = append(e.ends, e.seen)
		}
	}
}

// endLast makes a document of the last bytes, which have no end.
func (e *stream) endLast() {
	if len(bytes.TrimSpace(e.held[e.end():])) > 0 {
		e.ends = append(e.ends, len(e.held))
	}
}

// end is where the last whole document ends.
func (e *stream) end() int {
	if len(e.ends) == 0 {
		return 0
	}
	return e.ends[len(e.ends)-1]
}

// offer delivers the complete documents until the handler acknowledges them.
func (e *stream) offer() {
	if e.f.retryUntilAcked(e.ctx, e.place, e.deliver) {
		e.drop(e.end())
	}
}

// deliver hands them over once. A delivery under way goes on to its end when
// ctx is done.
func (e *stream) deliver() error {
	return e.f.deliver(context.WithoutCancel(e.ctx), e.handle, documents(e.place, e.at, e.held, e.ends))
}

// documents yields each document of b as a part of its own, so that a bad one
// does no harm to its neighbours.
func documents(place string, at int64, b []byte, ends []int) iter.Seq2[processor.Part, error] {
	return func(yield func(processor.Part, error) bool) {
		from := 0
		for _, end := range ends {
			doc := bytes.TrimLeft(b[from:end], "\x00")
			if !yield(processor.Part{Origin: trail.At(place, at+int64(end-len(doc))), Bytes: doc}, nil) {
				return
			}
			from = end
		}
	}
}

// drop forgets the first n bytes, which are done with.
func (e *stream) drop(n int) {
	e.at += int64(n)
	e.held = e.held[:copy(e.held, e.held[n:])]
	e.seen = max(0, e.seen-n)
	e.ends = e.ends[:0]
}

// long delivers the present document as a stream, or with everything set all that
// follows. It cannot be delivered again.
func (e *stream) long(everything bool) error {
	body := &longBody{e: e, everything: everything, ready: len(e.held)}
	err := e.f.deliver(e.ctx, e.handle, processor.One(processor.Part{Origin: trail.At(e.place, e.at), Body: body}))
	switch {
	case e.ctx.Err() != nil:
		return nil
	case e.err != nil && !errors.Is(e.err, io.EOF):
		return e.ended()
	case err != nil:
		return fmt.Errorf("%s, which cannot be read again: %w", e.place, err)
	}
	return nil
}

// ended returns the verdict on the end of the stream.
func (e *stream) ended() error {
	if errors.Is(e.err, io.EOF) || e.ctx.Err() != nil {
		return nil
	}
	return unreadable(e.place, e.err)
}

// A longBody reads a document that is too long to be held.
type longBody struct {
	e          *stream
	everything bool // that is to come, whatever it is
	ready      int  // so much of what is held belongs to it
	last       bool // and no more
}

func (b *longBody) Read(p []byte) (int, error) {
	e := b.e
	for b.ready == 0 {
		switch {
		case b.last:
			return 0, io.EOF
		case len(e.held) > 0 && b.everything:
			b.ready = len(e.held)
		case len(e.held) > 0:
			b.ready, b.last = e.split.next(e.held)
			e.seen = b.ready
		case e.err != nil:
			return 0, e.err
		default:
			e.take(true)
		}
	}
	n := copy(p, e.held[:b.ready])
	b.ready -= n
	e.drop(n)
	return n, nil
}

// An opening opens a file with the first read, which waits for a writer if it is
// a pipe. It is closed by the read that ends it, or by leave.
type opening struct {
	path string
	mu   sync.Mutex
	file *os.File
	left bool
}

func (o *opening) Read(p []byte) (int, error) {
	o.mu.Lock()
	f := o.file
	o.mu.Unlock()
	if f == nil {
		var err error
		if f, err = os.Open(o.path); err != nil {
			return 0, err
		}
		o.mu.Lock()
		o.file = f
		if o.left {
			_ = f.Close()
		}
		o.mu.Unlock()
	}
	return f.Read(p)
}

// leave closes the file. A read that waits in it ends; one that waits for a
// writer closes what it gets.
func (o *opening) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left = true
	if o.file != nil {
		_ = o.file.Close()
	}
}
