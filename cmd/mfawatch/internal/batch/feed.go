package batch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cenkalti/backoff/v5"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources"
)

// A Feed passes each input of a reading to a handler, as one delivery.
type Feed struct {
	Reading
	Handle processor.Handler

	mu    sync.Mutex
	found Found // the files, the bytes and the failures
}

// Run passes every input to the handler, and repeats refused ones, until all are
// accepted or ctx is done.
func (s *Feed) Run(ctx context.Context) *Found {
	s.each(ctx, &s.found, &s.mu, func(queue <-chan *input) {
		for i := range queue {
			s.offer(ctx, *i)
		}
	})
	return &s.found
}

// offer repeats an input until the handler accepts it, or it cannot be read.
func (s *Feed) offer(ctx context.Context, i input) {
	waits := backoff.NewExponentialBackOff()
	for ctx.Err() == nil {
		body := &feedBody{ctx: ctx, bar: s.Bar}
		r, err := i.open(ctx)
		if err == nil {
			body.r = r
			err = s.Handle(ctx, processor.Delivery{Source: "replay", Parts: processor.One(processor.Part{Origin: trail.Place(i.place), Body: body})})
			_ = r.Close() // read only
		} else {
			body.err = err
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			s.note(Found{Files: 1, Stats: trail.Stats{Bytes: body.n}}, nil)
			return
		case body.err != nil:
			s.note(Found{}, unreadableInput(i, body.err))
			return
		case i.id == "":
			s.note(Found{}, fmt.Errorf("%s cannot be read again: %w", i.place, err))
			return
		}
		_ = sources.Sleep(ctx, waits.NextBackOff()) // the journal cannot be written; it logs why
	}
}

func (s *Feed) note(f Found, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found.merge(&f)
	if err != nil {
		s.found.Fail(err)
	}
}

// A feedBody counts progress, and keeps the error of a read.
type feedBody struct {
	ctx context.Context
	bar *output.Progress
	r   io.Reader
	n   int64
	err error
}

func (b *feedBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	b.n += int64(n)
	b.bar.Add(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}
