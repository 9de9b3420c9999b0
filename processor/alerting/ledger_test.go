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

// brief renders alerts in full, except the order of those of one time.
func brief(alerts []*exposure.Alert) string {
	var lines []string
	for _, a := range alerts {
		lines = append(lines, fmt.Sprint(a.ID, a.Step, a.Severity, a.Reasons, a.Campaign, a.Summary))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Folding the subjects of an account one by one returns the alerts of folding
// the account as a whole, at the same times, for any policy, order, doubling and
// splitting. testAccount checks each step.
func TestSubjectsFoldAsTheirAccount(t *testing.T) {
	t.Parallel()
	compared, joined := 0, 0
	for seed := range seeds(400) {
		r := rand.New(rand.NewPCG(seed, 71))
		events := stir(t, r, randomEvents(t, r, 3+r.IntN(25), 1))
		var l Ledger
		d := newTestAccount(t)
		d.policy = randomPolicy(t, r)
		rest := shuffle(r, doubled(r, events))
		now := at(0)
		for len(rest) > 0 {
			n := min(1+r.IntN(4), len(rest))
			now = now.Add(time.Duration(r.IntN(3*3600)) * time.Second)
			before := len(subjectSet(&l))
			l.Append(rest[:n]...)
			if len(subjectSet(&l)) < before {
				joined++
			}
			got, next := l.Fold(now, d.policy)
			want := d.arrive(now, rest[:n]...)
			if brief(got) != brief(want) || t.Failed() {
				t.Fatalf("seed %d at %v: subjects\n%s\nthe account\n%s", seed, now, brief(got), brief(want))
			}
			if next.IsZero() != d.next.IsZero() || next.After(d.next) && d.next.After(now.Add(time.Second)) { // a subject looks no later
				t.Fatalf("seed %d: next %v, the account's %v", seed, next, d.next)
			}
			rest = rest[n:]
			compared += len(got)
		}
	}
	if !trailtest.Short() && (compared < 1000 || joined < 20) {
		t.Errorf("only %d alerts were compared, %d subjects joined", compared, joined)
	}
}

func subjectSet(l *Ledger) map[*ledgerSubject]bool {
	distinct := map[*ledgerSubject]bool{}
	for _, s := range l.subjects {
		distinct[s] = true
	}
	return distinct
}

func TestKeysJoin(t *testing.T) {
	for _, c := range []struct{ event, want string }{
		{"0 deactivate Bob serial=A", "user:bob device:a"},
		{"0 rename bob new=ROB", "user:bob user:rob"},
		{"0 rename bob new=BOB", "user:bob"},
		{"0 deletevirtual - serial=A", "device:a"},
		{"0 deactivate root", "user:aws root user"},
		{"0 deactivate - id=x", "event:x"},
		{"0 enable bob serial=A fail=NoSuchEntity", "user:bob"}, // a caller may name any device
		{"0 deletevirtual - serial=A fail=AccessDenied", "device:a"},
	} {
		if got := strings.Join(exposure.Keys(script(t, c.event)[0]), " "); got != c.want {
			t.Errorf("%s: keys %q, want %q", c.event, got, c.want)
		}
	}
}

// A path that one user's call shows reaches the user whose it is, however the
// events arrive.
func TestPathsReachTheirUsers(t *testing.T) {
	policy := exposure.DefaultPolicy()
	policy.Privileged = append(policy.Privileged, match(t, map[string]any{"path": "/admins/*"}))
	call := script(t, "0 createlogin eve by=bob")
	call[0].Actor.ARN = "arn:aws:iam::111122223333:user/admins/bob"
	removal := script(t, "60 deactivate bob serial=A id=r")
	for _, batches := range [][][]*trail.Event{{call, removal}, {append(slices.Clone(removal), call...)}} {
		var l Ledger
		var alerts []*exposure.Alert
		for _, b := range batches {
			l.Append(b...)
			more, _ := l.Fold(at(90), policy)
			alerts = append(alerts, more...)
		}
		if len(alerts) != 1 || alerts[0].Severity != exposure.Critical || alerts[0].Path != "/admins/" {
			t.Errorf("got %s", show(alerts))
		}
	}
}
