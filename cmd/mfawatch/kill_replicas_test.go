//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

const (
	killReplicas = 3
	killShards   = 6
)

// Three replicas share a journal in Kafka. They are killed, stopped in order, and
// suspended longer than their session at random moments, half of them lose their
// caches, and records come in all the time, of one account in several partitions.
// Every alert is in the alerts topic once, in order, and reaches the webhook.
//
// MFAWATCH_TEST_REPLICA_KILLS says how many there are in both sub-tests together,
// MFAWATCH_TEST_KAFKA names a real Kafka.
func TestKillReplicas(t *testing.T) {
	kills := 2
	if trailtest.Whole() {
		kills = 6
	}
	if testing.Short() {
		t.Skip("takes half a minute: not with -short")
	}
	if n := os.Getenv("MFAWATCH_TEST_REPLICA_KILLS"); n != "" {
		kills, _ = strconv.Atoi(n)
	}
	t.Parallel()
	for _, spread := range []bool{false, true} {
		t.Run(fmt.Sprintf("spread=%v", spread), func(t *testing.T) {
			t.Parallel()
			killTheReplicas(t, (kills+1)/2, spread)
		})
	}
}

func killTheReplicas(t *testing.T, kills int, spread bool) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	topic := newKillTopic(t)
	hook := newKillHook(t, seed)
	c := newKillCluster(t, topic, hook)
	for i := range c.replicas {
		c.start(i)
	}
	feed := newKillFeed(seed, topic)
	feed.spread = spread
	feed.start()
	defer feed.stop()
	done := map[string]int{}
	began := time.Now()
	for range kills {
		c.wait(time.Duration(random.Int64N(int64(2 * time.Second))))
		c.wake(false)
		i := random.IntN(killReplicas)
		how := []string{"killed", "killed", "killed", "stopped", "suspended"}[random.IntN(5)]
		if !c.replicas[i].asleep.IsZero() {
			how = "killed" // it cannot stop, and a suspension is not made longer
		}
		done[how]++
		switch how {
		case "suspended":
			c.replicas[i].signal(syscall.SIGSTOP)
			c.replicas[i].asleep = time.Now()
			continue
		case "stopped":
			c.replicas[i].end()
		default:
			c.replicas[i].kill()
		}
		if random.IntN(2) == 0 {
			done["without cache"]++
			if err := os.RemoveAll(c.path(i)); err != nil {
				t.Fatal(err)
			}
		}
		c.start(i)
		if random.IntN(2) == 0 {
			c.bury()
		}
	}
	c.wake(true)
	t.Logf("%d ends in %s", kills, time.Since(began).Round(time.Second))
	if err := feed.stop(); err != nil {
		t.Fatal(err)
	}
	must, may := feed.wanted(t)
	missing := func(alerts []processor.Alert) []string { return withoutAlert(must, alerts) }
	if spread { // what comes late is alerted in another order
		outcomes := feed.outcomes(t)
		missing = func(alerts []processor.Alert) []string { return withoutOutcome(outcomes, alerts) }
	}
	got := newKillAlerts(t, c)
	deadline := time.Now().Add(3 * time.Minute) // kfake expels a member that died while it joined after a minute
	for len(missing(got.alerts))+len(missing(hook.alerts())) > 0 && time.Now().Before(deadline) {
		c.wait(200 * time.Millisecond)
		got.read()
	}
	c.wait(time.Second)
	got.read()
	for i := range c.replicas {
		c.replicas[i].end()
	}
	got.read()
	for sink, missing := range map[string][]string{"topic": missing(got.alerts), "webhook": missing(hook.alerts())} {
		if len(missing) > 0 {
			t.Errorf("%d alerts never arrived at the %s:\n%s", len(missing), sink, strings.Join(missing[:min(10, len(missing))], "\n"))
		}
	}
	for id, n := range got.count {
		if n > 1 {
			t.Errorf("alert %s is in the topic %d times", id, n)
		}
		if _, ok := may[id]; !ok && !spread {
			t.Errorf("the records do not call for alert %s", id)
		}
	}
	if !spread {
		for _, text := range got.overtaken {
			t.Errorf("an alert that is older came later: %s", text)
		}
	}
	for _, r := range c.replicas {
		for line := range strings.Lines(r.log.String()) {
			if t.Failed() && (strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR")) {
				t.Logf("%s: %s", r.name, line)
			}
		}
	}
	t.Logf("%v; %d records, %d watched; %d alerts had to arrive, %d are in the topic", done, feed.records, len(feed.watched), len(must), len(got.count))
}

