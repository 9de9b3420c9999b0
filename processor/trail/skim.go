package trail

import (
	"errors"
	"io"
)

// A stepper inflates step by step, as those of package inflate do.
type stepper interface {
	Step(keep int) (w []byte, fresh int, err error)
}

// skims reports whether documents of this form are skimmed.
func (f Form) skims() bool { return f == FormGzip || f == FormZlib }

// skimReader skims what r inflates to.
func (s *Scanner) skimReader(r io.Reader, f Form) (done bool) {
	z := &s.inflater.reader
	z.Reset(r, f.inflates())
	return s.skim(z)
}

// skim sweeps the document that z inflates to, each step of it while it is in the
// processor's cache. It reports whether that is all there is to do: the document
// begins as CloudTrail's own, is whole, and no name in it may be a watched one.
// Otherwise nothing was reported, and the document is to be scanned from its start.
func (s *Scanner) skim(z stepper) (done bool) {
	const most = 16 << 10 // of what is left to the next step, within what that repeats
	s.restart()
	s.skimming, s.met = true, false
	h, size := head{}, int64(0)
	for left, final := 0, false; !final; {
		w, fresh, err := z.Step(0)
		final = errors.Is(err, io.EOF)
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
		if s.met || !s.own || left > most || size > s.budget || s.input.size > maxKept {
			break
		}
		done = final && s.plain > 0 && h.fits(w[:spaceBefore(w, len(w))])
	}
	s.skimming = false
	if !done {
		s.eager = s.met
		s.plain, s.inString = 0, 0
		return false
	}
	s.inflated += size
	s.budget -= size
	s.count()
	return true
}
