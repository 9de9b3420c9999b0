package shard

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

// A source appends one event after the other, each until it is acknowledged.
type source struct {
	accepted int
	stop     func()
}

func feed(t *testing.T, r *replica) *source {
	s := &source{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var refused error
		for ctx.Err() == nil || refused != nil && t.Context().Err() == nil { // what was refused may have arrived
			if _, refused = r.Append(t.Context(), events(fmt.Sprintf("%012d", s.accepted), 1)); refused == nil {
				s.accepted++
			}
			pause(t.Context(), 50*time.Millisecond)
		}
	}()
	s.stop = func() { cancel(); <-ended }
	t.Cleanup(s.stop)
	return s
}

// arrived fails unless each alert of the source is in the topic once. It stops the
// replica.
func (s *source) arrived(t *testing.T, r *replica) {
	t.Helper()
	s.stop()
	committed(t, r.config, r.config.Topic+"-alerts", s.accepted)
	r.stop()
	once(t, r.config, s.accepted)
}

func says(r *replica, text string) func() bool {
	return func() bool {
		err := r.Ready()
		return err != nil && strings.Contains(err.Error(), text)
	}
}

func startFaulty(t *testing.T, c Config, more ...kgo.Opt) *replica {
	t.Helper()
	if _, err := admin(t, c).CreateTopic(t.Context(), 3, 1, nil, c.Topic+"-alerts"); err != nil {
		t.Fatal(err)
	}
	r := start(t, c, "a", t.TempDir(), more...)
	await(t, "the replica", func() bool { return len(r.Shards()) == 4 && r.Ready() == nil })
	return r
}

// While the brokers refuse, nothing is lost, and the replica says why it is not
// ready. Afterwards it goes on by itself.
func TestBrokersRefuse(t *testing.T) {
	t.Parallel()
	journal, events := DefaultConfig().journal(), DefaultConfig().events()
	for name, tt := range map[string]struct {
		fault kfake.Fault
		says  string
		slow  bool
	}{
		"journal topic is full":          {kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: journal, Err: kerr.KafkaStorageError}, "records have timed out", true},
		"journal topic has few replicas": {kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: journal, Err: kerr.NotEnoughReplicas}, "records have timed out", true},
		"journal topic is read-only":     {kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: journal, Err: kerr.PolicyViolation}, "make the topics as the documentation says", false},
		"WRITE on the journal topic":     {kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: journal, Err: kerr.TopicAuthorizationFailed}, "allow the user to READ, WRITE", false},
		"READ on the events topic":       {kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: events, Err: kerr.TopicAuthorizationFailed}, "allow the user to READ, WRITE", false},
		"WRITE on transactional ids":     {kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.EndTxn}, Err: kerr.TransactionalIDAuthorizationFailed}, "allow the user to WRITE and DESCRIBE the transactional ids", false},
		"READ on the group":              {kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat, kmsg.JoinGroup, kmsg.SyncGroup}, Err: kerr.GroupAuthorizationFailed}, "allow the user to READ and DESCRIBE the group that is named journal.topic and -shards", false},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.slow && testing.Short() {
				t.Skip("waits until records time out: not with -short")
			}
			t.Parallel()
			f, c := fake(t)
			r := startFaulty(t, c)
			s := feed(t, r)
			await(t, "an event", func() bool { return len(committed(t, c, c.Topic+"-alerts", 1)) > 0 })
			tt.fault.Count = -1
			h := f.Fault(tt.fault)
			await(t, "the reason", says(r, tt.says))
			h.Remove()
			await(t, "recovery", func() bool { return r.Ready() == nil && len(r.Shards()) == 4 })
			s.arrived(t, r)
		})
	}
}

// Events that the brokers do not accept are refused to the source, which offers
// them again.
func TestIntakeIsRefused(t *testing.T) {
	f, c := fake(t)
	r := startFaulty(t, c)
	h := f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: c.events(), Err: kerr.TopicAuthorizationFailed, Count: -1})
	if _, err := r.Append(t.Context(), events("1", 1)); err == nil || !strings.Contains(err.Error(), "allow the user to READ, WRITE") {
		t.Errorf("got %v", err)
	}
	h.Remove()
	if _, err := r.Append(t.Context(), events("1", 1)); err != nil {
		t.Error(err)
	}
}

// The brokers are away longer than every timeout: nothing is lost or alerted twice,
// and the replica goes on by itself. MFAWATCH_TEST_OUTAGE says for how many seconds.
func TestOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("the brokers are away for 22 s: not with -short")
	}
	trailtest.Long(t, 24)
	t.Parallel()
	outage := 22
	if n := os.Getenv("MFAWATCH_TEST_OUTAGE"); n != "" {
		outage, _ = strconv.Atoi(n)
	}
	for name, c := range map[string]func(t *testing.T) Config{
		"fake": func(t *testing.T) Config { _, c := fake(t); return c },
		"real": func(t *testing.T) Config { return realCluster(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := c(t)
			var net network
			r := startFaulty(t, c, kgo.Dialer(net.dial))
			defer func() { _, _ = admin(t, c).DeleteTopics(context.Background(), c.Topic+"-alerts") }()
			s := feed(t, r)
			net.cut()
			until := time.Now().Add(time.Duration(outage) * time.Second)
			await(t, "the reason", func() bool { return r.Ready() != nil })
			t.Logf("not ready: %.300v", r.Ready())
			pause(t.Context(), time.Until(until))
			net.mend()
			started := time.Now()
			await(t, "recovery", func() bool { return r.Ready() == nil && len(r.Shards()) == 4 })
			t.Logf("ready again %s after an outage of %d s", time.Since(started).Round(10*time.Millisecond), outage)
			s.arrived(t, r)
		})
	}
}