// A killCluster is the replicas with what they share.
type killCluster struct {
	t              *testing.T
	topic          *killTopic
	hook           *killHook
	dir, binary    string
	shared, alerts string
	replicas       [killReplicas]*killReplica
	runs           int
}

// A killReplica is one run of a replica.
type killReplica struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	log    bytes.Buffer
	ended  chan error
	asleep time.Time // since when it is suspended; zero: it is not
}

func newKillCluster(t *testing.T, topic *killTopic, hook *killHook) *killCluster {
	c := &killCluster{t: t, topic: topic, hook: hook, dir: t.TempDir(), binary: built(t), shared: topic.name + "-shared", alerts: topic.name + "-alerts"}
	if _, err := topic.admin.CreateTopic(t.Context(), killPartitions, 1, nil, c.alerts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = topic.admin.DeleteTopics(context.Background(), c.alerts, c.shared+"-events", c.shared+"-journal")
		_, _ = topic.admin.DeleteGroup(context.Background(), c.shared+"-shards")
	})
	return c
}

func (c *killCluster) path(i int) string { return filepath.Join(c.dir, fmt.Sprint("replica-", i)) }

func (c *killCluster) start(i int) {
	c.t.Helper()
	c.runs++
	r := &killReplica{t: c.t, name: fmt.Sprintf("run-%d", c.runs), ended: make(chan error, 1)}
	brokers := "'" + strings.Join(c.topic.seeds, "','") + "'"
	config := filepath.Join(c.dir, r.name+".yaml")
	text := fmt.Sprintf(`
sources: {trail: {type: kafka, brokers: [%[1]s], topics: [%[2]s], group: %[3]s, client_id: %[4]s}}
sinks:
  hook: {type: webhook, secrets: [%[5]s], url: '%[6]s'}
  alerts: {type: kafka, brokers: [%[1]s], topic: %[7]s}
journal: {type: kafka, brokers: [%[1]s], topic: %[8]s, path: %[9]s, partitions: %[10]d, replication: 1, instance: %[4]s}
http: {address: "127.0.0.1:0"}
escalate_after: [12h]
campaign: {users: 0}
`, brokers, c.topic.name, c.topic.group, r.name, killSecret, c.hook.url(c.runs), c.alerts, c.shared, c.path(i), killShards)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	r.cmd = exec.Command(c.binary, "run", "-c", config)
	r.cmd.Stderr = &r.log
	if err := r.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	go func() { r.ended <- r.cmd.Wait() }()
	c.replicas[i] = r
}

// suspension is longer than a session.
const suspension = 8 * time.Second

// wake ends the suspensions that took long enough; all: every one, when it has.
func (c *killCluster) wake(all bool) {
	c.t.Helper()
	for _, r := range c.replicas {
		left := suspension - time.Since(r.asleep)
		if r.asleep.IsZero() || left > 0 && !all {
			continue
		}
		c.wait(max(0, left))
		r.signal(syscall.SIGCONT)
		r.asleep = time.Time{}
	}
}

// wait waits, while no replica may end by itself.
func (c *killCluster) wait(d time.Duration) {
	c.t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
	for _, r := range c.replicas {
		select {
		case err := <-r.ended:
			c.t.Fatalf("%s ended by itself: %v\n%s", r.name, err, r.log.String())
		default:
		}
	}
}

