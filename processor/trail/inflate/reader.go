package inflate

import (
	"errors"
	"io"
)

const (
	inputSize = 64 << 10
	// chunk is how much is inflated at a time: with the history it stays in the
	// second cache of a core.
	chunk = 256 << 10
)

// A Reader inflates another reader, in memory of fixed size. Its zero value has
// to be given its input by [Reader.Reset].
//
// It reads ahead of what it returns. An error of its input, other than io.EOF,
// is returned as it is, behind everything that could be inflated before it.
type Reader struct {
	m      members
	r      io.Reader
	failed error  // of r
	err    error  // what is returned from now on
	input  []byte // where r is read into
	window []byte // history, what was inflated last, and slack
	unread []byte // what Read has not returned yet
}

// NewReader returns a Reader of r.
func NewReader(r io.Reader, f Format) *Reader {
	z := new(Reader)
	z.Reset(r, f)
	return z
}

// Reset makes z inflate r from its beginning, whatever it did before.
func (z *Reader) Reset(r io.Reader, f Format) {
	if z.window == nil {
		z.input = make([]byte, inputSize)
		z.window = make([]byte, history+chunk+Slack)
	}
	z.r, z.failed, z.err, z.unread = r, nil, nil, nil
	z.m.in, z.m.at, z.m.last = nil, 0, false
	z.m.out, z.m.n = z.window, 0
	z.m.reset(f)
}

// Next returns the next bytes, 256 KiB or more unless the input ends or is
// damaged. They are valid until the next call. It returns bytes or an error,
// not both; at the end of the input the error is io.EOF.
func (z *Reader) Next() ([]byte, error) {
	if b := z.unread; len(b) > 0 {
		z.unread = nil
		return b, nil
	}
	b, fresh, err := z.Step(0)
	return b[fresh:], err
}

// Step is Next together with what was inflated before: b[fresh:] are the next
// bytes, and b[:fresh] those before them, which are as many as keep says, 32 KiB at
// least, or as there are in the step before. It may not follow a Read, which may
// have left bytes behind.
func (z *Reader) Step(keep int) (b []byte, fresh int, err error) {
	if z.err != nil {
		return z.window[:z.m.n], z.m.n, z.err
	}
	z.slide(max(keep, history))
	start := z.m.n
	z.m.pause = start + chunk
	for {
		err := z.m.run()
		switch {
		case errors.Is(err, errInput):
			z.fill()
			continue
		case !errors.Is(err, errOutput):
			z.fail(err)
			if z.m.n == start {
				return z.window[:start], start, z.err
			}
		}
		return z.window[:z.m.n], start, nil
	}
}

// Read reads inflated bytes as an [io.Reader] does.
func (z *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(z.unread) == 0 {
		b, err := z.Next()
		if err != nil {
			return 0, err
		}
		z.unread = b
	}
	n := copy(p, z.unread)
	z.unread = z.unread[n:]
	return n, nil
}

// WriteTo writes all inflated bytes to w.
func (z *Reader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		b, err := z.Next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		written, err := w.Write(b)
		n += int64(written)
		if err != nil {
			return n, err
		}
	}
}

// slide makes room in the window for a chunk, and keeps so many bytes.
func (z *Reader) slide(keep int) {
	if drop := z.m.n - keep; drop > 0 {
		copy(z.window, z.window[drop:z.m.n])
		z.m.n = keep
		z.m.base = max(0, z.m.base-drop) // distances reach no further than the history
	}
	if size := z.m.n + chunk + Slack; size > len(z.window) {
		z.window = append(z.window[:z.m.n], make([]byte, max(size, 2*len(z.window))-z.m.n)...)
		z.m.out = z.window
	}
	z.m.summed = z.m.n
}

// fill reads input behind what is left of it.
func (z *Reader) fill() {
	n := copy(z.input, z.m.in[z.m.at:])
	for idle := 0; n < len(z.input)/2; {
		read, err := z.r.Read(z.input[n:])
		n += read
		idle++
		if read > 0 {
			idle = 0
		}
		if idle == 100 && err == nil {
			err = io.ErrNoProgress
		}
		if err != nil {
			z.m.last = true
			if !errors.Is(err, io.EOF) {
				z.failed = err
			}
			break
		}
	}
	z.m.in, z.m.at = z.input[:n], 0
}

// fail ends the input with err.
func (z *Reader) fail(err error) {
	z.err = err
	if z.failed != nil && (errors.Is(err, io.EOF) || errors.Is(err, ErrTruncated)) {
		z.err = z.failed
	}
	z.r = nil
	z.m.release()
}
