package sources_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources"
)

// lines is a finite source: one delivery a line.
type lines []string

func (l lines) Run(ctx context.Context, h processor.Handler) error {
	for i, text := range l {
		part := processor.Part{Origin: trail.At("lines", int64(i)), Bytes: []byte(text)}
		offer := func() error {
			return h(ctx, processor.Delivery{Source: "lines", Parts: processor.One(part)})
		}
		waits := sources.Backoff{First: time.Millisecond, Longest: time.Second}.Start()
		for offer() != nil {
			if sources.Sleep(ctx, waits.NextBackOff()) != nil {
				return nil
			}
		}
	}
	return nil
}

// A source offers a delivery until the handler acknowledges it.
func ExampleSource() {
	var source sources.Source = lines{"first", "second"}
	refused := false
	_ = source.Run(context.Background(), func(_ context.Context, d processor.Delivery) error {
		for part := range d.Parts {
			if !refused {
				refused = true
				fmt.Println("refused", part.Origin)
				return context.DeadlineExceeded
			}
			fmt.Printf("acknowledged %s: %s\n", part.Origin, part.Bytes)
		}
		return nil
	})
	// Output:
	// refused lines@0
	// acknowledged lines@0: first
	// acknowledged lines@1: second
}
