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

// randomEvents is a day of an account with few users, actors and devices, so
// that events meet, and few times, so that they tie.
func randomEvents(t testing.TB, r *rand.Rand, n, accounts int) []*trail.Event {
	verbs := []string{"deactivate", "deactivate", "deactivate", "enable", "enable", "resync", "createvirtual", "deletevirtual", "createuser", "rename",
		"deleteuser", "createlogin", "deletelogin", "createkey", "deletekey", "updatekey", "attach", "detach", "password", "login+", "login-", "login?", "checkmfa"}
	users := []string{"bob", "Bob", "eve", "rob", "root", "-"}
	pick := func(of []string) string { return of[r.IntN(len(of))] }
	var events []*trail.Event
	for i := range n {
		verb, user := pick(verbs), pick(users)
		if verb == "deletevirtual" {
			user = "-"
		}
		if user == "root" && (verb == "rename" || verb == "deleteuser" || verb == "createuser") {
			user = "eve"
		}
		line := fmt.Sprintf("%d %s %s id=%08x%d serial=%s by=%s origin=o%d", r.IntN(n*3)*1000/(1+r.IntN(3)*999), verb, user, r.Uint32(), i,
			pick([]string{"A", "B", "C", ""}), pick([]string{"ann", "dan"}), r.IntN(4))
		if verb == "rename" {
			line += " new=" + pick(users[:4])
		}
		if r.IntN(2) == 0 {
			line += " from=" + pick([]string{"203.0.113.7", "192.0.2.9", "AWS"})
		}
		if r.IntN(3) == 0 {
			line += " mfa=" + pick([]string{"", "no"})
		}
		if r.IntN(4) == 0 && user != "-" {
			line += " by=" + user + " self"
		}
		if r.IntN(8) == 0 {
			line += " fail=" + pick([]string{"AccessDenied", "AccessDeniedException", "NoSuchEntity"})
		}
		if accounts > 1 && r.IntN(2) == 0 {
			line += " account=444455556666"
		}
		events = append(events, script(t, line)...)
	}
	return events
}

// doubled returns events with some copies of another origin.
func doubled(r *rand.Rand, events []*trail.Event) []*trail.Event {
	out := slices.Clone(events)
	for _, e := range events {
		if r.IntN(3) == 0 {
			c := *e
			c.Origin = fmt.Sprintf("o%d", 4+r.IntN(4))
			out = append(out, &c)
		}
	}
	return out
}

func shuffle(r *rand.Rand, events []*trail.Event) []*trail.Event {
	r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	return events
}

