package dispatch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sinks"
)

// A routedSink remembers what it was sent, when, and for whom.
type routedSink struct {
	said *[]string
	to   string
	ref  string
	fail func(to string, a *processor.Alert) error
}

func (s routedSink) Send(_ context.Context, a *processor.Alert, ref string) (string, error) {
	if s.fail != nil {
		if err := s.fail(s.to, a); err != nil {
			return "", err
		}
	}
	text := a.ID + time.Now().UTC().Format(" Mon 15:04")
	if s.to != "" {
		text += " to " + s.to
	}
	*s.said = append(*s.said, text)
	return s.ref, nil
}

func (s routedSink) To(recipients []string) (sinks.Sink, error) {
	if slices.Contains(recipients, "nobody") {
		return nil, errors.New("there is nobody")
	}
	s.to = strings.Join(recipients, "+")
	return s, nil
}

// routedTell journals alerts, each "exposure-step severity".
func routedTell(t *testing.T, j *journal.Journal, alerts ...string) {
	t.Helper()
	var events []*trail.Event
	for _, text := range alerts {
		events = append(events, &trail.Event{ID: text, Account: "1", Time: time.Now(), Name: trail.DeactivateMFADevice})
	}
	if _, err := j.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	_, err := j.Fold(t.Context(), time.Now(), func([]*trail.Event, alerting.State, time.Time) (out alerting.Outcome) {
		for _, text := range alerts {
			id, severity, _ := strings.Cut(text, " ")
			x, step, _ := strings.Cut(id, "-")
			a := &exposure.Alert{ID: id, Exposure: &x, Step: exposure.Step(strings.TrimSuffix(step, "2")), Severity: exposure.Severity(severity), Time: time.Now(), Account: "1"}
			if a.Step == exposure.Attempted {
				a.Exposure = nil
			}
			out.Alerts = append(out.Alerts, a)
		}
		return out
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func routedBy(t *testing.T, kind route.Kind, routes ...route.Route) Options {
	t.Helper()
	r, err := route.New(routes, map[string]route.Kind{"a": kind}, nil, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	o := delivery(DeliveryConfig{People: kind != route.Machine, Retry: RetryConfig{Min: time.Second, Max: 10 * time.Minute}, Concurrency: 1})
	o.Router, o.Registerer = r, prometheus.NewRegistry()
	return o
}

func routedFrom(severity string) route.Route { return route.Route{MinSeverity: severity} }

func routedTo(recipients ...string) route.Route {
	return route.Route{Recipients: map[string][]string{"a": recipients}}
}

var routedNight = route.Route{MuteTimes: []route.MuteTime{{Hours: "20:00-07:00"}}}

// synctest's clock begins at midnight of 2000-01-01, a Saturday.
func TestRouting(t *testing.T) {
	in := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, r *rig, s routedSink)
		want []string
	}{
		{"what is not for the sink is passed over, and so is its end", func(t *testing.T, r *rig, s routedSink) {
			r.start(routedBy(t, route.Reader, routedFrom("high")), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened low", "y-opened high", "z-attempted medium")
			routedTell(t, r.j, "y-updated low", "x-updated low")
			routedTell(t, r.j, "y-resolved info", "x-resolved info")
		}, []string{"y-opened Sat 00:00", "y-updated Sat 00:00", "y-resolved Sat 00:00"}},

		{"the end follows over a restart and other routes", func(t *testing.T, r *rig, s routedSink) {
			r.start(routedBy(t, route.Pager, routedTo("k1")), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened high", "y-opened high")
			r.stop()
			r.start(routedBy(t, route.Pager, route.Route{MinSeverity: "critical", Recipients: map[string][]string{"a": {"k2"}}}), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-escalated high", "z-opened high", "z-resolved info", "w-exploited critical")
			r.stop()
			r.start(routedBy(t, route.Pager, route.Route{Except: []string{"a"}}), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-resolved info", "w-resolved info", "y-resolved info")
		}, []string{"x-opened Sat 00:00 to k1", "y-opened Sat 00:00 to k1", "w-exploited Sat 00:00 to k2", "x-escalated Sat 00:00 to k1",
			"x-resolved Sat 00:00 to k1", "w-resolved Sat 00:00 to k2", "y-resolved Sat 00:00 to k1"}},

		{"quiet hours", func(t *testing.T, r *rig, s routedSink) {
			r.start(routedBy(t, route.Reader, routedNight), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened high", "y-exploited critical")
			in(7 * time.Hour)
		}, []string{"y-exploited Sat 00:00", "x-opened Sat 07:00"}},

		{"quiet hours over a restart", func(t *testing.T, r *rig, s routedSink) {
			o := routedBy(t, route.Reader, routedNight)
			r.start(o, map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened high")
			in(2 * time.Hour)
			r.stop()
			time.Sleep(time.Hour)
			r.start(routedBy(t, route.Reader, routedNight), map[string]sinks.Sink{"a": s})
			in(3 * time.Hour)
			r.stop()
			time.Sleep(3 * time.Hour) // away at their end
			r.start(routedBy(t, route.Reader, routedNight), map[string]sinks.Sink{"a": s})
			synctest.Wait()
		}, []string{"x-opened Sat 09:00"}},

		{"quiet hours that a reload takes away", func(t *testing.T, r *rig, s routedSink) {
			r.start(routedBy(t, route.Reader, routedNight), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened high")
			in(time.Hour)
			r.stop()
			r.start(routedBy(t, route.Reader), map[string]sinks.Sink{"a": s})
			synctest.Wait()
		}, []string{"x-opened Sat 01:00"}},

		{"over before the end of quiet hours: one message", func(t *testing.T, r *rig, s routedSink) {
			routes := routedNight
			routes.MinSeverity = "high"
			r.start(routedBy(t, route.Reader, routes), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened high")
			in(time.Hour)
			routedTell(t, r.j, "x-escalated high", "x-resolved info")
			in(6 * time.Hour)
		}, []string{"x-resolved Sat 07:00"}},

		{"what turns critical waits no longer", func(t *testing.T, r *rig, s routedSink) {
			r.start(routedBy(t, route.Reader, routedNight), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened high", "y-opened high")
			in(time.Hour)
			routedTell(t, r.j, "x-exploited critical")
			in(time.Hour)
			routedTell(t, r.j, "x-updated high")
			routedTell(t, r.j, "x-resolved info") // of a known exposure: immediately
			in(5 * time.Hour)
		}, []string{"x-opened Sat 01:00", "x-exploited Sat 01:00", "x-resolved Sat 02:00", "y-opened Sat 07:00"}},

		{"nor is the end behind what is", func(t *testing.T, r *rig, s routedSink) {
			time.Sleep(19 * time.Hour)
			night := routedNight
			night.Recipients = routedTo("k1").Recipients
			r.start(routedBy(t, route.Pager, night), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened high")
			in(2 * time.Hour)
			routedTell(t, r.j, "x-escalated high")
			in(time.Hour)
			r.stop()
			r.start(routedBy(t, route.Pager, night), map[string]sinks.Sink{"a": s})
			in(time.Hour)
			routedTell(t, r.j, "x-resolved info")
		}, []string{"x-opened Sat 19:00 to k1", "x-resolved Sat 23:00 to k1"}},

		{"of several escalations the last is sent", func(t *testing.T, r *rig, s routedSink) {
			r.start(routedBy(t, route.Reader, routedNight), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened high")
			in(time.Hour)
			routedTell(t, r.j, "x-escalated high")
			in(time.Hour)
			routedTell(t, r.j, "x-updated high")
			routedTell(t, r.j, "x-escalated2 high")
			in(6 * time.Hour)
		}, []string{"x-opened Sat 07:00", "x-updated Sat 07:00", "x-escalated2 Sat 07:00"}},

		{"the end of a known case is not held back", func(t *testing.T, r *rig, s routedSink) {
			time.Sleep(19 * time.Hour)
			r.start(routedBy(t, route.Pager, routedNight), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened high")
			in(4 * time.Hour)
			routedTell(t, r.j, "x-resolved info")
		}, []string{"x-opened Sat 19:00", "x-resolved Sat 23:00"}},

		{"a wrong recipient delays no other", func(t *testing.T, r *rig, s routedSink) {
			var mended atomic.Bool
			s.fail = func(to string, _ *processor.Alert) error {
				if to == "bad" && !mended.Load() {
					return sinks.Misconfigured(errors.New("no such key"))
				}
				return nil
			}
			r.start(routedBy(t, route.Pager, route.Route{Match: map[string]any{"severity": "low"}, Recipients: map[string][]string{"a": {"bad"}}}, routedTo("good")), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened low", "y-opened high")
			routedTell(t, r.j, "z-opened high")
			in(50*time.Hour + 5*time.Minute) // which would make a dead letter of an alert that ages
			mended.Store(true)
			in(10 * time.Minute)
		}, []string{"y-opened Sat 00:00 to good", "z-opened Sat 00:00 to good", "x-opened Mon 02:10 to bad"}},

		{"recipients from a file, read each time", func(t *testing.T, r *rig, s routedSink) {
			path := filepath.Join(t.TempDir(), "key")
			write := func(text string) {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("k1\n")
			r.start(routedBy(t, route.Pager, routedTo("file:"+path)), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened high")
			write("k2\n")
			routedTell(t, r.j, "x-resolved info")
		}, []string{"x-opened Sat 00:00 to k1", "x-resolved Sat 00:00 to k2"}},

		{"a machine that is excepted", func(t *testing.T, r *rig, s routedSink) {
			r.start(routedBy(t, route.Machine, route.Route{Match: map[string]any{"severity": "low"}, Except: []string{"a"}}), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened low", "y-opened high", "y-updated low")
		}, []string{"y-opened Sat 00:00", "y-updated Sat 00:00"}},

		{"the sink has another name now", func(t *testing.T, r *rig, s routedSink) {
			r.start(routedBy(t, route.Pager, routedFrom("high")), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened high")
			r.stop()
			o := routedBy(t, route.Pager)
			o.Delivery = DeliveryConfig{}
			var err error
			if o.Router, err = route.New([]route.Route{routedFrom("high")}, map[string]route.Kind{"b": route.Pager}, nil, time.UTC); err != nil {
				t.Fatal(err)
			}
			r.start(o, map[string]sinks.Sink{"b": s})
			routedTell(t, r.j, "y-resolved info", "x-resolved info")
		}, []string{"x-opened Sat 00:00", "x-resolved Sat 00:00"}},

		{"a dead letter is known, too", func(t *testing.T, r *rig, s routedSink) {
			s.fail = func(_ string, a *processor.Alert) error {
				if a.ID == "x-opened" {
					return sinks.Permanent(errors.New("no"))
				}
				return nil
			}
			r.start(routedBy(t, route.Reader, routedFrom("high")), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-opened high")
			in(time.Second)
			r.stop()
			r.start(routedBy(t, route.Reader, routedFrom("high")), map[string]sinks.Sink{"a": s})
			routedTell(t, r.j, "x-resolved info")
		}, []string{"x-resolved Sat 00:00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				var said []string
				tt.run(t, r, routedSink{said: &said})
				r.idle()
				r.stop()
				equal(t, "said", said, tt.want)
			})
		})
	}
}

func TestRoutingMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var said []string
		o := routedBy(t, route.Reader, route.Route{Match: map[string]any{"severity": ">= high"}, MuteTimes: routedNight.MuteTimes},
			route.Route{Match: map[string]any{"severity": "low"}, Except: []string{"a"}})
		reg := o.Registerer.(*prometheus.Registry)
		r.start(o, map[string]sinks.Sink{"a": routedSink{said: &said}})
		check := func(want string) {
			t.Helper()
			if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "mfawatch_sink_suppressed_total", "mfawatch_sink_unrouted_total", "mfawatch_sink_held_exposures"); err != nil {
				t.Error(err)
			}
		}
		show := func(held, left, unrouted string) string {
			return "# HELP mfawatch_sink_held_exposures Exposures whose alerts wait for the end of mute times.\n# TYPE mfawatch_sink_held_exposures gauge\n" +
				"mfawatch_sink_held_exposures{sink=\"a\"} " + held + "\n" +
				"# HELP mfawatch_sink_suppressed_total Alerts that were not sent, since the routes suppress them.\n# TYPE mfawatch_sink_suppressed_total counter\n" +
				"mfawatch_sink_suppressed_total{sink=\"a\"} " + left + "\n" +
				"# HELP mfawatch_sink_unrouted_total Alerts that were sent since no route matches them.\n# TYPE mfawatch_sink_unrouted_total counter\n" +
				"mfawatch_sink_unrouted_total{sink=\"a\"} " + unrouted + "\n"
		}
		check(show("0", "0", "0"))
		routedTell(t, r.j, "x-opened high", "y-opened low", "z-attempted medium", "w-opened high")
		check(show("2", "1", "1"))
		r.idle()
		check(show("0", "1", "1"))
		r.stop()
	})
}

// Recipients that cannot be read say nothing of the channel, which was not asked:
// one that is down stays so.
func TestUnreadableRecipientsAreNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(key, []byte("k1"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := newRig(t)
		s := routedSink{said: &[]string{}, fail: func(string, *processor.Alert) error { return errors.New("connection refused") }}
		r.start(routedBy(t, route.Pager, routedTo("file:"+key)), map[string]sinks.Sink{"a": s})
		routedTell(t, r.j, "a-opened high", "b-opened high", "c-opened high", "d-opened high", "e-opened high", "f-opened high")
		time.Sleep(time.Hour)
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		routedTell(t, r.j, "x-exploited critical")
		time.Sleep(time.Hour)
		if text := r.log.String(); strings.Contains(text, "the channel answers again") || !strings.Contains(text, "the channel is down") {
			t.Errorf("logged %s", text)
		}
		if err := r.d.Ready(); err == nil || !strings.Contains(err.Error(), "down") {
			t.Errorf("ready: %v", err)
		}
		r.stop()
	})
}

// An alert fails by itself where others are delivered to the same recipients. A text
// that one answers as if it were misconfigured is then withheld, and recipients who
// cannot be notified while others are cost no alert its text, nor the alert.
func TestRecipientsFailByThemselves(t *testing.T) {
	high := route.Route{Match: map[string]any{"severity": "high"}, Recipients: map[string][]string{"a": {"ops"}}}
	for _, tt := range []struct {
		name   string
		fails  func(to string, a *processor.Alert) bool
		err    error
		wants  bool // the alert is delivered
		within time.Duration
	}{
		{"a text", func(_ string, a *processor.Alert) bool { return a.ID == "p-opened" && a.Title == "" }, sinks.Misconfigured(errors.New("403")), true, 6 * time.Hour},
		{"recipients that are gone", func(to string, _ *processor.Alert) bool { return to == "ops" }, sinks.Misconfigured(errors.New("404")), false, 48 * time.Hour},
		{"recipients that are down", func(to string, a *processor.Alert) bool { return to == "ops" && a.Title == "" }, errors.New("450"), false, 6 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				var said []string
				s := routedSink{said: &said, fail: func(to string, a *processor.Alert) error {
					if tt.fails(to, a) {
						return tt.err
					}
					return nil
				}}
				r.start(routedBy(t, route.Reader, high, routedTo("others")), map[string]sinks.Sink{"a": s})
				routedTell(t, r.j, "p-opened high")
				for i := range 24 {
					routedTell(t, r.j, fmt.Sprintf("q%d-opened high", i), fmt.Sprintf("r%d-opened medium", i))
					time.Sleep(tt.within / 24)
				}
				if sent := slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "p-opened ") }); sent != tt.wants {
					t.Errorf("it was delivered: %t, want %t", sent, tt.wants)
				}
				if letters, err := r.j.DeadLetters("a"); err != nil || len(letters) > 0 {
					t.Errorf("dead letters %v, %v", letters, err)
				}
				r.stop()
			})
		})
	}
}
