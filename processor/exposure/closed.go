package exposure

import (
	"slices"
	"strconv"
)

// closed ends the open exposure that the event names, by any ID that it may
// have been alerted under, if the person knew of all that shows use by an intruder.
func (f *folder) closed(it *item) {
	if it.tombstone {
		if it.p = f.byName(it.ev.User); it.p.open == nil {
			it.p.closed = it
		}
		return
	}
	i := slices.IndexFunc(f.exposures, func(x *Exposure) bool { return x.Open() && x.hasID(it.ev.Exposure) })
	if i < 0 {
		return
	}
	x := f.exposures[i]
	if known, err := strconv.Atoi(string(it.ev.Body)); err == nil && x.evidence > known {
		return
	}
	p := x.identity
	it.p, it.x = p, x
	p.open, p.reduced, p.closed = nil, nil, it
	f.end(it, x, Closed)
}

// hasID reports whether x is or was alerted under the ID, which derives from
// the event that it began with as far as was known.
func (x *Exposure) hasID(exposure string) bool {
	natural := exposureID(x.first)
	return slices.ContainsFunc(x.deactivations, func(event string) bool {
		return exposure == ID("exposure", x.Partition, x.Account, event) || exposure == ID("exposure", natural, event)
	})
}
