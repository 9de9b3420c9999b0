package sourcetest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/mfawatch/mfawatch/processor"
)

// Inbox is a handler that keeps the parts of the deliveries that it takes.
type Inbox struct {
	// Fail returns the handler's error for the nth delivery, if it is set.
	Fail func(n int) error
	// Head is how much of a streamed part is read, as little is of what is no JSON;
	// 0 is all.
	Head int64
	// More receives one value for each delivery that was taken.
	More chan struct{}

	Mu    sync.Mutex // guards the fields below
	Parts []string   // origin and text
	Sizes []int      // parts of each delivery
	N     int        // calls of Handle
}

// NewInbox returns an Inbox that takes everything.
func NewInbox() *Inbox { return &Inbox{More: make(chan struct{}, 1000)} }

// Handle is a processor.Handler.
func (x *Inbox) Handle(_ context.Context, d processor.Delivery) error {
	var parts []string
	for part, err := range d.Parts {
		if err != nil {
			return err
		}
		b := part.Bytes
		if part.Body != nil {
			if x.Head > 0 {
				part.Body = io.LimitReader(part.Body, x.Head)
			}
			if b, err = io.ReadAll(part.Body); err != nil {
				return fmt.Errorf("reading: %w", err)
			}
		}
		parts = append(parts, part.Origin.String()+" "+string(b))
	}
	x.Mu.Lock()
	defer x.Mu.Unlock()
	x.N++
	if x.Fail != nil {
		if err := x.Fail(x.N); err != nil {
			return err
		}
	}
	x.Parts = append(x.Parts, parts...)
	x.Sizes = append(x.Sizes, len(parts))
	x.More <- struct{}{}
	return nil
}

// All returns a copy of Parts.
func (x *Inbox) All() []string {
	x.Mu.Lock()
	defer x.Mu.Unlock()
	return slices.Clone(x.Parts)
}
