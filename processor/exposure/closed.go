package exposure

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// maxNote bounds the note of a person who closes an exposure, in bytes.
const maxNote = 500

// Close returns the event by which a person closes o, to be stored with the
// events of its account: a name, a note and the time. The fold ends the
// exposure with the resolution closed (J2), unless it ended before; if it is
// exploited later, it opens anew. Equal arguments give the same event. The texts
// are bounded and escaped.
func Close(o Open, by, note string, at time.Time) *trail.Event {
	at = at.UTC().Truncate(time.Second)
	by, note = safetext.Clean(by, maxName), safetext.Clean(note, maxNote)
	user := o.User
	if o.Root {
		user = trail.RootUser
	}
	return &trail.Event{
		ID: id("closed", o.ID, by, note, strconv.FormatInt(at.Unix(), 10)), Name: trail.Closed, Time: at,
		Partition: cmp.Or(o.Partition, "aws"), Account: o.Account, User: user,
		Exposure: o.ID, Key: o.Key, Detail: note, Actor: trail.Actor{Type: "Person", Name: by},
	}
}

// closed ends the open exposure that the event names, by any ID that it may
// have been alerted under.
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
		return exposure == id("exposure", x.Partition, x.Account, event) || exposure == id("exposure", natural, event)
	})
}
