package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// The binary is killed at random moments, over and over, while records come in
// all the time. Every alert that the records call for arrives all the same; one
// is sent again only if the one before was sent right before a kill, with the
// same bytes; and nothing else arrives.
//
// It takes half a second a kill: MFAWATCH_TEST_KILLS says how many there are.
func TestKill(t *testing.T) {
	kills := 8
	if trailtest.Whole() {
		kills = 20
	}
	if n := os.Getenv("MFAWATCH_TEST_KILLS"); n != "" {
		var err error
		if kills, err = strconv.Atoi(n); err != nil || kills < 1 {
			t.Fatalf("MFAWATCH_TEST_KILLS: want a number, got %q", n)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	began := time.Now()

	topic := newKillTopic(t)
	hook := newKillHook(t, seed)
	victim := newVictim(t, topic, hook)
	feed := newKillFeed(seed, topic)
	feed.start()
	defer feed.stop() // before anything is closed

	deaths := make(map[int]time.Time) // by run
	for run := range kills {
		p := victim.start(run)
		// Half die after some time, wherever they are then; half in the midst of
		// sending, however slow the machine.
		limit := time.Duration(random.Int64N(int64(1400 * time.Millisecond)))
		alerts := 0
		if run%2 == 0 {
			alerts, limit = 1+random.IntN(15), 20*time.Second
		}
		p.waitUntil(limit, func() bool { return alerts > 0 && hook.count(run) >= alerts })
		deaths[run] = p.kill()
	}
	if err := feed.stop(); err != nil {
		t.Fatal(err)
	}
	must, may := feed.wanted(t)

	last := victim.start(kills)
	last.waitUntil(2*time.Minute, func() bool { return len(hook.missing(must)) == 0 && topic.read(t) })
	last.end()
	if missing := hook.missing(must); len(missing) > 0 {
		t.Errorf("%d of %d alerts never arrived:\n%s", len(missing), len(must), strings.Join(missing[:min(10, len(missing))], "\n"))
	}
	for _, unknown := range hook.unknown(may) {
		t.Errorf("the records do not call for this: %s", unknown)
	}
	for _, overtaken := range hook.overtaken() {
		t.Errorf("an alert that is older came later: %s", overtaken)
	}
	again := hook.again(t, deaths)
	if again.between > time.Second {
		t.Errorf("an alert was sent again that had arrived %s before the kill", again.between)
	}
	t.Logf("%d kills in %s, %d of them after alerts had arrived in that run; %d records, %d watched; %d alerts had to arrive, %d did, %d of them again (at most %d after one kill, which had arrived %s before it at most)",
		kills, time.Since(began).Round(time.Second), again.runs, feed.records, len(feed.watched), len(must), hook.distinct(), again.total, again.most,
		again.between.Round(time.Millisecond))
	if len(must) < 3*kills || again.runs < kills/4 {
		t.Errorf("it was killed with too little to do")
	}
}

// A killTopic is the topic that the victim reads: on kfake, over TCP, or on the Kafka that
// MFAWATCH_TEST_KAFKA names.
type killTopic struct {
	seeds       []string
	name, group string
	client      *kgo.Client
	admin       *kadm.Client
}

const (
	killPartitions  = 3
	killConcurrency = 8 // concurrent sends
)

func newKillTopic(t *testing.T) *killTopic {
	k := &killTopic{name: fmt.Sprintf("kill-%d-%d", os.Getpid(), time.Now().UnixNano()), group: "mfawatch-kill"}
	real := os.Getenv("MFAWATCH_TEST_KAFKA")
	if real != "" {
		k.seeds = strings.Split(real, ",")
	} else {
		fake, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(fake.Close)
		k.seeds = fake.ListenAddrs()
	}
	k.group += strings.TrimPrefix(k.name, "kill")
	var err error
	if k.client, err = kgo.NewClient(kgo.SeedBrokers(k.seeds...), kgo.DefaultProduceTopic(k.name)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.client.Close)
	k.admin = kadm.NewClient(k.client)
	if _, err := k.admin.CreateTopic(t.Context(), killPartitions, 1, nil, k.name); err != nil {
		t.Fatal(err)
	}
	if real != "" {
		t.Cleanup(func() {
			_, _ = k.admin.DeleteTopic(context.Background(), k.name)
			_, _ = k.admin.DeleteGroup(context.Background(), k.group)
		})
	}
	return k
}

// bury lets the brokers know which members of the group are dead: all but the one
// that lives. They would find out by themselves when the session times out, 45
// seconds later.
func (k *killTopic) bury(ctx context.Context, living string) error {
	groups, err := k.admin.DescribeGroups(ctx, k.group)
	if refused, ok := errors.AsType[*kerr.Error](err); ok && refused.Retriable {
		return nil // no member has joined yet, and the brokers hear it again soon
	}
	if err != nil {
		return err
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = k.group
	for _, m := range groups[k.group].Members {
		if m.ClientID != living {
			leave.Members = append(leave.Members, kmsg.LeaveGroupRequestMember{MemberID: m.MemberID})
		}
	}
	if len(leave.Members) == 0 {
		return nil
	}
	_, err = leave.RequestWith(ctx, k.client)
	return err
}

// read reports whether the group has committed all there is.
func (k *killTopic) read(t *testing.T) bool {
	lags, err := k.admin.Lag(t.Context(), k.group)
	if err == nil {
		err = lags.Error()
	}
	return err == nil && lags[k.group].Lag.Total() == 0
}

// A victim is the built binary with its configuration and its journal.
type victim struct {
	t              *testing.T
	topic          *killTopic
	hook           *killHook
	binary, config string
}

func newVictim(t *testing.T, topic *killTopic, hook *killHook) *victim {
	dir := t.TempDir()
	v := &victim{t: t, topic: topic, hook: hook, binary: built(t), config: filepath.Join(dir, "mfawatch.yaml")}
	config := fmt.Sprintf(`
sources: {trail: {type: kafka, brokers: [%s], topics: [%s], group: %s}}
sinks: {hook: {type: webhook, secrets: [%s], concurrency: %d}}
journal: {path: %s}
http: {address: "127.0.0.1:0"}
escalate_after: [12h]
campaign: {users: 0}
`, "'"+strings.Join(topic.seeds, "','")+"'", topic.name, topic.group, killSecret, killConcurrency, filepath.Join(dir, "mfawatch.db"))
	if err := os.WriteFile(v.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return v
}

// A life is one run of the binary.
type life struct {
	*victim
	name  string // by which the brokers know it
	cmd   *exec.Cmd
	log   bytes.Buffer
	ended chan error
}

func (v *victim) start(run int) *life {
	v.t.Helper()
	p := &life{victim: v, name: fmt.Sprintf("run-%d", run), cmd: exec.Command(v.binary, "run", "-c", v.config), ended: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), "MFAWATCH_SOURCES__TRAIL__CLIENT_ID="+p.name, "MFAWATCH_SINKS__HOOK__URL="+v.hook.url(run))
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go func() { p.ended <- p.cmd.Wait() }()
	return p
}

// waitUntil waits until done reports true, at most for limit.
func (p *life) waitUntil(limit time.Duration, done func() bool) {
	p.t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for !done() {
		select {
		case <-timer.C:
			return
		case <-p.hook.arrived:
		case <-look.C:
			// One that was just joining when it was killed joins after its death.
			if err := p.topic.bury(p.t.Context(), p.name); err != nil {
				p.t.Fatalf("bury the dead: %v", err)
			}
		case err := <-p.ended:
			p.t.Fatalf("%s ended by itself: %v\n%s", p.name, err, p.log.String())
		}
	}
}

// kill kills it, and is the time of it.
func (p *life) kill() time.Time {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatalf("kill %s: %v", p.name, err)
	}
	at := time.Now()
	err := <-p.ended
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		p.t.Fatalf("%s ended by itself: %v\n%s", p.name, err, p.log.String())
	}
	if err := p.topic.bury(p.t.Context(), ""); err != nil {
		p.t.Fatalf("bury the dead: %v", err)
	}
	return at
}

// end stops it in order.
func (p *life) end() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if err := <-p.ended; err != nil {
		p.t.Errorf("the last run: %v\n%s", err, p.log.String())
	}
	for line := range strings.Lines(p.log.String()) {
		if strings.Contains(line, "level=ERROR") {
			p.t.Errorf("the last run: %s", line)
		}
	}
}

