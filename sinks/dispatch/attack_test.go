package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sinks"
)

// A message is one message that a channel was sent.
type message struct {
	at  time.Time
	ids []string
	ref string
}

// A loggingSink logs its messages. Each takes a tenth of a second.
type loggingSink struct {
	mu       sync.Mutex
	messages []message
}

func (s *loggingSink) log(ref string, alerts ...*processor.Alert) {
	at := time.Now()
	time.Sleep(100 * time.Millisecond)
	m := message{at: at, ref: ref}
	for _, a := range alerts {
		m.ids = append(m.ids, a.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
}

func (s *loggingSink) Send(_ context.Context, a *processor.Alert, ref string) (string, error) {
	s.log(ref, a)
	return "thread of " + *a.Exposure, nil
}

// of returns the messages with an alert of that ID.
func (s *loggingSink) of(id string) (found []message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if slices.Contains(m.ids, id) {
			found = append(found, m)
		}
	}
	return found
}

// A groupingSink is a loggingSink that takes groups.
type groupingSink struct{ loggingSink }

func (s *groupingSink) SendGroup(_ context.Context, alerts []*processor.Alert) error {
	s.log("", alerts...)
	return nil
}

// attack journals alerts with these exposures, a step and a severity, in one
// account and at one time.
func (r *rig) attack(step exposure.Step, severity exposure.Severity, exposures ...string) {
	r.t.Helper()
	var out alerting.Outcome
	for _, x := range exposures {
		out.Alerts = append(out.Alerts, &exposure.Alert{ID: x + "-" + string(step), Exposure: &x, Step: step, Severity: severity, Time: time.Now(), Account: "1"})
	}
	r.alert(out.Alerts...)
}

// alert journals alerts.
func (r *rig) alert(alerts ...*exposure.Alert) {
	r.t.Helper()
	out := alerting.Outcome{Alerts: alerts}
	e := &trail.Event{ID: out.Alerts[0].ID, Account: "1", Time: time.Now(), Name: trail.DeactivateMFADevice}
	if _, err := r.j.Append(r.t.Context(), []*trail.Event{e}); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.j.Fold(r.t.Context(), time.Now(), func([]*trail.Event, alerting.State, time.Time) alerting.Outcome { return out }, nil); err != nil {
		r.t.Fatal(err)
	}
}

// Denied calls on many users, and then root loses MFA: each human sink, as it is
// configured by default, is sent root's alert in a message of its own within two
// seconds.
func TestDecoysDelayNothing(t *testing.T) {
	t.Parallel() // it waits for the disk
	for _, decoys := range []int{1, 30, 300, 3000} {
		for _, c := range []struct {
			name   string
			sink   sinks.Sink
			config DeliveryConfig
		}{
			{"pager", &loggingSink{}, DeliveryConfig{People: true, Rate: 2}},
			{"slack", &groupingSink{}, DeliveryConfig{People: true, Rate: 1, Group: GroupConfig{Wait: 30 * time.Second}}},
			{"sms", &groupingSink{}, DeliveryConfig{People: true, Group: GroupConfig{Wait: 30 * time.Second}}},
			{"email", &groupingSink{}, DeliveryConfig{People: true, Concurrency: 2, Group: GroupConfig{Wait: 30 * time.Second}}},
		} {
			t.Run(fmt.Sprintf("%s/%d", c.name, decoys), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					log, ok := c.sink.(interface{ of(id string) []message })
					if !ok {
						t.Fatal("the sink logs nothing")
					}
					r := newRig(t)
					r.start(delivery(c.config), map[string]sinks.Sink{"a": c.sink})
					var ghosts []string
					for i := range decoys {
						ghosts = append(ghosts, fmt.Sprintf("ghost%d", i))
					}
					r.attack(exposure.Attempted, exposure.Medium, ghosts...)
					time.Sleep(2 * time.Second)
					lost := time.Now()
					r.attack(exposure.Opened, exposure.Critical, "root")
					r.attack(exposure.Exploited, exposure.Critical, "root")
					time.Sleep(2 * time.Second)
					for _, id := range []string{"root-opened", "root-exploited"} {
						got := log.of(id)
						if len(got) != 1 || len(got[0].ids) != 1 || got[0].at.Sub(lost) > 2*time.Second {
							t.Errorf("%s after %d decoys: %v", id, decoys, got)
						}
					}
					if got := log.of("root-exploited"); len(got) == 1 && got[0].ref != "thread of root" {
						t.Errorf("the second step of root has the reference %q", got[0].ref)
					}
					r.stop()
				})
			})
		}
	}
}

