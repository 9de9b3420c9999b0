package exposure

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// stateVersion is the version of the JSON form of a State.
const stateVersion = 1

// State holds an account's memory between two calls of Notify, besides its
// events: the alerts delivered so far, so that exposures keep their IDs, and
// the tombstones of dropped events. It is immutable and encodes as JSON. The
// zero State belongs to an account without history.
type State struct {
	delivered  []delivered         // in order of opening
	attempts   []deliveredAttempt  // in order of delivery
	tombstones []tombstone         // in order of time
	campaigns  []deliveredCampaign // in order of their first alert
	members    []member            // of an actor's lane, by exposure
	tallies    []tally             // of an actor's lane
	counters   []counter           // of events that are not kept one by one, in order of time
	paths      map[string]string   // of users within IAM, by folded name; never changed
}

// delivered records the alerts returned for one exposure.
type delivered struct {
	ID            string    `json:"id"`
	OpenedAt      time.Time `json:"opened_at"`
	At            time.Time `json:"at"`                      // when an alert was last returned
	Deactivations []string  `json:"deactivations,omitempty"` // event IDs, by which later folds recognize it
	Opened        bool      `json:"opened,omitempty"`
	Reduced       bool      `json:"reduced,omitempty"`
	Exploited     bool      `json:"exploited,omitempty"`
	Familiar      bool      `json:"familiar,omitempty"` // the sign-in was reported as familiar (J4)
	Closed        bool      `json:"closed,omitempty"`
	Guesses       int       `json:"guesses,omitempty"`      // failed sign-ins that are counted and not kept
	GuessesTold   int       `json:"guesses_told,omitempty"` // of those, the number of the last alert
	Events        []string  `json:"events,omitempty"`       // the IDs of the events behind opened, reduced and updated
	Escalated     int       `json:"escalated,omitempty"`    // the highest escalation returned
	Round         int       `json:"round,omitempty"`        // how often it was reported as open again
	Campaign      string    `json:"campaign,omitempty"`     // the campaign that it is part of
	ByCampaign    bool      `json:"by_campaign,omitempty"`  // the alerts of that campaign notify people in its place
	Planned       string    `json:"planned,omitempty"`      // the planned change that keeps it from people
	Sighted       *sighted  `json:"sighted,omitempty"`      // what its actor's lane knows of it
}

// isOpen reports whether the last alerts said that the exposure is open.
func (t *delivered) isOpen() bool { return (t.Opened || t.Exploited) && !t.Closed }

// deliveredAttempt records an attempt that was alerted. Later folds recognize
// it by its events.
type deliveredAttempt struct {
	ID    string    `json:"id"`
	First string    `json:"first"`
	Last  string    `json:"last"`
	Class class     `json:"class,omitempty"`
	At    time.Time `json:"at"`

	Sighted bool `json:"sighted,omitempty"` // its actor's lane knows of it
}

// deliveredCampaign records the alerts returned for one campaign.
type deliveredCampaign struct {
	ID        string      `json:"id"`
	Lane      string      `json:"lane"`
	Partition string      `json:"partition"`
	Account   string      `json:"account"` // of the first user
	Actor     trail.Actor `json:"actor"`
	First     time.Time   `json:"first"` // when the first user was hit
	Since     time.Time   `json:"since"` // from when on it is a campaign
	Last      time.Time   `json:"last"`
	Event     string      `json:"event"` // the event that hit the last user
	Users     int         `json:"users"` // as of the last alert
	Closed    bool        `json:"closed,omitempty"`
	Escalated int         `json:"escalated,omitempty"`
	Round     int         `json:"round,omitempty"`
	At        time.Time   `json:"at"`
}

// tombstone stands for a dropped event: it keeps what the event proved about
// devices, names and passwords, and its place in time.
type tombstone struct {
	ID               string    `json:"id"`
	Time             time.Time `json:"time"`
	Name             string    `json:"name"`
	User             string    `json:"user,omitempty"`
	NewUser          string    `json:"new_user,omitempty"`
	Serial           string    `json:"serial,omitempty"`
	From             string    `json:"from,omitempty"`               // an address of the user, shown by a sign-in with MFA
	Foreign          bool      `json:"foreign,omitempty"`            // a device that may be an intruder's
	EnabledByAnother bool      `json:"enabled_by_another,omitempty"` // a device that another identity than the user enabled
}

