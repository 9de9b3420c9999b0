package exposure

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// stateVersion is the form in which a State is written.
const stateVersion = 2

// A State is what is kept of one account between two calls of Tell besides its
// events: what was told, so that it keeps its name, and what events that are no
// longer kept had proved. It is immutable, encodes as JSON, and the zero State
// is that of an account never heard of.
type State struct {
	told     []told            // in order of their opening
	attempts []toldAttempt     // in order of their telling
	marks    []mark            // in order of time
	waves    []toldWave        // in order of their first telling
	paths    map[string]string // of users within IAM, by folded name; never changed
}

// told is what was said of one exposure.
type told struct {
	ID            string    `json:"id"`
	OpenedAt      time.Time `json:"opened_at"`
	At            time.Time `json:"at"`                      // when something was last said
	Deactivations []string  `json:"deactivations,omitempty"` // event IDs, by which it is known again
	Opened        bool      `json:"opened,omitempty"`
	Reduced       bool      `json:"reduced,omitempty"`
	Exploited     bool      `json:"exploited,omitempty"`
	Closed        bool      `json:"closed,omitempty"`
	Events        []string  `json:"events,omitempty"`    // the IDs of the events told as what happened
	Escalated     int       `json:"escalated,omitempty"` // the highest number told
	Round         int       `json:"round,omitempty"`     // how often it was told as open again
	Campaign      string    `json:"campaign,omitempty"`  // of which it is one
	Covered       bool      `json:"covered,omitempty"`   // people are told of it by that campaign's alerts
	Expected      string    `json:"expected,omitempty"`  // the entry that announced it, and keeps it from people
}

// alive reports whether somebody was told that it is open, and not that it is
// over.
func (t *told) alive() bool { return (t.Opened || t.Exploited) && !t.Closed }

// toldAttempt is an attempt that was told, known again by its events.
type toldAttempt struct {
	ID    string    `json:"id"`
	First string    `json:"first"`
	Last  string    `json:"last"`
	At    time.Time `json:"at"`
}

// toldWave is what was said of a campaign.
type toldWave struct {
	ID        string      `json:"id"`
	Actor     trail.Actor `json:"actor"`
	First     time.Time   `json:"first"` // when the first user was hit
	Last      time.Time   `json:"last"`
	Event     string      `json:"event"` // that hit the last
	Users     int         `json:"users"` // as told last
	Closed    bool        `json:"closed,omitempty"`
	Escalated int         `json:"escalated,omitempty"`
	Round     int         `json:"round,omitempty"`
	At        time.Time   `json:"at"`
}

// A mark stands for an event that is no longer kept: what it proved about
// devices, names and passwords, in its place in time.
type mark struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Name    string    `json:"name"`
	User    string    `json:"user,omitempty"`
	NewUser string    `json:"new_user,omitempty"`
	Serial  string    `json:"serial,omitempty"`
	Strange bool      `json:"strange,omitempty"` // a device that somebody else than the user enabled
}

// markOf is what is left of an event; ok is false if it proved nothing.
func markOf(e *trail.Event) (m mark, ok bool) {
	if e.Failed() {
		return mark{}, false
	}
	m = mark{ID: e.ID, Time: e.Time, Name: e.Name, User: e.User, NewUser: e.NewUser, Serial: e.Serial}
	m.Strange = e.Name == trail.EnableMFADevice && enabledByAnother(e)
	switch e.Name {
	case trail.DeleteVirtualMFADevice:
		m.Name = trail.DeactivateMFADevice
		return m, true
	case trail.EnableMFADevice, trail.ResyncMFADevice, trail.DeactivateMFADevice,
		trail.CreateUser, trail.UpdateUser, trail.DeleteUser, trail.CheckMfa, trail.DeleteLoginProfile:
		return m, true
	case trail.ConsoleLogin:
		m.Name = trail.CheckMfa
		return m, rank(e) == ranks[trail.CheckMfa]
	}
	return mark{}, false
}

// event is the mark as it is folded.
func (m mark) event() *trail.Event {
	e := &trail.Event{ID: m.ID, Time: m.Time, Name: m.Name, User: m.User, NewUser: m.NewUser, Serial: m.Serial}
	if m.Strange {
		e.Actor.Type = "Unknown" // of whom no more is kept
	}
	return e
}

type stateJSON struct {
	Version  int               `json:"version"`
	Told     []told            `json:"told,omitempty"`
	Attempts []toldAttempt     `json:"attempts,omitempty"`
	Marks    []mark            `json:"marks,omitempty"`
	Waves    []toldWave        `json:"campaigns,omitempty"`
	Paths    map[string]string `json:"paths,omitempty"`
}

// MarshalJSON writes the State with its version.
func (s State) MarshalJSON() ([]byte, error) {
	return json.Marshal(stateJSON{stateVersion, s.told, s.attempts, s.marks, s.waves, s.paths})
}

// UnmarshalJSON reads what MarshalJSON wrote, in this version or version 1, which
// has less. A State of a version that is not known is an error.
func (s *State) UnmarshalJSON(b []byte) error {
	var j stateJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("read an account's state: %w", err)
	}
	if j.Version < 1 || j.Version > stateVersion {
		return fmt.Errorf("read an account's state: its version is %d, this program knows %d: run the program that wrote it, or a newer one",
			j.Version, stateVersion)
	}
	*s = State{j.Told, j.Attempts, j.Marks, j.Waves, j.Paths}
	return nil
}

// IsZero reports whether nothing is kept.
func (s State) IsZero() bool {
	return len(s.told) == 0 && len(s.attempts) == 0 && len(s.marks) == 0 && len(s.waves) == 0 && len(s.paths) == 0
}

// names joins the exposures that the events show to those that were told: what
// has been told keeps its name.
type names struct {
	of      map[*Exposure]*told
	orphans []orphan
}

// An orphan was told as open, and is seen now to be part of another exposure.
type orphan struct {
	told *told
	in   *Exposure
}

// name finds for each exposure what was told of it, by the deactivations they
// share, and gives it the ID under which it was told, else a new one. Where one
// that was told is now two, the first keeps the name; where two are now one, it
// keeps the name of the one that is waited for, else of the first.
func name(exposures []*Exposure, all []*told) names {
	n := names{of: make(map[*Exposure]*told, len(exposures))}
	at := map[string]int{} // by deactivation: the exposure's place
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
			continue
		}
		x := exposures[first]
		loser := t
		if had := n.of[x]; had == nil || t.alive() && !had.alive() {
			n.of[x], loser = t, had
		}
		if loser != nil {
			n.orphans = append(n.orphans, orphan{loser, x})
		}
	}
	for _, x := range exposures {
		if t := n.of[x]; t != nil {
			x.ID = t.ID
			continue
		}
		for used[x.ID] { // another, that it was once part of, was told under it
			x.ID = id("exposure", x.ID, x.first.ID)
		}
		used[x.ID] = true
	}
	return n
}
