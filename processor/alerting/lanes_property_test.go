package alerting

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// keepFew lowers the number of sightings that are kept, and returns a function that
// sets another one. A test that calls it is not parallel.
func keepFew(t *testing.T) (set func(int)) {
	was := sightingsEachEnd
	t.Cleanup(func() { sightingsEachEnd = was })
	return func(n int) { sightingsEachEnd = n }
}

// lanesHeard are lanes, and what humans heard of them.
type lanesHeard struct {
	t       *testing.T
	l       Ledger
	ids     map[string]bool
	last    map[string]*exposure.Alert // by exposure or campaign
	own     map[string]bool            // by exposure: humans know that it is open by its own alert
	by      map[string]string          // by exposure: the campaign that stands for its alerts
	unheard map[string]bool            // by exposure: no alert of the campaign named the user, or followed
	named   map[string]bool            // by campaign and user
	next    time.Time
}

func newLanesHeard(t *testing.T) *lanesHeard {
	return &lanesHeard{t: t, ids: map[string]bool{}, last: map[string]*exposure.Alert{}, own: map[string]bool{}, by: map[string]string{}, unheard: map[string]bool{}, named: map[string]bool{}}
}

// fold folds after a restart, and again.
func (h *lanesHeard) fold(now time.Time, p exposure.Policy) {
	h.t.Helper()
	for s := range subjectSet(&h.l) {
		b, err := json.Marshal(s.State)
		if err == nil {
			s.State = State{}
			err = json.Unmarshal(b, &s.State)
		}
		if err != nil {
			h.t.Fatal(err)
		}
	}
	alerts, next := h.l.Fold(now, p)
	h.next = next
	slices.SortStableFunc(alerts, func(a, b *exposure.Alert) int { // those of campaigns come last
		return boolOrder(a.Users != nil, b.Users != nil)
	})
	for _, a := range alerts {
		if h.ids[a.ID] {
			h.t.Errorf("alerted twice: %s %s", a.Step, a.Title)
		}
		h.ids[a.ID] = true
		h.hear(a)
	}
	for s := range subjectSet(&h.l) {
		s.dirty, h.l.waiting[s] = true, true
	}
	if again, _ := h.l.Fold(now, p); len(again) > 0 {
		h.t.Errorf("a second call returns %s", show(again))
	}
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (h *lanesHeard) hear(a *exposure.Alert) {
	if a.Exposure == nil {
		return
	}
	x := *a.Exposure
	h.last[x] = a
	switch {
	case a.Users != nil && a.Step == exposure.StepCampaign:
		for _, name := range a.Users.Names {
			h.named[x+name] = true
		}
		for member, of := range h.by {
			if of == x {
				delete(h.unheard, member)
			}
		}
	case a.Users != nil:
	case a.Step == exposure.Resolved:
		delete(h.own, x)
		delete(h.by, x)
		delete(h.unheard, x)
	case !a.MachineOnly():
		h.own[x] = true
	case a.Campaign != "" && h.by[x] != a.Campaign:
		h.by[x], h.unheard[x] = a.Campaign, !h.named[a.Campaign+*a.User]
	}
}

// check fails where an exposure is open and humans know nothing of it.
func (h *lanesHeard) check() {
	h.t.Helper()
	for x, a := range h.last {
		if a.Users != nil || a.Step == exposure.Resolved || a.Step == exposure.Reduced || h.own[x] {
			continue
		}
		switch c := h.last[h.by[x]]; {
		case h.by[x] != "" && h.unheard[x]:
			h.t.Errorf("no alert of its campaign followed: %s", a.Title)
		case c == nil || c.Step == exposure.Resolved:
			h.t.Errorf("its campaign is over: %s", a.Title)
		}
	}
}

// openCampaigns lists those that are not over, by user number of open exposures.
func (h *lanesHeard) openCampaigns() (list []string) {
	for s := range subjectSet(&h.l) {
		for _, c := range s.State.campaigns {
			if !c.Closed {
				list = append(list, fmt.Sprint(c.Lane, seconds(c.First)))
			}
		}
	}
	slices.Sort(list)
	return list
}

// actsOf are n acts of two actors against a few users of two accounts, some of whom
// restore their device or are deleted.
func actsOf(t *testing.T, r *rand.Rand, n, every int) (events []*trail.Event) {
	s := 0
	for i := range n {
		s += r.IntN(2 * every)
		user, by := fmt.Sprint("u", r.IntN(14)), []string{"mallory", "dan"}[r.IntN(8)/7]
		if r.IntN(12) == 0 {
			user = "root"
		}
		act := []string{"deactivate %s serial=%s by=%s", "deactivate %s serial=%s by=%s", "deactivate %s serial=%s by=%s fail=AccessDenied",
			"enable %[1]s serial=%[2]s by=%[1]s self", "deleteuser %[1]s by=%[3]s", "login- %[1]s by=%[1]s self", "login+ %[1]s by=%[1]s self"}[r.IntN(7)]
		if user == "root" && strings.HasPrefix(act, "deleteuser") {
			act = "deactivate %s serial=%s by=%s"
		}
		line := fmt.Sprintf("%d "+act, s, user, "S"+user, by)
		if i := strings.Index(line, "%!"); i >= 0 {
			line = line[:i]
		}
		line += fmt.Sprintf(" id=a%d account=%d", i, 111122223333+r.IntN(2))
		events = append(events, script(t, line)...)
	}
	return events
}

// However few sightings are kept, whatever an actor does and however the policy
// changes meanwhile: no alert is repeated, and humans know of each exposure that is
// open, by its own alert or by a later one of its campaign, which is not over.
func TestTalliesHideNothing(t *testing.T) {
	set := keepFew(t)
	for seed := range seeds(60) {
		r := rand.New(rand.NewPCG(seed, 93))
		set(1 + r.IntN(4))
		events := actsOf(t, r, 20+r.IntN(100), 1+r.IntN(1500))
		h := newLanesHeard(t)
		p := exposure.DefaultPolicy()
		p.Campaign.Users = 2 + r.IntN(3)
		changes := r.IntN(2) == 0
		now := at(0)
		for len(events) > 0 {
			n := min(1+r.IntN(6), len(events))
			for end := events[n-1].Time; !h.next.IsZero() && h.next.Before(end); {
				now = h.next
				h.fold(now, p)
			}
			now = events[n-1].Time
			h.l.Append(shuffle(r, slices.Clone(events[:n]))...)
			events = events[n:]
			h.fold(now, p)
			if changes && r.IntN(10) == 0 {
				p.Campaign = exposure.Campaigns{Users: []int{0, 2, 3, 5}[r.IntN(4)], Within: []time.Duration{10 * time.Minute, time.Hour, 5 * time.Hour}[r.IntN(3)]}
				for s := range subjectSet(&h.l) {
					s.dirty, h.l.waiting[s] = true, true
				}
				h.fold(now, p)
			}
		}
		h.fold(now.Add(regrowthWait+time.Second), p)
		h.fold(now.Add(2*regrowthWait), p)
		h.check()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// Under one policy, a campaign begins and ends as if every sighting were kept, and
// counts no fewer users.
func TestTalliesEndAsTheirSightings(t *testing.T) {
	set := keepFew(t)
	compared := 0
	for seed := range seeds(50) {
		r := rand.New(rand.NewPCG(seed, 94))
		few := 2 + r.IntN(3)
		events := actsOf(t, r, 20+r.IntN(100), 1+r.IntN(900))
		kept, counted := newLanesHeard(t), newLanesHeard(t)
		p := exposure.DefaultPolicy()
		p.EscalateAfter = nil
		for len(events) > 0 {
			n := min(1+r.IntN(4), len(events))
			batch := shuffle(r, slices.Clone(events[:n]))
			for _, h := range []*lanesHeard{kept, counted} {
				set(map[bool]int{true: 1000, false: few}[h == kept])
				h.l.Append(batch...)
				h.fold(events[n-1].Time, p)
			}
			events = events[n:]
			if got, want := counted.openCampaigns(), kept.openCampaigns(); !slices.Equal(got, want) {
				t.Fatalf("seed %d: open campaigns\n%q, want\n%q", seed, got, want)
			}
			compared += len(kept.openCampaigns())
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if compared < 200 && !trailtest.Short() {
		t.Errorf("only %d open campaigns were compared", compared)
	}
}

// Denied calls between the removals take no end of these.
func TestTalliesOfTwoKinds(t *testing.T) {
	keepFew(t)(4)
	p := exposure.DefaultPolicy()
	p.EscalateAfter = nil
	h := newLanesHeard(t)
	h.l.Append(manyHits(t, 40, "deactivate other%d fail=AccessDenied")...)
	h.fold(at(60), p)
	hits := manyHits(t, 40, "deactivate user%d")
	for _, e := range hits {
		e.ID, e.Time = "r"+e.ID, e.Time.Add(time.Second)
	}
	h.l.Append(hits...)
	h.fold(at(1000), p)
	for i := range 40 {
		if n := len(h.openCampaigns()); n != 1 {
			t.Fatalf("%d campaigns are open of %d users", n, 40-i)
		}
		h.l.Append(script(t, fmt.Sprintf("%d enable user%d serial=S%[2]d by=user%[2]d self id=b%[2]d", 2000+i, i))...)
		h.fold(at(3000+i), p)
	}
	if n := len(h.openCampaigns()); n != 0 {
		t.Errorf("%d campaigns are open of no user", n)
	}
}

// A policy without campaigns ends none whose exposures are only counted.
func TestTalliesWithoutCampaigns(t *testing.T) {
	keepFew(t)(4)
	p := exposure.DefaultPolicy()
	p.EscalateAfter = nil
	h := newLanesHeard(t)
	h.l.Append(manyHits(t, 40, "deactivate user%d")...)
	h.fold(at(60), p)
	p.Campaign = exposure.Campaigns{}
	for s := range subjectSet(&h.l) {
		s.dirty, h.l.waiting[s] = true, true
	}
	h.fold(at(5000), p)
	h.check()
	if len(h.own) == 0 || len(h.openCampaigns()) == 0 {
		t.Errorf("%d users have an alert of their own", len(h.own))
	}
}
