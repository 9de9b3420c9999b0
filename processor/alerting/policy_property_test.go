package alerting

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

func match(t testing.TB, config map[string]any) *rule.Matcher {
	t.Helper()
	m, err := rule.Compile(config)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// randomPolicy has some of everything.
func randomPolicy(t testing.TB, r *rand.Rand) exposure.Policy {
	p := exposure.DefaultPolicy()
	p.Campaign = exposure.Campaigns{Users: r.IntN(4), Within: time.Duration(1+r.IntN(120)) * time.Minute}
	if p.Campaign.Users == 1 {
		p.Campaign.Users = 2
	}
	p.Grace = time.Duration(r.IntN(3)*7) * time.Minute
	if r.IntN(2) == 0 {
		p.Privileged = append(p.Privileged, match(t, map[string]any{"user": "eve"}))
	}
	if r.IntN(2) == 0 {
		p.Severity = append(p.Severity, exposure.SeverityRule{Match: match(t, map[string]any{"actor": "dan", "late": false}), Severity: exposure.Medium, Reason: "dan is careful"})
	}
	for range r.IntN(3) {
		from := at(r.IntN(20000) - 20000)
		p.PlannedChanges = append(p.PlannedChanges, &exposure.PlannedChange{
			Match: match(t, map[string]any{"user": []any{"bob", "rob"}[r.IntN(2)]}), From: from, Until: from.Add(time.Duration(1+r.IntN(20)) * time.Hour),
			Ticket: fmt.Sprint("CHG-", r.IntN(3)), Approver: "ann",
		})
	}
	return p
}

// stir turns some of the events into those of an off-boarding or a campaign.
func stir(t testing.TB, r *rand.Rand, events []*trail.Event) []*trail.Event {
	for i := range r.IntN(3) {
		s, by := r.IntN(50000), []string{"ann", "dan"}[r.IntN(2)]
		var lines []string
		if r.IntN(2) == 0 {
			user := []string{"bob", "eve", "zoe"}[r.IntN(3)]
			lines = []string{"deletelogin " + user, "deletekey " + user, "deactivate " + user + " serial=A", "deletevirtual - serial=A", "deleteuser " + user}
			if r.IntN(3) == 0 {
				lines = lines[:len(lines)-1]
			}
		} else {
			for _, user := range []string{"bob", "eve", "zoe", "al", "cy", "di"}[:2+r.IntN(5)] {
				lines = append(lines, "deactivate "+user+" serial=S"+user)
			}
		}
		for k, line := range lines {
			s += r.IntN(400)
			events = append(events, script(t, fmt.Sprintf("%d %s id=s%d-%d-%x by=%s", s, line, i, k, r.Uint32(), by))...)
		}
	}
	return events
}

// For any policy, order and batches of events: no alert is repeated; in the end
// machine sinks and people alike know what is open and what is over, in its
// severity; and a campaign is alerted as one. testAccount checks the same at
// each step.
func TestPolicyAnyArrival(t *testing.T) {
	t.Parallel()
	campaigns, held, announced := 0, 0, 0
	for seed := range seeds(250) {
		r := rand.New(rand.NewPCG(seed, 61))
		events := stir(t, r, randomEvents(t, r, 3+r.IntN(20), 1))
		d := newTestAccount(t)
		d.policy = randomPolicy(t, r)
		h := FoldUnder(d.policy, events)
		rest := shuffle(r, doubled(r, events))
		now := at(0)
		for len(rest) > 0 {
			n := min(1+r.IntN(4), len(rest))
			now = now.Add(time.Duration(r.IntN(3*3600)) * time.Second)
			d.arrive(now, rest[:n]...)
			rest = rest[n:]
			for range 3 { // and between arrivals whenever it asks to look
				if !d.next.IsZero() && d.next.Before(now.Add(time.Hour)) {
					now = d.next
					d.arrive(now)
				}
			}
			if !d.next.IsZero() && !d.next.After(now) {
				t.Fatalf("seed %d: the next look, %v, is not after %v", seed, d.next, now)
			}
			held += len(d.open) - d.alertedOpen()
		}
		now = now.Add(30 * 24 * time.Hour)
		d.arrive(now)
		checkEnd(t, d, h)
		var got, want []string
		for _, w := range d.st.campaigns {
			if !w.Closed {
				got = append(got, w.First.String())
			}
			campaigns++
		}
		for _, w := range h.Campaigns {
			if w.Open > 0 {
				want = append(want, w.First.String())
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("open campaigns %v, want %v", got, want)
		}
		for _, a := range d.last {
			if contains(a.Reasons, exposure.ReasonExpected) {
				announced++
				used := contains(a.Reasons, exposure.ReasonExploited) || contains(a.Reasons, exposure.ReasonChanged)
				if used && (a.Resolution == nil || *a.Resolution != exposure.Replaced) { // a merged exposure ends in its alerted severity
					t.Errorf("announced, though used: %s", a.Title)
				}
			}
			checkAlert(t, a)
		}
		if t.Failed() {
			for _, e := range events {
				t.Logf("%d %s %s %s new=%s fail=%s id=%s by=%s", seconds(e.Time), e.Name, e.User, e.Serial, e.NewUser, e.ErrorCode, e.ID, e.Actor.Name)
			}
			t.Fatalf("seed %d: %+v", seed, d.policy)
		}
	}
	t.Logf("%d campaigns, %d waits, %d announced", campaigns, held, announced)
	if !trailtest.Short() && (campaigns < 50 || held < 100 || announced < 20) {
		t.Error("too few of something: the events show nothing")
	}
}

// alertedOpen counts the open exposures that were alerted.
func (d *testAccount) alertedOpen() (n int) {
	for _, o := range d.open {
		if d.last[o.ID] != nil {
			n++
		}
	}
	return n
}

// One set of events gives one history under any policy.
func TestPolicyAnyOrderOneHistory(t *testing.T) {
	t.Parallel()
	for seed := range seeds(300) {
		r := rand.New(rand.NewPCG(seed, 62))
		events := stir(t, r, randomEvents(t, r, 5+r.IntN(30), 2))
		p := randomPolicy(t, r)
		want := asJSON(t, FoldUnder(p, events).Alerts())
		for range 3 {
			if got := asJSON(t, FoldUnder(p, shuffle(r, doubled(r, events))).Alerts()); got != want {
				t.Fatalf("seed %d: one set of events has two histories:\n%s\n%s", seed, got, want)
			}
		}
	}
}

// Neither a restart between two calls nor more calls than requested change an
// alert: alerts depend on events and time alone.
func TestPolicyExtraCallsChangeNothing(t *testing.T) {
	t.Parallel()
	n := uint64(30)
	if trailtest.Short() {
		n = 10
	}
	for seed := range n {
		r := rand.New(rand.NewPCG(seed, 63))
		events := stir(t, r, randomEvents(t, r, 10, 1))
		slices.SortStableFunc(events, func(a, b *trail.Event) int { return a.Time.Compare(b.Time) })
		asked, often := newTestAccount(t), newTestAccount(t)
		asked.policy = randomPolicy(t, r)
		often.policy = asked.policy
		var got, want []string
		note := func(to *[]string, alerts []*exposure.Alert) {
			for _, a := range alerts {
				*to = append(*to, a.ID+" "+a.Campaign+" "+strings.Join(a.Reasons, ",")+" "+a.Summary)
			}
		}
		until := func(now time.Time) {
			for !asked.next.IsZero() && !asked.next.After(now) {
				note(&want, asked.arrive(asked.next))
			}
		}
		now := at(-1)
		for _, batch := range chunk(events) {
			for k := range 4 { // looks in between, at the times that are asked for among them
				between := now.Add(batch[0].Time.Sub(now) / 5 * time.Duration(k+1))
				until(between)
				for !often.next.IsZero() && !often.next.After(between) {
					note(&got, often.arrive(often.next))
				}
				note(&got, often.arrive(between))
			}
			now = batch[0].Time.Add(500 * time.Millisecond)
			until(now)
			for !often.next.IsZero() && !often.next.After(now) {
				note(&got, often.arrive(often.next))
			}
			note(&want, asked.arrive(now, batch...))
			note(&got, often.arrive(now, batch...))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d:\ngot  %s\nwant %s", seed, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
