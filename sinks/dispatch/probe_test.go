package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks"
)

// While the circuit is open, a critical alert is tried when it comes. A flood of
// them is tried once each, one in a second, and does not put off the probes.
func TestCriticalIsItsOwnProbe(t *testing.T) {
	t.Parallel() // it waits for the disk
	for name, failure := range map[string]error{
		"down": errors.New("500"), "hangs": nil, "misconfigured": sinks.Misconfigured(errors.New("403")),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				var refusesAll atomic.Bool
				s := &fakeSink{t: t, answer: func(ctx context.Context, a *processor.Alert, _ string) (string, error) {
					switch {
					case !refusesAll.Load() && !strings.HasPrefix(*a.Exposure, "decoy"):
						return "", nil
					case failure == nil:
						<-ctx.Done()
						return "", ctx.Err()
					}
					return "", failure
				}}
				tried := func(id string) bool { sends, _ := s.lists(); return slices.Contains(sends, id) }
				r.start(delivery(DeliveryConfig{People: true}), map[string]sinks.Sink{"a": s})
				var names []string
				for i := range 200 {
					names = append(names, fmt.Sprintf("decoy%d", i))
				}
				r.attack(exposure.Attempted, exposure.Medium, names...)
				time.Sleep(time.Hour)
				if err := r.d.Ready(); err == nil {
					t.Fatal("the circuit is closed")
				}
				r.attack(exposure.Opened, exposure.Critical, "root")
				time.Sleep(time.Second)
				if _, delivered := s.lists(); !slices.Equal(delivered, []string{"root-opened"}) {
					t.Errorf("delivered after a second: %v, want root's", delivered)
				}

				refusesAll.Store(true)
				time.Sleep(time.Hour)
				r.attack(exposure.Opened, exposure.High, "ann")
				time.Sleep(10 * time.Minute)
				before, _ := s.lists()
				r.attack(exposure.Exploited, exposure.Critical, "ann")
				time.Sleep(31 * time.Second) // its beginning may be being sent
				if after, _ := s.lists(); !slices.Contains(after[len(before):], "ann-opened") {
					t.Error("an exposure that became critical was not tried")
				}
				names = nil
				for i := range 60 {
					names = append(names, fmt.Sprintf("flood%d", i))
				}
				before, _ = s.lists()
				r.attack(exposure.Opened, exposure.Critical, names...)
				time.Sleep(2 * time.Minute)
				for _, name := range names {
					if !tried(name + "-opened") {
						t.Errorf("%s was not tried", name)
					}
				}
				if after, _ := s.lists(); len(after)-len(before) > len(names)+3 {
					t.Errorf("%d sends for %d critical alerts", len(after)-len(before), len(names))
				}
				before, _ = s.lists()
				time.Sleep(time.Hour)
				if after, _ := s.lists(); len(after)-len(before) < 10 || len(after)-len(before) > 40 {
					t.Errorf("%d probes in the hour after", len(after)-len(before))
				}
				r.stop()
			})
		})
	}
}

// An alert that fails by itself, while others are delivered, gives way to a critical
// one of its exposure: it becomes a dead letter.
func TestSickAlertGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (string, error) {
			if a.ID == "bob-opened" {
				return "", sinks.Ambiguous(errors.New("502"))
			}
			return "", nil
		}}
		r.start(delivery(DeliveryConfig{People: true}), map[string]sinks.Sink{"a": s})
		r.attack(exposure.Opened, exposure.High, "bob")
		time.Sleep(time.Hour)
		r.attack(exposure.Exploited, exposure.Critical, "bob")
		for i := range 5 {
			r.attack(exposure.Attempted, exposure.Low, fmt.Sprint("other", i))
			time.Sleep(6 * time.Minute)
		}
		_, delivered := s.lists()
		if !slices.Contains(delivered, "bob-exploited") {
			t.Errorf("delivered %v", delivered)
		}
		if letters, err := r.j.DeadLetters("a"); err != nil || len(letters) != 1 || letters[0].Alert.ID != "bob-opened" {
			t.Errorf("dead letters %v, %v", letters, err)
		}
		r.stop()
	})
}