// An exposure whose beginning was one of a group has a thread of its own from its
// next step on, over a restart too; one that grows worse leaves its group.
func TestGroupedExposureGetsItsThread(t *testing.T) {
	for _, restart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &groupingSink{}
			o := delivery(DeliveryConfig{People: true, Rate: 1, Group: GroupConfig{Wait: 30 * time.Second}})
			r := newRig(t)
			r.start(o, map[string]sinks.Sink{"a": s})
			r.attack(exposure.Opened, exposure.High, "decoy", "bob", "eve", "ann")
			time.Sleep(time.Second)
			r.attack(exposure.Exploited, exposure.Critical, "ann")
			time.Sleep(time.Second)
			if got := s.of("ann-exploited"); len(got) != 1 || len(got[0].ids) != 1 || got[0].ref != "thread of ann" {
				t.Errorf("what grew worse: %v", got)
			}
			time.Sleep(time.Minute)
			if got := s.of("bob-opened"); len(got) != 1 || !slices.Equal(got[0].ids, []string{"bob-opened", "eve-opened"}) {
				t.Errorf("the group: %v", got)
			}
			if restart {
				r.stop()
				r.start(o, map[string]sinks.Sink{"a": s})
			}
			r.attack(exposure.Opened, exposure.High, "decoy2", "decoy3", "decoy4")
			r.attack(exposure.Updated, exposure.High, "bob")
			r.attack(exposure.Escalated, exposure.High, "bob")
			time.Sleep(5 * time.Second)
			for id, ref := range map[string]string{"bob-updated": "", "bob-escalated": "thread of bob"} {
				if got := s.of(id); len(got) != 1 || len(got[0].ids) != 1 || got[0].ref != ref {
					t.Errorf("%s: %v, want it alone with the reference %q", id, got, ref)
				}
			}
			r.idle()
			r.stop()
		})
	}
}

// decoys are the names of exposures.
func decoys(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("ghost%d", i))
	}
	return names
}

// More alerts are pending than a worker keeps in memory, and then root loses MFA:
// the worker looks for critical alerts beyond what it keeps, over a restart too,
// and sends them once.
func TestCriticalBeyondTheMemory(t *testing.T) {
	const memory, pending = 4 * lookAhead, 4*lookAhead + 4464
	synctest.Test(t, func(t *testing.T) {
		s := &loggingSink{}
		o := delivery(DeliveryConfig{People: true, Rate: 2})
		r := newRig(t)
		r.memory = memory
		r.start(o, map[string]sinks.Sink{"a": s})
		r.attack(exposure.Attempted, exposure.Medium, decoys(pending)...)
		time.Sleep(2 * time.Second)
		for _, name := range []string{"root", "admin"} {
			lost := time.Now()
			r.attack(exposure.Opened, exposure.High, name)
			r.attack(exposure.Exploited, exposure.Critical, name)
			time.Sleep(2 * time.Second)
			for _, id := range []string{name + "-opened", name + "-exploited"} {
				if got := s.of(id); len(got) != 1 || got[0].at.Sub(lost) > 2*time.Second {
					t.Errorf("%s: %v", id, got)
				}
			}
			if got := s.of(name + "-exploited"); len(got) == 1 && got[0].ref != "thread of "+name {
				t.Errorf("the second step of %s has the reference %q", name, got[0].ref)
			}
			r.stop()
			r.start(o, map[string]sinks.Sink{"a": s})
		}
		r.stop()
	})
}

// However many critical alerts a run left, the next one knows that each of them may
// have arrived.
func TestAllThatWereLeftMayHaveArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &fakeSink{t: t, answer: func(context.Context, *processor.Alert, string) (string, error) {
			return "", sinks.Throttled(errors.New("429"), time.Minute)
		}}
		r.start(Options{}, map[string]sinks.Sink{"a": s})
		var names []string
		for i := range 3*lookAhead + 1 {
			names = append(names, fmt.Sprint("bob", i))
		}
		r.attack(exposure.Exploited, exposure.Critical, names...)
		r.stop()
		r.start(Options{}, map[string]sinks.Sink{"a": s})
		if want := uint64(len(names)); r.d.before != want {
			t.Errorf("of %d alerts %d may have arrived", want, r.d.before)
		}
		r.stop()
	})
}