// wanted returns the alerts of the watched records that have to arrive, and those
// that may, by ID. A sink that hears of an exposure only when it is over or suspect
// gets that, and whether it was exploited, and not how it went.
func (f *killFeed) wanted(t *testing.T) (must, may map[string]string) {
	var found killVisitor
	s := trail.NewScanner()
	for i, record := range f.watched {
		s.ScanBytes(trail.At("kill", int64(i)), record, &found)
	}
	if found.bad != nil || len(found.events) != len(f.watched) {
		t.Fatalf("%d of %d watched records are events: %v", len(found.events), len(f.watched), found.bad)
	}
	alerts := alerting.Fold(found.events).Alerts()
	last := make(map[string]exposure.Step)
	for _, a := range alerts {
		if a.Step == exposure.Resolved || a.Step == exposure.Suspect {
			last[*a.Exposure] = a.Step
		}
	}
	must, may = make(map[string]string), make(map[string]string)
	for _, a := range alerts {
		text := fmt.Sprintf("%s %s %s, %s, event %s", a.ID, a.Account, a.Title, a.Step, a.Event.ID)
		may[a.ID] = text
		if a.Exposure == nil || last[*a.Exposure] == "" || a.Step == last[*a.Exposure] || a.Step == exposure.Exploited {
			must[a.ID] = text
		}
	}
	return must, may
}

// A killVisitor gathers events.
type killVisitor struct {
	events []*trail.Event
	bad    error
}

func (v *killVisitor) Event(e *trail.Event) { v.events = append(v.events, e) }

func (v *killVisitor) Unreadable(u trail.Unreadable) {
	v.bad = errors.Join(v.bad, fmt.Errorf("%v: %w", u.Reason, u.Err))
}

// sortedTexts makes failures read the same each time.
func sortedTexts(texts []string) []string {
	slices.Sort(texts)
	return texts
}