// A text that the channel refuses as if it were misconfigured, such as the filter in
// front of a web service does, pauses the sink once. It does so no more once others
// were delivered, and becomes a dead letter by its age.
func TestRefusedTextDelaysNoOther(t *testing.T) {
	t.Parallel() // it waits for the disk
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (string, error) {
			if strings.HasPrefix(*a.Exposure, "poison") {
				return "", sinks.Misconfigured(errors.New("403"))
			}
			return "", nil
		}}
		r.start(delivery(DeliveryConfig{Retry: RetryConfig{Age: 2 * time.Hour}}), map[string]sinks.Sink{"a": s})
		journalAlerts(t, r.j, "poison1-1", "poison2-1", "poison3-1", "poison1-2")
		late := 0
		for i := range 60 {
			id := fmt.Sprintf("well%02d-1", i)
			journalAlerts(t, r.j, id)
			time.Sleep(time.Second)
			if _, delivered := s.lists(); !slices.Contains(delivered, id) {
				late++
			}
			time.Sleep(time.Minute)
		}
		if late > 10 {
			t.Errorf("%d of 60 waited", late)
		}
		for i := range 60 {
			journalAlerts(t, r.j, fmt.Sprintf("later%02d-1", i))
			time.Sleep(5 * time.Minute)
		}
		letters, err := r.j.DeadLetters("a")
		if err != nil || len(letters) != 4 {
			t.Errorf("%d dead letters, %v", len(letters), err)
		}
		if _, delivered := s.lists(); len(delivered) != 120 {
			t.Errorf("delivered %d of 120", len(delivered))
		}
		r.stop()
	})
}

// Texts that the channel refuses as if it were misconfigured, or fails with, keep the
// circuit open, however many exposures hold one: an alert of high severity is tried once
// for all that, and where the channel was sent alerts before, the next probe is made soon.
func TestTextsInManyExposuresDelayNoOther(t *testing.T) {
	t.Parallel() // it waits for the disk
	for name, failure := range map[string]error{"misconfigured": sinks.Misconfigured(errors.New("403")), "down": sinks.Ambiguous(errors.New("502"))} {
		for _, people := range []bool{true, false} {
			t.Run(fmt.Sprint(name, people), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t)
					s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (string, error) {
						if strings.HasPrefix(*a.Exposure, "poison") && a.Title == "" {
							return "", failure
						}
						return "", nil
					}}
					r.start(delivery(DeliveryConfig{People: people}), map[string]sinks.Sink{"a": s})
					within := func(limit time.Duration, severity exposure.Severity, x string) {
						t.Helper()
						r.attack(exposure.Opened, severity, x)
						time.Sleep(limit)
						if _, delivered := s.lists(); !slices.Contains(delivered, x+"-opened") {
							t.Errorf("%s waits for the texts", x)
						}
					}
					for i := range 30 {
						within(5*time.Second, exposure.Medium, fmt.Sprint("well", i))
						r.attack(exposure.Opened, exposure.Medium, fmt.Sprint("poison", i))
						time.Sleep(time.Second)
					}
					time.Sleep(time.Hour)
					var names []string
					for i := range 100 {
						names = append(names, fmt.Sprint("poison of many", i))
					}
					r.attack(exposure.Opened, exposure.High, names...)
					within(2*time.Minute, exposure.High, "after many")
					r.stop()
				})
			})
		}
	}
}

// A channel for people whose filter stops a text of the record, such as the test
// string of a virus scanner, is sent the alert without names and texts, whether it
// refuses the text or fails with it. A sink for machines is sent no such alert.
func TestFilteredTextIsWithheld(t *testing.T) {
	for name, failure := range map[string]error{
		"refused": sinks.Permanent(errors.New("554 virus found")), "fails": sinks.Ambiguous(errors.New("502")), "as if misconfigured": sinks.Misconfigured(errors.New("403")),
	} {
		for _, people := range []bool{true, false} {
			t.Run(fmt.Sprint(name, people), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t)
					var shown []string
					s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (string, error) {
						if *a.Exposure != "bob" {
							return "", nil
						}
						text, err := json.Marshal(a)
						if err != nil {
							t.Error(err)
						}
						if strings.Contains(string(text), "EICAR") {
							return "", failure
						}
						shown = append(shown, string(text))
						return "", nil
					}}
					r.start(delivery(DeliveryConfig{People: people}), map[string]sinks.Sink{"a": s})
					x, text := "bob", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE"
					a := &exposure.Alert{ID: "bob-exploited", Exposure: &x, Step: exposure.Exploited, Severity: exposure.Critical, Time: time.Now(), Account: "111122223333",
						Title: text, Summary: text, Advice: text, User: &text, Path: text, Rule: text, Partition: text, LeftBehind: []exposure.AlertLeftBehind{{ID: text}},
						Checks: []string{text}, Device: exposure.AlertDevice{Serial: &text}, Event: exposure.AlertEvent{Name: text}, Actor: exposure.AlertActor{UserAgent: text},
						Users: &exposure.AlertUsers{Count: 3, Names: []string{text}}, Attempts: &exposure.AlertAttempts{ErrorCodes: []string{text}}, Record: []byte(`"` + text + `"`)}
					r.alert(a)
					for i := range 10 {
						r.attack(exposure.Attempted, exposure.Low, fmt.Sprint("other", i))
						time.Sleep(6 * time.Minute)
					}
					if people != (len(shown) == 1) {
						t.Errorf("sent %d without the text: %s", len(shown), shown)
					}
					for _, want := range []string{`"id":"bob-exploited"`, `"severity":"critical"`, `"account":"111122223333"`, "mfawatch exposures show bob"} {
						if people && !strings.Contains(strings.Join(shown, ""), want) {
							t.Errorf("no %s in %s", want, shown)
						}
					}
					letters, err := r.j.DeadLetters("a")
					if err != nil || name == "refused" && len(letters) == 1 == people {
						t.Errorf("%d dead letters, %v", len(letters), err)
					}
					r.stop()
				})
			})
		}
	}
}