// An alert that was fetched as urgent is not fetched again when its turn comes, and
// an exposure keeps its order.
func TestUrgentIsFetchedOnce(t *testing.T) {
	r := newRig(t)
	r.j = openJournal(t, r.path)
	w, err := New(r.j, "a", &loggingSink{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.attack(exposure.Attempted, exposure.Medium, decoys(lookAhead)...)
	r.attack(exposure.Opened, exposure.High, "root", "bob")
	r.attack(exposure.Exploited, exposure.Critical, "root")
	r.attack(exposure.Updated, exposure.High, "root")
	fetch := func(room int) {
		t.Helper()
		known := w.known
		w.known, w.more, w.unseen = maxKnown-room, true, true
		if err := w.fetch(time.Now()); err != nil {
			t.Fatal(err)
		}
		w.known += known - (maxKnown - room)
	}
	fetch(1) // one page of decoys
	if l := w.lanes["root"]; l == nil || len(l.queue) != 3 || l.queue[0].Step != exposure.Opened || w.lanes["bob"] != nil {
		t.Fatalf("root %+v, bob %+v", l, w.lanes["bob"])
	}
	fetch(0)
	r.attack(exposure.Attempted, exposure.Critical, "root")
	fetch(0)
	fetch(maxKnown)
	if got := len(w.lanes["root"].queue); got != 4 || len(w.lanes["bob"].queue) != 1 || w.known != lookAhead+5 {
		t.Errorf("root has %d alerts, bob %d; %d are known", got, len(w.lanes["bob"].queue), w.known)
	}
	if err := r.j.Close(); err != nil {
		t.Error(err)
	}
}

// A hangingSink is a loggingSink whose decoys hang until they time out.
type hangingSink struct{ loggingSink }

func (s *hangingSink) Send(ctx context.Context, a *processor.Alert, ref string) (string, error) {
	if a.Severity != exposure.Critical {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return s.loggingSink.Send(ctx, a, ref)
}

// Sends of decoys hang in every place of a human sink: a critical alert waits for
// none of them.
func TestHangingSendsDelayNothing(t *testing.T) {
	for _, n := range []int{30, 3000} {
		for _, concurrency := range []int{1, 8} {
			synctest.Test(t, func(t *testing.T) {
				s := &hangingSink{}
				r := newRig(t)
				r.start(delivery(DeliveryConfig{People: true, Concurrency: concurrency}), map[string]sinks.Sink{"a": s})
				r.attack(exposure.Attempted, exposure.Medium, decoys(n)...)
				time.Sleep(2 * time.Second)
				lost := time.Now()
				r.attack(exposure.Opened, exposure.Critical, "root")
				r.attack(exposure.Exploited, exposure.Critical, "root")
				time.Sleep(2 * time.Second)
				for _, id := range []string{"root-opened", "root-exploited"} {
					if got := s.of(id); len(got) != 1 || got[0].at.Sub(lost) > 2*time.Second {
						t.Errorf("%s behind %d sends that hang: %v", id, concurrency, got)
					}
				}
				r.stop()
			})
		}
	}
}

// Sends are admitted as urgent if a critical alert of their exposure is pending.
func TestAdmittedAsUrgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		o := delivery(DeliveryConfig{People: true, Concurrency: 1})
		var admitted []bool
		o.Admit = func(_ context.Context, urgent bool) (func(), error) {
			admitted = append(admitted, urgent)
			return func() {}, nil
		}
		r.start(o, map[string]sinks.Sink{"a": &loggingSink{}})
		r.attack(exposure.Opened, exposure.High, "root")
		time.Sleep(time.Second)
		r.attack(exposure.Exploited, exposure.Critical, "root")
		time.Sleep(time.Second)
		r.attack(exposure.Updated, exposure.High, "root")
		r.idle()
		r.stop()
		if !slices.Equal(admitted, []bool{false, true, false}) {
			t.Errorf("admitted as urgent: %v, want the second alone", admitted)
		}
	})
}
