package alerting

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// stateVersion is the version of the JSON form of a State.
const stateVersion = 1

// State holds an account's memory between two calls of Notify, besides its
// events: the alerts delivered so far, so that exposures keep their IDs, and
// the tombstones of dropped events. It is immutable and encodes as JSON. The
// zero State belongs to an account without history.
type State struct {
	delivered []delivered         // in order of opening
	attempts  []deliveredAttempt  // in order of delivery
	campaigns []deliveredCampaign // in order of their first alert
	members   []member            // of an actor's lane, by exposure
	tallies   []tally             // of an actor's lane
	memory    exposure.Memory     // of events that are not kept
}

// delivered records the alerts returned for one exposure.
type delivered struct {
	ID              string    `json:"id"`
	OpenedAt        time.Time `json:"opened_at"`
	At              time.Time `json:"at"`                      // when an alert was last returned
	Deactivations   []string  `json:"deactivations,omitempty"` // event IDs, by which later folds recognize it
	Opened          bool      `json:"opened,omitempty"`
	Reduced         bool      `json:"reduced,omitempty"`
	Exploited       bool      `json:"exploited,omitempty"`
	Familiar        bool      `json:"familiar,omitempty"` // the sign-in was reported as familiar (J4)
	Closed          bool      `json:"closed,omitempty"`
	Guesses         int       `json:"guesses,omitempty"`          // failed sign-ins that are counted and not kept
	GuessesNotified int       `json:"guesses_notified,omitempty"` // of those, the number of the last alert
	Events          []string  `json:"events,omitempty"`           // the IDs of the events behind opened, reduced and updated
	Escalated       int       `json:"escalated,omitempty"`        // the highest escalation returned
	Round           int       `json:"round,omitempty"`            // how often it was reported as open again
	Campaign        string    `json:"campaign,omitempty"`         // the campaign that it is part of
	ByCampaign      bool      `json:"by_campaign,omitempty"`      // the alerts of that campaign notify people in its place
	Planned         string    `json:"planned,omitempty"`          // the planned change that keeps it from people
	Sighted         *sighted  `json:"sighted,omitempty"`          // what its actor's lane knows of it
}

// isOpen reports whether the last alerts said that the exposure is open.
func (t *delivered) isOpen() bool { return (t.Opened || t.Exploited) && !t.Closed }

// deliveredAttempt records an attempt that was alerted. Later folds recognize
// it by its events.
type deliveredAttempt struct {
	ID    string         `json:"id"`
	First string         `json:"first"`
	Last  string         `json:"last"`
	Class exposure.Class `json:"class,omitempty"`
	At    time.Time      `json:"at"`

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

type stateJSON struct {
	Version    int                  `json:"version"`
	Delivered  []delivered          `json:"delivered,omitempty"`
	Attempts   []deliveredAttempt   `json:"attempts,omitempty"`
	Tombstones []exposure.Tombstone `json:"tombstones,omitempty"`
	Campaigns  []deliveredCampaign  `json:"campaigns,omitempty"`
	Members    []member             `json:"members,omitempty"`
	Tallies    []tally              `json:"tallies,omitempty"`
	Counters   []exposure.Counter   `json:"counters,omitempty"`
	Paths      map[string]string    `json:"paths,omitempty"`
}

// MarshalJSON encodes s with its version.
func (s State) MarshalJSON() ([]byte, error) {
	return json.Marshal(stateJSON{stateVersion, s.delivered, s.attempts, s.memory.Tombstones, s.campaigns, s.members, s.tallies, s.memory.Counters, s.memory.Paths})
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
	*s = State{j.Delivered, j.Attempts, j.Campaigns, j.Members, j.Tallies, exposure.Memory{Tombstones: j.Tombstones, Counters: j.Counters, Paths: j.Paths}}
	return nil
}

// IsZero reports whether s keeps nothing.
func (s State) IsZero() bool {
	return len(s.delivered) == 0 && len(s.attempts) == 0 && len(s.campaigns) == 0 && len(s.members) == 0 && len(s.tallies) == 0 && s.memory.IsZero()
}

// assignment joins the exposures of a fold to the delivered ones, which keep
// their IDs.
type assignment struct {
	records map[*exposure.Exposure]*delivered
	orphans []orphan
	gone    []*delivered // alerted as open, and no longer known to have begun
}

// orphan is an exposure that was alerted as open and has become part of another
// one.
type orphan struct {
	delivered *delivered
	in        *exposure.Exposure
}

// assignIDs finds the record of each exposure by the deactivations they share,
// and gives the exposure its ID; without a record the exposure gets a new one.
// If a delivered exposure has become two, the first keeps the ID. If two have
// become one, it keeps the ID of the open one, else of the first.
func assignIDs(exposures []*exposure.Exposure, all []*delivered) assignment {
	n := assignment{records: make(map[*exposure.Exposure]*delivered, len(exposures))}
	at := map[string]int{} // by deactivation: the place of its exposure
	if len(all) > 0 {
		for i, x := range exposures {
			for _, id := range x.RecognizedBy() {
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
			x.ID = exposure.ID("exposure", x.ID, x.First().ID)
		}
		used[x.ID] = true
	}
	return n
}

// Merge returns the State of the subject that two subjects have become. The
// next Notify folds their events together: what was alerted of either keeps its
// ID, and an exposure that has become part of another one is resolved.
func (s State) Merge(t State) State {
	m := State{
		delivered: slices.Concat(s.delivered, t.delivered),
		attempts:  slices.Concat(s.attempts, t.attempts),
		campaigns: slices.Concat(s.campaigns, t.campaigns),
		members:   slices.Concat(s.members, t.members),
		tallies:   slices.Concat(s.tallies, t.tallies),
		memory:    s.memory.Merge(t.memory),
	}
	slices.SortFunc(m.delivered, func(a, b delivered) int {
		return inOrder(a.OpenedAt, b.OpenedAt, a.ID, b.ID)
	})
	slices.SortStableFunc(m.attempts, func(a, b deliveredAttempt) int { return inOrder(a.At, b.At, a.ID, b.ID) })
	slices.SortStableFunc(m.campaigns, func(a, b deliveredCampaign) int { return inOrder(a.First, b.First, a.ID, b.ID) })
	slices.SortFunc(m.members, func(a, b member) int { return strings.Compare(a.Exposure, b.Exposure) })
	return m
}