func TestR30_AnyOrderOneHistory(t *testing.T) {
	t.Parallel()
	for seed := range seeds(300) {
		r := rand.New(rand.NewPCG(seed, 30))
		events := randomEvents(t, r, 5+r.IntN(40), 2)
		want := asJSON(t, Fold(events).Alerts())
		for range 4 {
			if got := asJSON(t, Fold(shuffle(r, doubled(r, events))).Alerts()); got != want {
				t.Fatalf("seed %d: one set of events has two histories:\n%s\n%s", seed, got, want)
			}
		}
	}
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Every History is consistent.
func TestHistoryInvariants(t *testing.T) {
	t.Parallel()
	for seed := range seeds(300) {
		r := rand.New(rand.NewPCG(seed, 31))
		events := randomEvents(t, r, 60, 1)
		h := Fold(events)
		ids := map[string]bool{}
		for _, a := range h.Alerts() {
			if ids[a.ID] {
				t.Fatalf("seed %d: two alerts have the ID %s", seed, a.ID)
			}
			ids[a.ID] = true
			checkAlert(t, a)
		}
		removals := map[string]bool{}
		for _, e := range events {
			if e.Name == trail.DeactivateMFADevice && !e.Failed() {
				removals[e.ID] = true
			}
		}
		want, deactivations := len(removals), 0
		openOf := map[string]int{}
		for _, x := range h.Exposures {
			for _, id := range x.RecognizedBy() {
				if removals[id] {
					deactivations++
				}
			}
			if x.Open() {
				openOf[exposure.FoldName(x.User)]++
			}
			if x.ResolvedAt != nil && x.ResolvedAt.Before(x.OpenedAt) || x.Open() == x.Reduced && x.ResolvedAt == nil {
				t.Fatalf("seed %d: %+v", seed, x)
			}
			for i, m := range x.Steps {
				if i > 0 && (m.Time.Before(x.Steps[i-1].Time) || x.Steps[i-1].Step == exposure.Resolved || m.Step == exposure.Opened || m.Step == exposure.Reduced) {
					t.Fatalf("seed %d: steps %+v", seed, x.Steps)
				}
			}
		}
		for user, n := range openOf {
			if n > 1 && user != "" && user != "bob" && user != "eve" && user != "rob" || n > 1 && user == exposure.FoldName(trail.RootUser) {
				t.Fatalf("seed %d: %d are open of %q", seed, n, user)
			}
		}
		if deactivations != want {
			t.Fatalf("seed %d: %d of %d deactivations belong to an exposure", seed, deactivations, want)
		}
	}
}

func checkAlert(t testing.TB, a *exposure.Alert) {
	t.Helper()
	if a.Schema != exposure.Schema || a.ID == "" || a.Title == "" || a.Summary == "" || a.Reasons == nil || len(a.Attack) == 0 ||
		a.Protection == "" || a.Device.Kind == "" || a.Event.ID == "" || a.Severity.Level() < 0 || !slices.Contains(exposure.Steps, a.Step) || a.Time.IsZero() {
		t.Errorf("incomplete: %+v", a)
	}
	alone, tried := a.Step == exposure.Attempted || a.Step == exposure.Failed || a.Step == exposure.Enrolled, a.Step == exposure.Attempted || a.Step == exposure.Failed
	if alone != (a.Exposure == nil) || tried != (a.Attempts != nil) || alone != (a.OpenedAt == nil) || (a.Step == exposure.Suspect) != (len(a.Checks) > 0) ||
		(a.Step == exposure.Resolved) != (a.ResolvedAt != nil) || (a.Step == exposure.Resolved) != (a.Resolution != nil) || (a.Step == exposure.Escalated) != (a.Escalation != nil) {
		t.Errorf("what belongs to another step: %+v", a)
	}
}

// For any order and batches of events, in the end the open exposures are those
// of Fold, ended ones were resolved, and no alert was repeated (testAccount
// checks the last two at each step).
func TestNotifyAnyArrival(t *testing.T) {
	t.Parallel()
	for seed := range seeds(600) {
		r := rand.New(rand.NewPCG(seed, 32))
		events := randomEvents(t, r, 3+r.IntN(25), 1)
		d := newTestAccount(t)
		h := FoldUnder(d.policy, events)
		rest := shuffle(r, doubled(r, events))
		now := at(0)
		for len(rest) > 0 {
			n := min(1+r.IntN(4), len(rest))
			now = now.Add(time.Duration(r.IntN(3*3600)) * time.Second)
			d.arrive(now, rest[:n]...)
			rest = rest[n:]
		}
		now = now.Add(30 * 24 * time.Hour)
		d.arrive(now)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		checkEnd(t, d, h)
		if t.Failed() {
			for _, e := range events {
				t.Logf("%d %s %s %s new=%s fail=%s id=%s", seconds(e.Time), e.Name, e.User, e.Serial, e.NewUser, e.ErrorCode, e.ID)
			}
			t.Fatalf("seed %d", seed)
		}
	}
}

// checkEnd compares the last alerts with the history.
func checkEnd(t testing.TB, d *testAccount, h History) {
	t.Helper()
	var got, want []string
	for _, o := range d.open {
		got = append(got, fmt.Sprint(o.User, o.OpenedAt, o.Severity))
	}
	named := map[string]*delivered{}
	st := d.st
	for i := range st.delivered {
		for _, id := range st.delivered[i].Deactivations {
			named[id] = &st.delivered[i]
		}
	}
	for _, x := range h.Exposures {
		if x.Open() {
			want = append(want, fmt.Sprint(x.User, x.OpenedAt, x.AsOpen().Severity))
		}
		s := named[x.First().ID]
		if s == nil {
			t.Errorf("nothing is known of an exposure of %q", x.User)
			continue
		}
		last := d.last[s.ID]
		switch {
		case last == nil:
			t.Errorf("no alert of an exposure of %q", x.User)
		case x.ResolvedAt != nil && last.Step != exposure.Resolved,
			x.Open() && (last.Step == exposure.Resolved || last.Step == exposure.Reduced),
			x.Reduced && last.Step != exposure.Reduced && (last.Step != exposure.Resolved || *last.Resolution != exposure.Replaced && !s.Closed):
			t.Errorf("of an exposure of %q, open %v, reduced %v, the last alert is %s", x.User, x.Open(), x.Reduced, last.Step)
		}
		if x.Exploited != s.Exploited && x.Exploited {
			t.Errorf("that an exposure of %q was exploited is not notified", x.User)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("open are %q, want %q", got, want)
	}
}

// In order and one by one, the resolutions are those of Fold.
func TestNotifyInOrderIsTheHistory(t *testing.T) {
	t.Parallel()
	for seed := range seeds(300) {
		r := rand.New(rand.NewPCG(seed, 33))
		events := randomEvents(t, r, 30, 1)
		slices.SortFunc(events, func(a, b *trail.Event) int {
			if c := a.Time.Compare(b.Time); c != 0 {
				return c
			}
			return int(exposure.Rank(a)) - int(exposure.Rank(b))
		})
		d := newTestAccount(t)
		d.policy.EscalateAfter, d.policy.Campaign = nil, exposure.Campaigns{} // Fold knows neither
		for _, batch := range chunk(events) {
			d.arrive(batch[0].Time.Add(time.Minute), batch...)
		}
		for _, a := range Fold(events).Alerts() {
			if !d.ids[a.ID] && (a.Step == exposure.Resolved || a.Step == exposure.Reduced) {
				t.Fatalf("seed %d: %s was not alerted", seed, a.Title)
			}
		}
	}
}

// chunk splits where the second changes: within one, order of arrival does not
// matter.
func chunk(events []*trail.Event) [][]*trail.Event {
	var out [][]*trail.Event
	for i, e := range events {
		if i == 0 || !e.Time.Equal(events[i-1].Time) {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], e)
	}
	return out
}

// withoutEnrolled leaves out what depends on who created a user a day before,
// which is longer than the retention of the test.
func withoutEnrolled(alerts []*exposure.Alert) []*exposure.Alert {
	return slices.DeleteFunc(slices.Clone(alerts), func(a *exposure.Alert) bool { return a.Step == exposure.Enrolled })
}

// Dropping events past the retention changes no alert.
func TestDropsChangeNothing(t *testing.T) {
	t.Parallel()
	compared := 0
	for seed := range seeds(300) {
		r := rand.New(rand.NewPCG(seed, 34))
		events := randomEvents(t, r, 60, 1)
		slices.SortFunc(events, func(a, b *trail.Event) int { return a.Time.Compare(b.Time) })
		for _, e := range events { // whom a serial belonged to is forgotten, too
			if e.User == "" && e.Name == trail.DeactivateMFADevice || e.Failed() {
				e.User = "bob"
			}
			if e.Name == trail.DeleteVirtualMFADevice { // or of a device without a known user
				e.Serial = "D"
			}
		}
		former := map[string]string{} // former names of users
		for _, e := range events {
			user := exposure.FoldName(e.User)
			if (e.Name == trail.CreateUser || e.Name == trail.DeleteUser) && !e.Failed() {
				delete(former, user)
			} else if now := former[user]; now != "" {
				e.User = now
			}
			if e.Name == trail.UpdateUser && e.User != "" && !e.Failed() && exposure.FoldName(e.NewUser) != exposure.FoldName(e.User) {
				delete(former, exposure.FoldName(e.NewUser))
				for name, now := range former {
					if exposure.FoldName(now) == exposure.FoldName(e.User) {
						former[name] = e.NewUser
					}
				}
				former[exposure.FoldName(e.User)] = e.NewUser
			}
		}
		short, long := newTestAccount(t), newTestAccount(t)
		short.policy.Retention, long.policy.Retention = 30*time.Hour, 0
		short.policy.EscalateAfter, long.policy.EscalateAfter = nil, nil
		for i, e := range events {
			e.Time = e.Time.Add(time.Duration(i) * time.Hour)
		}
		for i := 0; i < len(events); {
			n := min(1+r.IntN(3), len(events)-i)
			batch := shuffle(r, slices.Clone(events[i:i+n]))
			now := at(0)
			for _, e := range batch {
				if e.Time.After(now) {
					now = e.Time
				}
			}
			got, want := show(withoutEnrolled(short.arrive(now, batch...))), show(withoutEnrolled(long.arrive(now, batch...)))
			if !strings.EqualFold(got, want) { // the spelling of a name may be forgotten
				if strings.Contains(want, "exploited") {
					break // what was only reduced is forgotten with the retention: nothing to reopen
				}
				t.Fatalf("seed %d, event %d:\ngot  %s\nwant %s", seed, i, got, want)
			}
			compared++
			i += n
		}
		if len(short.events) > len(long.events) {
			t.Fatalf("seed %d: %d of %d events are kept", seed, len(short.events), len(long.events))
		}
	}
	if compared < 5000 && !trailtest.Short() {
		t.Errorf("only %d arrivals were compared", compared)
	}
}

// intruderEvents are the acts of an intruder with bob's password and an
// administrator's session, but neither bob's address nor the help desk's identity.
// No event of bob's own is among them.
func intruderEvents(t testing.TB, r *rand.Rand, n int) []*trail.Event {
	acts := []string{"deactivate bob serial=%s by=mallory", "deactivate bob serial=%s by=bob self", "enable bob serial=%s by=mallory", "enable bob serial=%s by=bob self",
		"resync bob serial=%s by=bob self", "login- bob serial=%s", "login+ bob serial=%s", "checkmfa bob", "deletevirtual - serial=%s by=mallory",
		"createkey bob by=mallory detail=AKIA%s", "deletekey bob by=mallory detail=AKIA%s", "createlogin bob by=mallory", "deletelogin bob by=mallory",
		"attach bob by=mallory detail=p%s", "detach bob by=mallory detail=p%s", "password bob by=bob self", "rename bob new=rob by=mallory", "guess bob"}
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var events []*trail.Event
	for i := range n {
		act := strings.ReplaceAll(pick(acts...), "%s", pick("A", "B", "C"))
		line := fmt.Sprintf("%d %s id=m%d mfa=%s from=%s", 701+r.IntN(3*3600), act, i, pick("yes", "no", "unknown"), pick("203.0.113.66", "203.0.113.67", "192.0.2.1", "AWS", ""))
		events = append(events, script(t, line)...)
	}
	return events
}

// J1, J2: nothing that an intruder does ends an exposure that was exploited or
// changed as if nothing had happened, in any order, doubled, and split.
func TestJ2_NoIntruderEndsAnExposure(t *testing.T) {
	t.Parallel()
	used := 0
	for seed := range seeds(1500) {
		r := rand.New(rand.NewPCG(seed, 2))
		events := append(script(t, "-86400 login+ bob from=198.51.100.7 id=own; -86000 enable bob serial=A by=bob self from=198.51.100.7 id=own2; 600 deactivate bob by=mallory from=203.0.113.66 id=r; 700 login- bob from=203.0.113.66 id=x"),
			intruderEvents(t, r, 4+r.IntN(25))...)
		h := FoldUnder(exposure.DefaultPolicy(), events)
		for _, x := range h.Exposures {
			if !x.ExploitedOrChanged() {
				continue
			}
			used++
			if last := x.Steps[len(x.Steps)-1]; x.ResolvedAt != nil && (x.Resolution != exposure.UserDeleted || last.Severity != exposure.Critical) {
				t.Errorf("seed %d: ended with %s: %v", seed, x.Resolution, x.Reasons)
			}
		}
		if t.Failed() {
			for _, e := range events {
				t.Logf("%d %s %s %s by=%s from=%s", seconds(e.Time), e.Name, e.User, e.Serial, e.Actor.Name, e.Actor.SourceIP)
			}
			t.FailNow()
		}
		if want := asJSON(t, h.Alerts()); seed%10 == 0 && asJSON(t, FoldUnder(exposure.DefaultPolicy(), shuffle(r, doubled(r, events))).Alerts()) != want {
			t.Fatalf("seed %d: the order changes the history", seed)
		}
		if seed%25 == 0 {
			d := newTestAccount(t)
			now := at(0)
			for rest := shuffle(r, doubled(r, events)); len(rest) > 0; {
				k := min(1+r.IntN(4), len(rest))
				now = now.Add(time.Duration(r.IntN(3600)) * time.Second)
				d.arrive(now, rest[:k]...)
				rest = rest[k:]
			}
			d.arrive(now.Add(30 * 24 * time.Hour))
			checkEnd(t, d, h)
		}
	}
	if used < 1500 && !trailtest.Short() {
		t.Errorf("only %d exposures were used", used)
	}
}

// seeds returns how many random cases a property is tried with: n, or a tenth where
// tests are to be short.
func seeds(n uint64) uint64 {
	if trailtest.Short() {
		return n / 10
	}
	return n
}
