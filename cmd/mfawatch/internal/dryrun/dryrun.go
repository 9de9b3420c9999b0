package dryrun

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// An Arrival is an event and when the service would have read it.
type Arrival struct {
	at    time.Time
	event *trail.Event
}

// Run returns what the service would have journalled until a time, had it read the
// events as they arrived. It is the service's own fold, with a clock that steps
// from each arrival and each deadline to the next. Alerts of one time are in the
// order of the service.
func Run(accounts map[[2]string][]Arrival, p exposure.Policy, until time.Time) []*Alert {
	var list []Arrival
	for _, of := range accounts {
		list = append(list, concerned(of)...)
	}
	slices.SortStableFunc(list, func(a, b Arrival) int { return a.at.Compare(b.at) })
	var (
		all    []*Alert
		ledger alerting.Ledger
		next   time.Time // deadline; zero: none
		known  = map[string]bool{}
	)
	for {
		now := next
		if len(list) > 0 && (now.IsZero() || !list[0].at.After(now)) {
			now = list[0].at
		}
		if now.IsZero() || !now.Before(until) {
			break
		}
		for len(list) > 0 && !list[0].at.After(now) {
			ledger.Append(list[0].event)
			list = list[1:]
		}
		var alerts []*exposure.Alert
		alerts, next = ledger.Fold(now, p)
		for _, a := range alerts {
			if !known[a.ID] {
				known[a.ID] = true
				all = append(all, &Alert{Alert: a, At: now})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *Alert) int {
		return cmp.Or(a.At.Compare(b.At), a.Alert.Time.Compare(b.Alert.Time),
			strings.Compare(a.Alert.Partition, b.Alert.Partition), strings.Compare(a.Alert.Account, b.Alert.Account))
	})
	return all
}

// Arrivals sorts events by account, and within it by arrival: seen returns when each
// is read. If an event came several times, its first arrival counts, and the origin
// that sorts first is shown, as in the journal (R29, R30).
func Arrivals(events []*trail.Event, seen func(*trail.Event) time.Time) map[[2]string][]Arrival {
	var list []Arrival
	for _, e := range events {
		list = append(list, Arrival{seen(e), e})
	}
	return byAccount(list)
}

func byAccount(list []Arrival) map[[2]string][]Arrival {
	first := map[[4]string]int{}
	accounts := map[[2]string][]Arrival{}
	for _, a := range list {
		e := a.event
		account := [2]string{e.Partition, e.Account}
		id := [4]string{e.Partition, e.Account, e.ID, e.Name}
		i, again := first[id]
		if !again {
			first[id] = len(accounts[account])
			accounts[account] = append(accounts[account], a)
			continue
		}
		known := &accounts[account][i]
		if a.at.Before(known.at) {
			known.at = a.at
		}
		if e.Origin < known.event.Origin {
			known.event = e
		}
	}
	for _, list := range accounts {
		slices.SortFunc(list, func(a, b Arrival) int {
			return cmp.Or(a.at.Compare(b.at), a.event.Time.Compare(b.event.Time), strings.Compare(a.event.ID, b.event.ID))
		})
	}
	return accounts
}

// Delivered returns when the service would have read the event: at the time that
// the key of its object names, else as it happened.
func Delivered(e *trail.Event) time.Time {
	if k, ok := bucket.ParseKey(e.Origin); ok && k.Delivered.After(e.Time) {
		return k.Delivered
	}
	return e.Time
}

// concerned removes the events of users who cannot have an alert: none may
// begin with any of their events, under any of their names. Those are most
// events of a busy account, and the alerts of other users do not depend on them.
// The acts of the other users stay: they show their paths.
func concerned(list []Arrival) []Arrival {
	of := map[string]string{} // a name to one that it was renamed from or to
	var root func(string) string
	root = func(name string) string {
		if up, ok := of[name]; ok {
			return root(up)
		}
		return name
	}
	for _, a := range list {
		if e := a.event; e.NewUser != "" {
			if from, to := root(strings.ToLower(e.User)), root(strings.ToLower(e.NewUser)); from != to {
				of[from] = to
			}
		}
	}
	touched, deleted := map[string]bool{}, map[string]bool{}
	for _, a := range list {
		if e := a.event; exposure.MayBegin(e) {
			touched[root(strings.ToLower(e.User))] = true
			deleted[e.Serial] = deleted[e.Serial] || e.User == "" && e.Serial != ""
		}
	}
	for _, a := range list { // a device that was deleted may be anyone's
		if e := a.event; deleted[e.Serial] && e.User != "" {
			touched[root(strings.ToLower(e.User))] = true
		}
	}
	concerns := func(name string) bool { return name != "" && touched[root(strings.ToLower(name))] }
	return slices.DeleteFunc(list, func(a Arrival) bool {
		return len(touched) == 0 || a.event.User != "" && !concerns(a.event.User) && !concerns(a.event.Actor.Name)
	})
}
