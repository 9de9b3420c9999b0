package alerting

import (
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

// deniedCalls are many failed calls of few actors on few targets, in bursts and
// apart, and sign-ins of the same users.
func deniedCalls(t *testing.T, r *rand.Rand, n int) []*trail.Event {
	var text strings.Builder
	for i := range n {
		s := r.IntN(8)*3500 + r.IntN(1200)
		user := []string{"bob", "eve"}[r.IntN(2)]
		if r.IntN(3) == 0 {
			fmt.Fprintf(&text, "%d login+ %s id=l%d-%x\n", s, user, i, r.Uint32())
			continue
		}
		fmt.Fprintf(&text, "%d deactivate %s by=%s fail=%s id=d%d-%x\n", s, user, []string{"ann", "dan"}[r.IntN(2)],
			[]string{"AccessDenied", "AccessDeniedException", "NoSuchEntity"}[r.IntN(3)], i, r.Uint32())
	}
	return script(t, text.String())
}

// sum renders attempts by actor and target, with their number of calls.
func sum(attempts []*exposure.Attempt) string {
	var lines []string
	for _, a := range attempts {
		lines = append(lines, fmt.Sprint(a.Actor.Name, a.User, seconds(a.First), seconds(a.Last), a.Count, len(a.Codes)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// The samples and the counts are the same for any order and splitting of the
// events, any number of copies, and any number of calls in between.
func TestOneSetOneReduction(t *testing.T) {
	t.Parallel()
	policy := exposure.DefaultPolicy()
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 81))
		events := deniedCalls(t, r, 100+r.IntN(400))
		want := Notify(events, State{}, at(40000), policy).State.memory.Counters
		for range 2 {
			rest := shuffle(r, slices.Clone(events))
			var l Ledger
			for len(rest) > 0 {
				n := min(1+r.IntN(150), len(rest))
				l.Append(rest[:n]...)
				l.Append(rest[:r.IntN(n+1)]...) // again
				rest = rest[n:]
				l.Fold(at(40000), policy)
			}
			var kept []*trail.Event
			var st State
			for s := range subjectSet(&l) {
				kept, st = append(kept, s.Events...), st.Merge(s.State)
			}
			if got, want := asJSON(t, st.memory.Counters), asJSON(t, want); got != want {
				t.Fatalf("seed %d: counters\n%s\nwant\n%s", seed, got, want)
			}
			if got, want := sum(exposure.FoldSubject(kept, st.memory, &policy, time.Time{}).Attempts), sum(FoldUnder(policy, events).Attempts); got != want {
				t.Fatalf("seed %d: attempts\n%s\nwant\n%s", seed, got, want)
			}
			if len(kept) == len(events) {
				t.Fatalf("seed %d: nothing was counted", seed)
			}
		}
	}
}

// 100,000 denied calls by one actor on one target keep few samples; first, last,
// number and codes are those of all, and copies count once.
func TestAttemptsAreCounters(t *testing.T) {
	t.Parallel()
	var l Ledger
	policy := exposure.DefaultPolicy()
	var alerts []*exposure.Alert
	batches := 100
	if trailtest.Short() {
		batches = 20
	}
	for batch := range batches {
		var events []*trail.Event
		for i := range 1000 {
			e := script(t, fmt.Sprintf("%d deactivate root by=mallory fail=AccessDenied id=d%d-%d", batch*1000+i, batch, i))[0]
			e.Raw = []byte(`{"pad":"` + strings.Repeat("x", 2000) + `"}`)
			events = append(events, e)
		}
		l.Append(events...)
		l.Append(events[:10]...)
		more, _ := l.Fold(at(batch*1000+1000), policy)
		alerts = append(alerts, more...)
	}
	if len(alerts) != 1 || alerts[0].Step != exposure.Attempted {
		t.Errorf("alerted %s", show(alerts))
	}
	for s := range subjectSet(&l) {
		if exposure.ActorLane(s.lane) {
			continue
		}
		if got, want := sum(exposure.FoldSubject(s.Events, s.State.memory, &policy, time.Time{}).Attempts), fmt.Sprintf("malloryAWS ROOT USER0 %d %d 1", 1000*batches-1, 1000*batches); len(s.Events) > 16 || got != want {
			t.Errorf("%d events are kept, attempts %s", len(s.Events), got)
		}
	}
}

// Sign-ins with MFA that change nothing stay few, and still prove devices.
func TestSignInsStayFew(t *testing.T) {
	var l Ledger
	policy := exposure.DefaultPolicy()
	for day := range 30 {
		var events []*trail.Event
		for i := range 500 {
			e := script(t, fmt.Sprintf("%d login+ bob id=l%d-%d", day*86400+i*60, day, i))[0]
			e.Actor.SourceIP = fmt.Sprintf("192.0.2.%d", i%200)
			events = append(events, e)
		}
		l.Append(events...)
		l.Fold(at(day*86400+31000), policy)
	}
	for s := range subjectSet(&l) {
		if n := len(s.Events); n > 31*16 {
			t.Errorf("%d of 15,000 sign-ins are kept", n)
		}
	}
	l.Append(script(t, fmt.Sprintf("%d deactivate bob serial=A id=r", 29*86400+29000))...)
	alerts, _ := l.Fold(at(29*86400+31000), policy)
	if got := show(alerts); !strings.HasPrefix(got, "bob resolved@") || !strings.HasSuffix(got, "mfa_seen") {
		t.Errorf("got %s", got)
	}
}
