package vector

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func checkPair(t *testing.T, w []byte) {
	t.Helper()
	want := max(-1, len(w)-1)
	for _, pair := range []string{"tN", `\u`} {
		if i := bytes.Index(w, []byte(pair)); i >= 0 {
			want = min(want, i)
		}
	}
	if got := Pair(w); got != want {
		t.Fatalf("%d, want %d, in %q", got, want, w)
	}
}

func TestPair(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		w := make([]byte, r.IntN(5*Size))
		for i := range w {
			w[i] = "tttttttttttttttttttNNuuuuuuuuuuuuuuuuuuu\\"[r.IntN(41)]
			if r.IntN(20) != 0 {
				w[i] = 'a'
			}
		}
		checkPair(t, w)
	}
}

func FuzzPair(f *testing.F) {
	f.Add([]byte(`"eventName" and "\u0065ventName" stand in these more than sixty-four bytes`))
	f.Fuzz(checkPair)
}
