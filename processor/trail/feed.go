package trail

import (
	"errors"
	"io"

	"github.com/mfawatch/mfawatch/processor/trail/inflate"
)

// A feed gives a document as a window that moves over it.
type feed interface {
	// more drops the first drop bytes of the window, or fewer, and adds those that
	// come next. It returns how many it dropped, and may return bytes together with
	// an error.
	more(drop int) (w []byte, dropped int, err error)
	// full reports whether the window has to drop bytes, or to grow, for more.
	full() bool
}

// A pieces is the feed of a reader that is not inflated, or by others.
type pieces struct {
	r   io.Reader
	buf []byte
	n   int // filled up to here
}

func (f *pieces) full() bool { return len(f.buf)-f.n < readSize }

// more grows the window rather than that it drops little: a small one stays in the
// processor's cache.
func (f *pieces) more(drop int) (w []byte, dropped int, err error) {
	switch {
	case f.buf == nil:
		f.buf = make([]byte, firstWindow)
	case f.full() && drop < len(f.buf)/2 && len(f.buf) < maxWindow:
		f.buf = append(f.buf, make([]byte, len(f.buf))...)
	case drop > 0:
		f.n = copy(f.buf, f.buf[drop:f.n])
		dropped = drop
	}
	m, err := f.r.Read(f.buf[f.n:min(f.n+readSize, len(f.buf))])
	f.n += m
	return f.buf[:f.n], dropped, err
}

// A steps is the feed of a reader that package inflate inflates. Its window is
// where that inflates to, so nothing is copied.
type steps struct {
	z *inflate.Reader
	n int
}

func (f *steps) full() bool { return true }

func (f *steps) more(drop int) (w []byte, dropped int, err error) {
	w, fresh, err := f.z.Step(f.n - drop)
	dropped = max(0, f.n-fresh)
	f.n = len(w)
	return w, dropped, err
}

// ended is err, unless that only says that all has been read.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