// The only broker restarts.
func TestBrokerRestart(t *testing.T) {
	dir := t.TempDir()
	_, port, _ := net.SplitHostPort(sourcetest.FreeAddress())
	n, _ := strconv.Atoi(port)
	f, c := fake(t, kfake.DataDir(dir), kfake.Ports(n))
	r := startFaulty(t, c)
	s := feed(t, r)
	await(t, "an event", func() bool { return len(committed(t, c, c.Topic+"-alerts", 1)) > 0 })
	f.Close()
	await(t, "the reason", func() bool { return r.Ready() != nil })
	fake(t, kfake.DataDir(dir), kfake.Ports(n))
	await(t, "recovery", func() bool { return r.Ready() == nil && len(r.Shards()) == 4 })
	s.arrived(t, r)
}

// Topics that are deleted and made again under a running replica, by another one: the
// events topic is read from its start, since its events are accepted, and a journal
// topic that has forgotten what its caches know is refused.
func TestTopicsAreMadeAgain(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		topic func(c Config) string
		says  string
	}{
		"events":  {Config.events, ""},
		"journal": {Config.journal, "mfawatch-journal was deleted and made again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, c := fake(t)
			r := startFaulty(t, c)
			if _, err := r.Append(t.Context(), events("1", 1)); err != nil {
				t.Fatal(err)
			}
			committed(t, c, c.Topic+"-alerts", 1)
			if _, err := admin(t, c).DeleteTopics(t.Context(), tt.topic(c)); err != nil {
				t.Fatal(err)
			}
			if err := c.makeTopics(t.Context(), admin(t, c)); err != nil {
				t.Fatal(err)
			}
			s := feed(t, r)
			if tt.says != "" {
				await(t, "the refusal", says(r, tt.says))
				return
			}
			await(t, "two events", func() bool { return len(committed(t, c, c.Topic+"-alerts", 3)) >= 3 })
			s.stop()
			await(t, "the replica", func() bool { return r.Ready() == nil && len(r.Shards()) == 4 })
			committed(t, c, c.Topic+"-alerts", 1+s.accepted)
			r.stop()
			once(t, c, 1+s.accepted)
		})
	}
}

// Pauses between attempts grow, and are short again after one that lasted: a shard that
// was served for days is restored immediately.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pauses []time.Duration
		ended := time.Now()
		retry(t.Context(), func() bool {
			pauses = append(pauses, time.Since(ended))
			if len(pauses) == 9 {
				time.Sleep(maxPause + time.Second)
			}
			ended = time.Now()
			return len(pauses) == 11
		})
		var want []time.Duration
		for _, ms := range []int{0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 500, 1000} {
			want = append(want, time.Duration(ms)*time.Millisecond)
		}
		if !slices.Equal(pauses, want) {
			t.Errorf("%v, want %v", pauses, want)
		}
	})
}

// A journal topic that a newer version wrote is refused with the next step.
func TestNewerJournal(t *testing.T) {
	_, c := fake(t)
	top := prepared(t, c)
	l := own(t, c, top, 0)
	if _, err := l.transact([]*kgo.Record{l.record([]byte("\x00\x04metaformat"), []byte("mfawatch.journal/99"))}); err != nil {
		t.Fatal(err)
	}
	l.close()
	r := start(t, c, "a", t.TempDir())
	await(t, "the refusal", says(r, "run the same version on every replica"))
	if n := len(r.Shards()); n > 3 {
		t.Errorf("%d shards are served", n)
	}
}

// Owners whose clocks differ by hours alert each step once, and end what they
// opened.
func TestClocksDiffer(t *testing.T) {
	_, c := fake(t)
	top := prepared(t, c)
	policy := exposure.Policy{EscalateAfter: []time.Duration{15 * time.Minute, 4 * time.Hour}}
	now := time.Date(2026, 5, 1, 8, 1, 0, 0, time.UTC)
	end := event("1", 0)
	end.ID, end.Name, end.Time = "end", trail.DeleteUser, now.Add(10*time.Minute)
	steps := map[exposure.Step]int{}
	for _, owner := range []struct {
		clock  time.Time
		events []*trail.Event
	}{
		{now.Add(-2 * time.Hour), events("1", 1)},
		{now.Add(time.Hour), nil}, // escalates early
		{now.Add(-time.Hour), nil},
		{now.Add(-2 * time.Hour), []*trail.Event{end}},
		{now.Add(6 * time.Hour), events("1", 1)},
	} {
		l := own(t, c, top, 0)
		j := openJournal(t, filepath.Join(t.TempDir(), "a"), l)
		if _, err := j.Append(t.Context(), owner.events); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, err := j.Fold(t.Context(), owner.clock, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
				return alerting.Notify(events, st, now, policy)
			}, func(f journal.Folded) {
				for _, a := range f.Alerts {
					steps[a.Step]++
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		j.Close()
		l.close()
	}
	want := map[exposure.Step]int{exposure.Opened: 1, exposure.Escalated: 1, exposure.Resolved: 1}
	if !maps.Equal(steps, want) {
		t.Errorf("%v, want %v", steps, want)
	}
}
