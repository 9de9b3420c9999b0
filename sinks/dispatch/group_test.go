package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/sinks"
)

func resultOf(n uint64) outbox.Result { return outbox.Result{Number: n} }

// A groupSink takes several alerts in one message.
type groupSink struct {
	fakeSink
	groups [][]string
	when   []time.Time
	refuse func(alerts []*processor.Alert) error // nil: delivered
}

func (s *groupSink) SendGroup(_ context.Context, alerts []*processor.Alert) error {
	var ids []string
	for _, a := range alerts {
		ids = append(ids, a.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups = append(s.groups, ids)
	s.when = append(s.when, time.Now())
	if s.refuse != nil {
		if err := s.refuse(alerts); err != nil {
			return err
		}
	}
	s.delivered = append(s.delivered, ids...)
	return nil
}

func (s *groupSink) list() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.groups)
}

func grouping(g GroupConfig) Options { return delivery(DeliveryConfig{Group: g}) }

// The first alert is sent immediately, the exposures that follow in one message
// for each group window, and after the burst the next one is sent immediately
// again. Later alerts of an exposure have messages of their own.
func TestBurstBecomesGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &groupSink{fakeSink: fakeSink{t: t}}
		machine := &fakeSink{t: t}
		o := grouping(GroupConfig{Wait: time.Minute})
		r.start(o, map[string]sinks.Sink{"a": s, "m": machine}) // the machine cannot: unaffected
		begin := time.Now()
		journalAlerts(t, r.j, "x-1")
		time.Sleep(time.Second)
		if sends, _ := s.lists(); len(sends) != 1 {
			t.Fatalf("the first was not sent at once: %v", sends)
		}
		journalAlerts(t, r.j, "x-2", "t-1", "u-1", "y-1", "z-1")
		time.Sleep(time.Second)
		if sends, _ := s.lists(); len(sends) != 2 {
			t.Fatalf("the first exposure did not go on immediately: %v", sends)
		}
		if _, delivered := machine.lists(); len(delivered) != 6 {
			t.Errorf("the machine sink was sent %v", delivered)
		}
		time.Sleep(60 * time.Second)
		journalAlerts(t, r.j, "w-1", "y-2", "s-1")
		r.idle()
		want := [][]string{{"t-1", "u-1", "y-1", "z-1"}, {"w-1", "s-1"}}
		if !slices.EqualFunc(s.list(), want, slices.Equal) {
			t.Fatalf("groups %v, want %v", s.list(), want)
		}
		for i, at := range s.when {
			if d := at.Sub(begin) - time.Duration(i+1)*time.Minute; d < 0 || d > time.Second {
				t.Errorf("group %d was sent %s after its time", i, d)
			}
		}
		time.Sleep(3 * time.Minute)
		calm := time.Now()
		journalAlerts(t, r.j, "v-1")
		r.idle()
		if time.Since(calm) > time.Second {
			t.Error("after the burst the first alert was held back")
		}
		sends, _ := s.lists()
		equal(t, "sent alone", sends, []string{"x-1", "x-2", "y-2", "v-1"})
		if st, err := r.j.Stats(); err != nil || st.Sinks["a"].Pending != 0 {
			t.Errorf("pending %+v, %v", st.Sinks, err)
		}
		r.stop()
	})
}

func TestGroupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &groupSink{fakeSink: fakeSink{t: t}}
		r.start(grouping(GroupConfig{Wait: time.Minute, Max: 10}), map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, many(36)...) // one alone, three full groups immediately, five at the end
		time.Sleep(time.Second)
		if len(s.list()) != 3 {
			t.Errorf("%d full groups at once, want 3", len(s.list()))
		}
		r.idle()
		if len(s.list()) != 4 || len(s.list()[3]) != 5 {
			t.Errorf("groups %v", s.list())
		}
		_, delivered := s.lists()
		slices.Sort(delivered)
		equal(t, "delivered", delivered, many(36))
		r.stop()
	})
}

