package inflate

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// TestStep has each step begin with the 32 KiB before it, and the steps together be
// all of the content.
func TestStep(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, history - 1, history, chunk, chunk + 1, 5*chunk + 77} {
		want := make([]byte, size)
		for i := range want {
			want[i] = "abcdefgh\n\""[r.IntN(10)]
		}
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		w.Write(want)
		w.Close()
		z, at := NewReader(&packed, Gzip), 0
		for {
			b, fresh, err := z.Step(0)
			if kept := min(at, history); fresh < kept || !bytes.Equal(b[fresh-kept:], want[at-kept:at+len(b)-fresh]) {
				t.Fatalf("%d bytes: the step at %d is not what was compressed", size, at)
			}
			at += len(b) - fresh
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if b, fresh, err := z.Step(0); at != size || len(b) != fresh || !errors.Is(err, io.EOF) {
			t.Fatalf("%d of %d bytes, and behind them %d, %v", at, size, len(b)-fresh, err)
		}
	}
}