// bury lets the brokers know which members of the groups are dead, which they find out
// themselves when the sessions time out.
func (c *killCluster) bury() {
	c.t.Helper()
	living := map[string]bool{}
	for _, r := range c.replicas {
		living[r.name] = true
	}
	for _, name := range []string{c.topic.group, c.shared + "-shards"} {
		groups, err := c.topic.admin.DescribeGroups(c.t.Context(), name)
		if refused, ok := errors.AsType[*kerr.Error](err); ok && refused.Retriable {
			continue
		}
		if err != nil {
			c.t.Fatal(err)
		}
		leave := kmsg.NewPtrLeaveGroupRequest()
		leave.Group = name
		for _, m := range groups[name].Members {
			if !living[m.ClientID] {
				leave.Members = append(leave.Members, kmsg.LeaveGroupRequestMember{MemberID: m.MemberID})
			}
		}
		if len(leave.Members) > 0 {
			if _, err := leave.RequestWith(c.t.Context(), c.topic.client); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

func (r *killReplica) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

func (r *killReplica) kill() {
	r.t.Helper()
	r.signal(syscall.SIGKILL)
	<-r.ended
}

// end stops it in order.
func (r *killReplica) end() {
	r.t.Helper()
	r.signal(syscall.SIGTERM)
	err := <-r.ended
	if status, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && r.log.Len() == 0 {
		return // it had not begun
	}
	if err != nil {
		r.t.Errorf("%s: %v\n%s", r.name, err, r.log.String())
	}
}

// killAlerts reads the committed records of the alerts topic.
type killAlerts struct {
	t         *testing.T
	client    *kgo.Client
	count     map[string]int
	alerts    []processor.Alert
	last      map[string]processor.Alert // by exposure
	overtaken []string
}

func newKillAlerts(t *testing.T, c *killCluster) *killAlerts {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.topic.seeds...), kgo.ConsumeTopics(c.alerts), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &killAlerts{t: t, client: client, count: map[string]int{}, last: map[string]processor.Alert{}}
}

// read reads what is there now.
func (k *killAlerts) read() {
	for {
		ctx, cancel := context.WithTimeout(k.t.Context(), time.Second)
		fetches := k.client.PollFetches(ctx)
		cancel()
		if fetches.NumRecords() == 0 {
			return
		}
		fetches.EachRecord(func(r *kgo.Record) {
			var a processor.Alert
			if err := json.Unmarshal(r.Value, &a); err != nil {
				k.t.Errorf("%v: %s", err, r.Value)
			}
			k.alerts = append(k.alerts, a)
			if k.count[a.ID]++; a.Exposure == nil || k.count[a.ID] > 1 {
				return
			}
			if before, ok := k.last[*a.Exposure]; ok && before.Time.After(a.Time) {
				k.overtaken = append(k.overtaken, a.ID+" "+a.Title)
			}
			k.last[*a.Exposure] = a
		})
	}
}

// withoutAlert returns those of must, by ID, that are not among the alerts.
func withoutAlert(must map[string]string, alerts []processor.Alert) (texts []string) {
	arrived := map[string]bool{}
	for _, a := range alerts {
		arrived[a.ID] = true
	}
	for id, text := range must {
		if !arrived[id] {
			texts = append(texts, text)
		}
	}
	return sortedTexts(texts)
}

// note records of whom an alert is, and whether it is about an end or a use. A sink
// that hears of an exposure when it is over gets the end alone.
func note(delivered map[string]bool, a *processor.Alert) {
	of := a.Account
	if a.User != nil {
		of += " " + *a.User
	}
	delivered[of] = true
	if a.Step == exposure.Resolved || a.Step == exposure.Exploited {
		delivered[of+" "+string(a.Step)] = true
	}
}

// outcomes returns the outcomes that have to be delivered, whatever the order in which
// records come.
func (f *killFeed) outcomes(t *testing.T) map[string]bool {
	var found killVisitor
	s := trail.NewScanner()
	for i, record := range f.watched {
		s.ScanBytes(trail.At("kill", int64(i)), record, &found)
	}
	if found.bad != nil {
		t.Fatal(found.bad)
	}
	all := map[string]bool{}
	for _, a := range alerting.Fold(found.events).Alerts() {
		note(all, a)
	}
	return all
}

func withoutOutcome(must map[string]bool, alerts []processor.Alert) (texts []string) {
	delivered := map[string]bool{}
	for _, a := range alerts {
		note(delivered, &a)
	}
	for outcome := range must {
		if !delivered[outcome] {
			texts = append(texts, outcome)
		}
	}
	return sortedTexts(texts)
}

// alerts returns the alerts that arrived.
func (h *killHook) alerts() (all []processor.Alert) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, delivered := range h.got {
		all = append(all, delivered.alert)
	}
	return all
}
