//go:build unix

package vector

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// guarded returns n bytes behind which memory may neither be read nor written, and n
// bytes before which it may not.
func guarded(t *testing.T, n int) (atEnd, atStart []byte) {
	page := os.Getpagesize()
	size := (n + page - 1) / page * page
	b, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(b) })
	for _, guard := range [][]byte{b[:page], b[page+size:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	b = b[page : page+size]
	return b[size-n:], b[:n]
}

// TestBounds has input of each length end, and begin, at memory that may not be
// read.
func TestBounds(t *testing.T) {
	const most = 6*Size + 3
	r := rand.New(rand.NewPCG(3, 4))
	atEnd, atStart := guarded(t, most)
	for n := range most + 1 {
		for range 20 {
			w := atEnd[most-n:]
			for i := range w {
				w[i] = `{}"\,]:tNu aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`[r.IntN(46)]
			}
			if r.IntN(2) == 0 { // else most blocks need a closer look
				pattern := strings.Repeat("a", r.IntN(Size)) + strings.Repeat(`"aaaaaaaaaaaaaaaaa\"aaa",{"b":{}},`, most/30)
				copy(w, pattern)
			}
			check(t, w)
			checkPair(t, w)
			check(t, atStart[:copy(atStart, w)])
			checkPair(t, atStart[:n])
		}
	}
}

// TestBlocksBounds writes as many blocks as there are, and none behind.
func TestBlocksBounds(t *testing.T) {
	w := []byte(`"`)
	for len(w) < 9*Size+1 {
		w = append(w, 'a')
	}
	for n := range 10 {
		blocks := slices.Repeat([]Block{{1, 2}}, 10)
		if got := Braces(w, blocks[:n], &State{}); got != n && Fast {
			t.Errorf("%d blocks, want %d", got, n)
		}
		if i := slices.IndexFunc(blocks[n:], func(b Block) bool { return b != (Block{1, 2}) }); i >= 0 {
			t.Errorf("the block %d behind %d was written", i, n)
		}
	}
}