// A channel that fails now and then is sent each alert with its names, however often
// one alert fails while others are delivered. Only one that fails by itself for as long as
// the last backoff is sent without.
func TestFlakyChannelIsSentNames(t *testing.T) {
	t.Parallel() // it waits for the disk
	for name, failure := range map[string]error{
		"unreachable": errors.New("connection refused"), "5xx": sinks.Ambiguous(errors.New("502")),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				fails, title := 0, ""
				s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (string, error) {
					if *a.Exposure != "bob" {
						return "", nil
					}
					if fails++; fails <= 7 {
						return "", failure
					}
					title = a.Title
					return "", nil
				}}
				r.start(delivery(DeliveryConfig{People: true}), map[string]sinks.Sink{"a": s})
				x := "bob"
				r.alert(&exposure.Alert{ID: "bob-opened", Exposure: &x, Step: exposure.Opened, Severity: exposure.High, Time: time.Now(), Account: "1", Title: "bob lost MFA"})
				for i := range 150 { // the eighth attempt is made after 127 s at most
					r.attack(exposure.Attempted, exposure.Low, fmt.Sprint("other", i))
					time.Sleep(time.Second)
				}
				if title != "bob lost MFA" {
					t.Errorf("after %d attempts it was sent as %q", fails, title)
				}
				r.stop()
			})
		})
	}
}

// A text that the channel answers with 429 pauses the sink for an hour, as a channel
// that throttles does. A critical alert is tried all the same, and where it is delivered
// the pause ends, for all but the text. Without one, the text gives way after a few
// pauses. Its alert is sent without it in the end.
func TestThrottledTextDelaysNoOther(t *testing.T) {
	for _, critical := range []bool{true, false} {
		t.Run(fmt.Sprint("critical ", critical), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				s := &fakeSink{t: t, answer: func(_ context.Context, a *processor.Alert, _ string) (string, error) {
					if *a.Exposure == "poison" && a.Title == "" {
						return "", sinks.Throttled(errors.New("429"), time.Hour)
					}
					return "", nil
				}}
				sent := func(id string) bool { _, delivered := s.lists(); return slices.Contains(delivered, id) }
				r.start(delivery(DeliveryConfig{People: true}), map[string]sinks.Sink{"a": s})
				r.attack(exposure.Exploited, exposure.Critical, "poison")
				time.Sleep(10 * time.Second)
				late := 4 // hours in which alerts may wait for the end of a pause
				if critical {
					late = 0
					r.attack(exposure.Opened, exposure.Critical, "root")
					time.Sleep(time.Minute)
					if !sent("root-opened") {
						t.Error("a critical alert waits for the text")
					}
				}
				for i := range 60 {
					x := fmt.Sprint("other", i)
					r.attack(exposure.Opened, exposure.High, x)
					time.Sleep(time.Second)
					if !sent(x+"-opened") && i >= 6*late {
						t.Errorf("%s waits for the text", x)
					}
					time.Sleep(10 * time.Minute)
				}
				if letters, err := r.j.DeadLetters("a"); err != nil || len(letters) > 0 || !sent("poison-exploited") {
					t.Errorf("dead letters %v, %v; the text's alert was sent: %t", letters, err, sent("poison-exploited"))
				}
				r.stop()
			})
		})
	}
}

// A channel that does throttle is sent one critical alert a minute, each once.
func TestThrottledIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		s := &fakeSink{t: t, answer: func(context.Context, *processor.Alert, string) (string, error) {
			return "", sinks.Throttled(errors.New("429"), time.Hour)
		}}
		r.start(delivery(DeliveryConfig{People: true, Concurrency: 1}), map[string]sinks.Sink{"a": s})
		r.attack(exposure.Opened, exposure.High, "first")
		time.Sleep(time.Second)
		var names []string
		for i := range 40 {
			names = append(names, fmt.Sprint("decoy", i))
		}
		r.attack(exposure.Opened, exposure.Critical, names...)
		r.attack(exposure.Opened, exposure.High, "second")
		time.Sleep(20 * time.Minute)
		if sends, _ := s.lists(); len(sends) != 21 || slices.Contains(sends, "second-opened") {
			t.Errorf("%d sends in 20 minutes, want 21 and none of an alert that is not critical: %v", len(sends), sends)
		}
		time.Sleep(39 * time.Minute)
		if sends, _ := s.lists(); len(sends) != 41 {
			t.Errorf("%d sends in an hour, want 41", len(sends))
		}
		r.stop()
	})
}
