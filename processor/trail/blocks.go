package trail

import (
	"math/bits"

	"github.com/mfawatch/mfawatch/processor/trail/vector"
)

const (
	// fewBlocks is how many bytes are worth a walk in blocks, and afterBlocks how
	// many are walked brace by brace behind one.
	fewBlocks   = 4 * vector.Size
	afterBlocks = 4 * vector.Size
)

// blocks walks from w[pos], which is outside of strings, towards w[to:], in blocks
// of many braces: as far as objects open and close that need no more than to be
// kept, and as the bytes behind the braces agree. It returns where the walk has to
// go on brace by brace, which leads to the same everywhere.
func (k *walk) blocks(w []byte, pos, to int) int {
	p := &k.position
	to = min(to, len(w)-1) // a byte behind each brace
	if !vector.Fast || to-pos < fewBlocks || !p.keeps() || pos > 0 && w[pos-1] == '\n' {
		return pos
	}
	if k.masks == nil {
		k.masks = new([256]vector.Block)
	}
	s := vector.State{Depth: len(p.stack), Least: p.kept(), Most: min(cap(p.stack), maxNesting)}
	for {
		n := vector.Braces(w[pos:to+1], k.masks[:], &s)
		p.keep(pos, k.masks[:n], &s)
		for i := n - 1; i >= 0; i-- {
			if b := k.masks[i]; b.Opens|b.Closes != 0 {
				k.sure = pos + i*vector.Size + bits.Len64(b.Opens|b.Closes)
				break
			}
		}
		pos += n * vector.Size
		if n < len(k.masks) {
			return pos
		}
	}
}

// keeps reports whether objects may open and close that need no more than to be
// kept: no finding waits, and the innermost object is no record.
func (p *position) keeps() bool { return len(p.found) == p.ready && p.within == 0 && !p.record }

// kept returns how many objects have to be open so that those behind them need no
// more than to be kept.
func (p *position) kept() int {
	if p.read > 0 && p.wrappers >= p.read {
		return p.read
	}
	return max(2, p.read+1)
}

// keep keeps the objects that blocks from w[pos] on leave open: s.Depth with those
// before. It goes backwards, and only as far as it finds the places of all that
// may be new.
func (p *position) keep(pos int, blocks []vector.Block, s *vector.State) {
	p.stack = p.stack[:s.Depth]
	top, closed := s.Depth-1, 0
	for n := len(blocks) - 1; n >= 0 && top >= s.Least; n-- {
		b := &blocks[n]
		for m := b.Opens | b.Closes; m != 0 && top >= s.Least; {
			i := bits.Len64(m) - 1
			m &^= 1 << i
			switch {
			case b.Closes>>i&1 != 0:
				closed++
			case closed > 0:
				closed--
			default:
				p.stack[top] = object{start: pos + n*vector.Size + i, next: pos + n*vector.Size + i + 1, mark: len(p.found)}
				top--
			}
		}
	}
}
