package exposure

import (
	"cmp"
	"encoding/json"
	"strconv"
	"time"

	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// AsOpen returns x as one of the open exposures.
func (x *Exposure) AsOpen() Open {
	o := Open{ID: x.ID, Partition: x.Partition, Account: x.Account, User: x.User, Root: x.Root, Severity: x.currentSeverity(), OpenedAt: x.OpenedAt, Suspect: x.suspect, Key: Keys(x.first)[0], Evidence: x.evidence}
	if x.Campaign != nil {
		o.Campaign = x.Campaign.ID
	}
	return o
}

// Open is an open exposure.
type Open struct {
	ID        string
	Partition string
	Account   string
	User      string // "" when unknown
	Root      bool
	Severity  Severity // as of now
	OpenedAt  time.Time
	Campaign  string `json:",omitempty"` // the campaign that it is part of
	Key       string // a key of its subject
	Suspect   bool   `json:",omitempty"` // a device came back, but an intruder may hold it (J1)
	Evidence  int    `json:",omitempty"` // the number of events that show use by an intruder, as far as known
}

// MaxNote bounds the note of a person who closes an exposure, in bytes.
const MaxNote = 500

// maxPerson bounds the name of that person, in bytes.
const maxPerson = 80

// Close returns the event by which a person closes o, to be stored with the
// events of its account: a name, a note and the time. The fold ends the
// exposure with the resolution closed (J2), unless it ended before, or a record that
// came late shows what the person did not know; if it is exploited later, it opens
// anew. Equal arguments give the same event. The texts
// are bounded and escaped.
func Close(o Open, by, note string, at time.Time) *trail.Event {
	if at = at.UTC().Truncate(time.Second); at.Before(o.OpenedAt) { // by a clock that is behind
		at = o.OpenedAt
	}
	by, note = safetext.Clean(by, maxPerson), safetext.Clean(note, MaxNote)
	user := o.User
	if o.Root {
		user = trail.RootUser
	}
	known := strconv.Itoa(o.Evidence)
	return &trail.Event{
		ID: ID("closed", o.ID, by, note, strconv.FormatInt(at.Unix(), 10), known), Name: trail.Closed, Time: at,
		Partition: cmp.Or(o.Partition, "aws"), Account: o.Account, User: user,
		Exposure: o.ID, Key: o.Key, Detail: note, Body: json.RawMessage(known), Actor: trail.Actor{Type: "Person", Name: by},
	}
}