// tombstoneOf returns the tombstone of an event; ok is false if the event
// proved nothing.
func tombstoneOf(e *trail.Event) (m tombstone, ok bool) {
	if e.Failed() {
		return tombstone{}, false
	}
	m = tombstone{ID: e.ID, Time: e.Time, Name: e.Name, User: e.User, NewUser: e.NewUser, Serial: e.Serial}
	m.EnabledByAnother = e.Name == trail.EnableMFADevice && enabledByAnother(e)
	switch e.Name {
	case trail.DeleteVirtualMFADevice:
		m.Name = trail.DeactivateMFADevice
		return m, true
	case trail.EnableMFADevice, trail.ResyncMFADevice, trail.DeactivateMFADevice,
		trail.CreateUser, trail.UpdateUser, trail.DeleteUser, trail.DeleteLoginProfile, trail.Closed:
		return m, true
	case trail.CheckMfa:
		m.Serial = ""
		return m, true
	case trail.ConsoleLogin:
		m.Name, m.Serial = trail.CheckMfa, ""
		return m, rank(e) == ranks[trail.CheckMfa]
	}
	return tombstone{}, false
}

// event returns the event that the fold sees in place of the dropped one.
func (m tombstone) event() *trail.Event {
	e := &trail.Event{ID: m.ID, Time: m.Time, Name: m.Name, User: m.User, NewUser: m.NewUser, Serial: m.Serial}
	e.Actor.SourceIP = m.From
	if m.EnabledByAnother {
		e.Actor.Type = "Unknown" // nothing more is kept
	}
	return e
}

type stateJSON struct {
	Version    int                 `json:"version"`
	Delivered  []delivered         `json:"delivered,omitempty"`
	Attempts   []deliveredAttempt  `json:"attempts,omitempty"`
	Tombstones []tombstone         `json:"tombstones,omitempty"`
	Campaigns  []deliveredCampaign `json:"campaigns,omitempty"`
	Members    []member            `json:"members,omitempty"`
	Tallies    []tally             `json:"tallies,omitempty"`
	Counters   []counter           `json:"counters,omitempty"`
	Paths      map[string]string   `json:"paths,omitempty"`
}

// MarshalJSON encodes s with its version.
func (s State) MarshalJSON() ([]byte, error) {
	return json.Marshal(stateJSON{stateVersion, s.delivered, s.attempts, s.tombstones, s.campaigns, s.members, s.tallies, s.counters, s.paths})
}

// UnmarshalJSON decodes the form that MarshalJSON writes. It refuses any other
// version.
func (s *State) UnmarshalJSON(b []byte) error {
	var j stateJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("decode an account's state: %w", err)
	}
	if j.Version != stateVersion {
		return fmt.Errorf("decode an account's state: version is %d, want %d: run the version of mfawatch that wrote it",
			j.Version, stateVersion)
	}
	*s = State{j.Delivered, j.Attempts, j.Tombstones, j.Campaigns, j.Members, j.Tallies, j.Counters, j.Paths}
	return nil
}

// IsZero reports whether s keeps nothing.
func (s State) IsZero() bool {
	return len(s.delivered) == 0 && len(s.attempts) == 0 && len(s.tombstones) == 0 && len(s.campaigns) == 0 && len(s.members) == 0 && len(s.tallies) == 0 && len(s.counters) == 0 && len(s.paths) == 0
}

// assignment joins the exposures of a fold to the delivered ones, which keep
// their IDs.
type assignment struct {
	records map[*Exposure]*delivered
	orphans []orphan
	gone    []*delivered // alerted as open, and no longer known to have begun
}

// orphan is an exposure that was alerted as open and has become part of another
// one.
type orphan struct {
	delivered *delivered
	in        *Exposure
}

// assignIDs finds the record of each exposure by the deactivations they share,
// and gives the exposure its ID; without a record the exposure gets a new one.
// If a delivered exposure has become two, the first keeps the ID. If two have
// become one, it keeps the ID of the open one, else of the first.
func assignIDs(exposures []*Exposure, all []*delivered) assignment {
	n := assignment{records: make(map[*Exposure]*delivered, len(exposures))}
	at := map[string]int{} // by deactivation: the place of its exposure
	if len(all) > 0 {
		for i, x := range exposures {
			for _, id := range x.deactivations {
				at[id] = i
			}
		}
	}
	used := make(map[string]bool, len(all))
	for _, t := range all {
		used[t.ID] = true
		first := -1
		for _, id := range t.Deactivations {
			if i, ok := at[id]; ok && (first < 0 || i < first) {
				first = i
			}
		}
		if first < 0 {
			if t.isOpen() {
				n.gone = append(n.gone, t)
			}
			continue
		}
		x := exposures[first]
		loser := t
		if had := n.records[x]; had == nil || t.isOpen() && !had.isOpen() {
			n.records[x], loser = t, had
		}
		if loser != nil {
			n.orphans = append(n.orphans, orphan{loser, x})
		}
	}
	for _, x := range exposures {
		if t := n.records[x]; t != nil {
			x.ID = t.ID
			continue
		}
		for used[x.ID] { // an exposure that it was once part of has this ID
			x.ID = id("exposure", x.ID, x.first.ID)
		}
		used[x.ID] = true
	}
	return n
}
