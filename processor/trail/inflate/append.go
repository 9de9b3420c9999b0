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
type Decoder struct {
	m     members
	start int // of what it appends
	limit int
}

// Append appends to dst what src inflates to, limit bytes at most, and returns
// the longer slice. With an error the slice ends where decoding did. Everything
// in dst[:cap(dst)] behind the result may be overwritten. Append allocates only
// if dst has too little capacity; a capacity of [Slack] bytes more than needed
// is fastest.
func (d *Decoder) Append(dst, src []byte, f Format, limit int) ([]byte, error) {
	d.Reset(dst, src, f, limit)
	for {
		b, _, err := d.Step()
		switch {
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return b, err
		}
	}
}

// Reset prepares for steps that together are one [Decoder.Append].
func (d *Decoder) Reset(dst, src []byte, f Format, limit int) {
	m := &d.m
	d.start, d.limit = len(dst), max(0, min(limit, math.MaxInt-len(dst)-Slack))
	dst = grown(dst, min(d.limit, expected(src, f)))
	m.in, m.at, m.last = src, 0, true
	m.out, m.n = dst[:cap(dst)], d.start
	m.reset(f)
}

// Step inflates a little more, and returns the longer slice and where its new
// bytes begin: they are still in the processor's cache. At the end the error is
// io.EOF; no step follows an error.
func (d *Decoder) Step() (b []byte, fresh int, err error) {
	m := &d.m
	fresh = m.n
	for {
		m.pause = m.n + step
		if m.pause > len(m.out)-Slack {
			m.pause = math.MaxInt
		}
		err := m.run()
		switch {
		case m.n-d.start > d.limit:
			return d.end(d.start+d.limit, fresh, ErrTooLarge)
		case !errors.Is(err, errOutput):
			return d.end(m.n, fresh, err)
		case m.pause != math.MaxInt:
			return m.out[:m.n], fresh, nil
		}
		size := m.n - d.start
		m.out = grown(m.out[:m.n], min(d.limit-size, max(size, step)))
		m.out = m.out[:cap(m.out)]
	}
}

// end ends the steps at n with err.
func (d *Decoder) end(n, fresh int, err error) ([]byte, int, error) {
	b := d.m.out[:n]
	d.m.release()
	return b, min(fresh, n), err
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
