package trail

import (
	"errors"
	"io"
)

// maxKept is how much compressed input is kept while it is skimmed.
const maxKept = 8 << 20

// A stepper inflates step by step, as those of package inflate do.
type stepper interface {
	Step() (w []byte, fresh int, err error)
}

// skimReader skims what r inflates to.
func (s *Scanner) skimReader(r io.Reader, f Form) (done bool) {
	if f != FormGzip && f != FormZlib {
		return false
	}
	z := &s.inflater.reader
	z.Reset(r, f.inflates())
	_, done, _ = s.skim(z)
	return done
}

// skim sweeps the document that z inflates to, each step of it while it is in the
// processor's cache. It reports whether that is all there is to do: the document
// begins as CloudTrail's own, is whole, and no name in it may be a watched one.
// Otherwise nothing was reported, and the document is to be scanned from its start.
// w and err are those of the last step.
func (s *Scanner) skim(z stepper) (w []byte, done bool, err error) {
	const most = 16 << 10 // of what is left to the next step, within what that repeats
	s.restart()
	s.skimming, s.met = true, false
	h, size := head{}, int64(0)
	for left := 0; err == nil; {
		var fresh int
		w, fresh, err = z.Step()
		final := errors.Is(err, io.EOF)
		if err != nil && !final {
			break
		}
		if size == 0 {
			if s.own = beginsAsOwn(w); !s.own || isLines(w) {
				break
			}
			h = headOf(w)
		}
		size += int64(len(w) - fresh)
		s.base = size - int64(len(w))
		left = len(w) - s.sweep(w, fresh-left, final)
		if s.met || !s.own || left > most || size > s.budget || len(s.input.kept) > maxKept {
			break
		}
		done = final && s.plain > 0 && h.fits(w[:spaceBefore(w, len(w))])
	}
	s.skimming = false
	if !done {
		s.plain, s.inString = 0, 0
		return w, false, err
	}
	s.inflated += size
	s.budget -= size
	s.count()
	return w, true, err
}
