package exposure

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// settle is how long after one more user was hit a campaign is told again at the
// latest; sooner if it has doubled.
const settle = 15 * time.Minute

// maxUsers bounds the users that a campaign's alert lists.
const maxUsers = 100

// A Wave is a campaign: the exposures of several users by one actor, told as one.
// It is read-only.
type Wave struct {
	ID        string
	Partition string
	Account   string
	Actor     trail.Actor // as in the last of them
	Exposures []*Exposure // in order of their beginning
	Users     int         // how many different ones
	Open      int         // of how many an exposure is open
	Severity  Severity    // the highest of them
	First     time.Time
	Last      time.Time

	policy *Policy
	told   *toldWave // what was said of it; set by nameWaves
}

// counts reports whether x is one of those that make a campaign: the user lost
// the last device known, nobody had announced it, and it was no off-boarding, no
// replacement within the grace, and does not wait to be seen as either. What was
// told waits no longer: else whoever deletes passwords would undo a campaign.
func (x *Exposure) counts(told bool, now time.Time) bool {
	switch {
	case x.openSince.IsZero() || x.announced() != 0 || x.Actor == (trail.Actor{}):
		return false
	case x.used():
		return true
	case x.Resolution == UserDeleted, x.ResolvedAt != nil && x.ResolvedAt.Sub(x.openSince) <= x.policy.Grace && !x.foreign():
		return false
	}
	waits := x.leaving && x.Open() && !told && !x.privileged && x.User != ""
	return !waits || now.IsZero() || !now.Before(x.OpenedAt.Add(leavingTime))
}

// findWaves finds the campaigns: exposures by one actor, each within the time of
// the one before, of which enough users lie within it at some point.
func (f *folder) findWaves(before []told, now time.Time) {
	p := &f.policy.Campaign
	if p.Users <= 0 || len(f.exposures) < p.Users {
		return
	}
	known := map[string]bool{} // deactivations that were told
	for i := range before {
		if t := &before[i]; t.Opened || t.Exploited || t.Round > 0 {
			for _, id := range t.Deactivations {
				known[id] = true
			}
		}
	}
	by := map[string][]*Exposure{}
	var order []string
	for _, x := range f.exposures {
		if !x.counts(known[x.first.ID], now) {
			continue
		}
		k := actorKey(&x.Actor)
		if by[k] == nil {
			order = append(order, k)
		}
		by[k] = append(by[k], x)
	}
	for _, k := range order {
		of := by[k]
		for begin := 0; begin < len(of); {
			end := begin + 1
			for end < len(of) && of[end].OpenedAt.Sub(of[end-1].OpenedAt) < p.Within {
				end++
			}
			if dense(of[begin:end], p) {
				f.waves = append(f.waves, newWave(of[begin:end:end], f.policy))
			}
			begin = end
		}
	}
	if len(f.waves) > 1 {
		sortWaves(f.waves)
	}
}

// dense reports whether enough users lie within the time at some point.
func dense(of []*Exposure, p *Campaigns) bool {
	if len(of) < p.Users {
		return false
	}
	within := map[*person]int{}
	first := 0
	for _, x := range of {
		within[x.person]++
		for x.OpenedAt.Sub(of[first].OpenedAt) >= p.Within {
			if within[of[first].person]--; within[of[first].person] == 0 {
				delete(within, of[first].person)
			}
			first++
		}
		if len(within) >= p.Users {
			return true
		}
	}
	return false
}

func newWave(of []*Exposure, p *Policy) *Wave {
	first, last := of[0], of[len(of)-1]
	w := &Wave{
		ID: waveID(first.first), Partition: first.Partition, Account: first.Account, Actor: last.Actor,
		Exposures: of, First: first.OpenedAt, Last: last.OpenedAt, policy: p,
	}
	persons := make(map[*person]bool, len(of)) // whether one is open
	for _, x := range of {
		x.wave = w
		persons[x.person] = persons[x.person] || x.Open()
	}
	w.Users = len(persons)
	for _, open := range persons {
		if open {
			w.Open++
		}
	}
	return w
}

// users lists who was hit.
func (w *Wave) users() *AlertUsers {
	u := &AlertUsers{Count: w.Users, Open: w.Open, Names: []string{}}
	persons := make(map[*person]bool, w.Users)
	for _, x := range w.Exposures {
		if name := x.User; name != "" && !persons[x.person] && len(u.Names) < maxUsers {
			u.Names = append(u.Names, name)
		}
		persons[x.person] = true
	}
	return u
}