// A group that fails is retried; one that is refused is sent alert by alert,
// so that only the poison alert becomes a dead letter.
func TestGroupThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		failures := 0
		s := &groupSink{fakeSink: fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (string, error) {
			if a.ID == "y-1" {
				return "", sinks.Permanent(errors.New("too long"))
			}
			return "", nil
		}}}
		s.refuse = func(alerts []*processor.Alert) error {
			if failures++; failures == 1 {
				return errors.New("502")
			}
			if slices.ContainsFunc(alerts, func(a *processor.Alert) bool { return a.ID == "y-1" }) {
				return sinks.Permanent(errors.New("too long"))
			}
			return nil
		}
		r.start(grouping(GroupConfig{Wait: time.Minute}), map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "x-1", "x-2", "y-1", "y-2", "z-1")
		r.idle()
		_, delivered := s.lists()
		slices.Sort(delivered)
		equal(t, "delivered", delivered, []string{"x-1", "x-2", "y-2", "z-1"})
		letters, err := r.j.DeadLetters("a")
		if err != nil || len(letters) != 1 || letters[0].Alert.ID != "y-1" {
			t.Errorf("dead letters %+v, %v", letters, err)
		}
		r.stop()
	})
}

// A group gives its exposures no references, and takes none of those that have a
// place of their own at the channel: they go on there.
func TestGroupKeepsRefs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var mu sync.Mutex
		var refs []string
		s := &groupSink{fakeSink: fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, ref string) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			refs = append(refs, a.ID+":"+ref)
			return "thread-" + *a.Exposure, nil
		}}}
		o := grouping(GroupConfig{Wait: time.Minute})
		r.start(o, map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "x-1", "y-1", "x-2", "z-1")
		r.idle()
		r.stop()
		r.start(o, map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "x-3", "y-2")
		r.idle()
		slices.Sort(refs)
		equal(t, "refs", refs, []string{"x-1:", "x-2:thread-x", "x-3:thread-x", "y-2:"})
		if groups := s.list(); len(groups) != 1 || !slices.Equal(groups[0], []string{"y-1", "z-1"}) {
			t.Errorf("groups %v", groups)
		}
		r.stop()
	})
}

// A batchSink takes alerts many at a time, as a file does.
type batchSink struct {
	fakeSink
	batches  []int
	refuse   string // the alert that no batch may hold
	throttle int    // batches that are asked to wait
}

func (s *batchSink) SendBatch(_ context.Context, alerts []*processor.Alert) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, len(alerts))
	if s.throttle > 0 {
		s.throttle--
		return sinks.Throttled(errors.New("429"), time.Minute)
	}
	for _, a := range alerts {
		if a.ID == s.refuse {
			return sinks.Permanent(errors.New("no"))
		}
	}
	for _, a := range alerts {
		s.delivered = append(s.delivered, a.ID)
	}
	return nil
}

// Batches keep the order of the journal, over exposures too.
func TestBatchesKeepTheOrder(t *testing.T) {
	t.Parallel() // it waits for the disk
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &batchSink{fakeSink: fakeSink{t: t}}
		r.start(delivery(DeliveryConfig{Concurrency: 1}), map[string]sinks.Sink{"a": s})
		var ids []string
		for i := range 3000 {
			ids = append(ids, fmt.Sprintf("x%d-%04d", i*i%701, i))
		}
		journalAlerts(t, r.j, ids...)
		r.idle()
		journalled, err := r.j.Latest(0, len(ids))
		if err != nil || len(journalled) != len(ids) {
			t.Fatalf("%d alerts, %v", len(journalled), err)
		}
		slices.Reverse(journalled)
		for i, a := range journalled {
			ids[i] = a.Alert.ID
		}
		_, delivered := s.lists()
		equal(t, "delivered", delivered, ids)
		if n := len(s.batches); n > 60 || slices.Max(s.batches) > maxBatch {
			t.Errorf("%d batches of %v", n, s.batches)
		}
		r.stop()
	})
}

func TestBatchThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &batchSink{fakeSink: fakeSink{t: t}, refuse: "x0050-1"}
		s.answer = func(_ context.Context, a *processor.Alert, _ string) (string, error) {
			if a.ID == s.refuse {
				return "", sinks.Permanent(errors.New("no"))
			}
			return "", nil
		}
		r.start(delivery(DeliveryConfig{Concurrency: 1}), map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, many(100)...)
		r.idle()
		if _, delivered := s.lists(); len(delivered) != 99 {
			t.Errorf("%d delivered, want 99", len(delivered))
		}
		letters, err := r.j.DeadLetters("a")
		if err != nil || len(letters) != 1 || letters[0].Alert.ID != s.refuse || !strings.Contains(letters[0].Cause, "no") {
			t.Errorf("dead letters %+v, %v", letters, err)
		}
		r.stop()
	})
}

func TestBatchesWithARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &batchSink{fakeSink: fakeSink{t: t}}
		r.start(delivery(DeliveryConfig{Concurrency: 1, Rate: 10}), map[string]sinks.Sink{"a": s})
		begin := time.Now()
		journalAlerts(t, r.j, many(200)...)
		r.idle()
		if took := time.Since(begin); took < 18*time.Second || took > 22*time.Second {
			t.Errorf("200 alerts at 10 a second took %s", took)
		}
		r.stop()
	})
}

// A text that the channel answers as if it were down or misconfigured takes no other
// alert with it: what failed in one message twice is sent alert by alert.
func TestTextInAGroupDelaysNoOther(t *testing.T) {
	for name, failure := range map[string]error{"502": sinks.Ambiguous(errors.New("502")), "403": sinks.Misconfigured(errors.New("403"))} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				s := &groupSink{fakeSink: fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (string, error) {
					if a.ID == "poison-1" {
						return "", failure
					}
					return "", nil
				}}}
				s.refuse = func(alerts []*processor.Alert) error {
					if slices.ContainsFunc(alerts, func(a *processor.Alert) bool { return a.ID == "poison-1" }) {
						return failure
					}
					return nil
				}
				r.start(grouping(GroupConfig{Wait: time.Minute}), map[string]sinks.Sink{"a": s})
				journalAlerts(t, r.j, "first-1", "poison-1")
				journalAlerts(t, r.j, many(40)...)
				time.Sleep(15 * time.Minute)
				if _, delivered := s.lists(); len(delivered) != 41 {
					t.Errorf("%d of 41 were delivered in a quarter of an hour", len(delivered))
				}
				r.stop()
			})
		})
	}
}

// A text keeps the circuit open. Alerts that waited for their group meanwhile are
// tried as soon as others, when their wait is over.
func TestTextHoldsNoGroup(t *testing.T) {
	t.Parallel() // it waits for the disk
	for _, severity := range []exposure.Severity{exposure.High, exposure.Medium} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			s := &groupSink{fakeSink: fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (string, error) {
				if *a.Exposure == "poison" {
					return "", sinks.Misconfigured(errors.New("403"))
				}
				return "", nil
			}}}
			r.start(delivery(DeliveryConfig{People: true, Group: GroupConfig{Wait: 30 * time.Second}}), map[string]sinks.Sink{"a": s})
			r.attack(exposure.Opened, severity, "first")
			r.attack(exposure.Opened, severity, "ann", "bob")
			time.Sleep(time.Second)
			x := "poison"
			r.alert(&exposure.Alert{ID: "poison-opened", Exposure: &x, Step: exposure.Opened, Severity: severity, Time: time.Now(), Account: "2"})
			time.Sleep(2 * time.Minute)
			if _, delivered := s.lists(); len(delivered) != 3 {
				t.Errorf("of severity %s, %v were delivered", severity, delivered)
			}
			r.stop()
		})
	}
}
