package inflate

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
)

// Slack is the capacity that the inner loop needs behind its output.
const Slack = 320

const (
	// step is how much is inflated before it is summed, while it is in the cache.
	step = 128 << 10
	// expansion is the most that a byte of DEFLATE data inflates to, rounded up.
	expansion = 1032
)

// A Decoder inflates bytes in memory. Its zero value is ready to use.
type Decoder struct{ m members }

// Append appends to dst what src inflates to, limit bytes at most, and returns
// the longer slice. With an error the slice ends where decoding did. Everything
// in dst[:cap(dst)] behind the result may be overwritten. Append allocates only
// if dst has too little capacity; a capacity of [Slack] bytes more than needed
// is fastest.
func (d *Decoder) Append(dst, src []byte, f Format, limit int) ([]byte, error) {
	m, start := &d.m, len(dst)
	limit = max(0, min(limit, math.MaxInt-start-Slack))
	dst = grown(dst, min(limit, expected(src, f)))
	m.in, m.at, m.last = src, 0, true
	m.out, m.n = dst[:cap(dst)], start
	m.reset(f)
	defer m.release()
	for {
		m.pause = m.n + step
		if m.pause > len(m.out)-Slack {
			m.pause = math.MaxInt
		}
		err := m.run()
		switch {
		case m.n-start > limit:
			return m.out[:start+limit], ErrTooLarge
		case errors.Is(err, io.EOF):
			return m.out[:m.n], nil
		case !errors.Is(err, errOutput):
			return m.out[:m.n], err
		case m.pause == math.MaxInt:
			size := m.n - start
			m.out = grown(m.out[:m.n], min(limit-size, max(size, step)))
			m.out = m.out[:cap(m.out)]
		}
	}
}

// grown returns b with room for n bytes more, and Slack behind them.
func grown(b []byte, n int) []byte {
	if cap(b)-len(b) >= n+Slack {
		return b
	}
	bigger := make([]byte, len(b), len(b)+n+Slack)
	copy(bigger, b)
	return bigger
}

// expected returns the likely size of src once inflated: the number in its last
// member, which may lie, or a guess.
func expected(src []byte, f Format) int {
	most := math.MaxInt
	if len(src) < most/expansion {
		most = len(src) * expansion
	}
	if f == Gzip && len(src) >= 18 {
		size := binary.LittleEndian.Uint32(src[len(src)-4:])
		return int(min(uint64(most), uint64(size)))
	}
	return min(most, 4*len(src))
}
