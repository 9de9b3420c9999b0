package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
	"github.com/mfawatch/mfawatch/sources/awstest"
)

// A queue names thousands of objects, some twice; some messages are garbage, or
// name what is not there or damaged; S3 and SQS fail at random; and the binary
// is killed twice. Every alert arrives, none twice except those sent right
// before a kill, and each poison message is in the quarantine once.
//
// MFAWATCH_TEST_OBJECTS says how many objects there are.
func TestS3ZeroLoss(t *testing.T) {
	t.Run("file", func(t *testing.T) { s3ZeroLoss(t, false) })
	t.Run("shared", func(t *testing.T) { s3ZeroLoss(t, true) })
}

func s3ZeroLoss(t *testing.T, shared bool) {
	objects := 200
	if trailtest.Whole() {
		objects = 600
	}
	if n := os.Getenv("MFAWATCH_TEST_OBJECTS"); n != "" {
		var err error
		if objects, err = strconv.Atoi(n); err != nil || objects < 100 {
			t.Fatalf("MFAWATCH_TEST_OBJECTS: want a number from 100 on, got %q", n)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	began := time.Now()
	server := awstest.New()
	t.Cleanup(server.Close)
	trail := newLossTrail(seed, server)
	trail.fill(objects)
	faults := &lossFaults{random: rand.New(rand.NewPCG(seed, 5)), by: map[string]int{}}
	server.Fault = faults.next
	must, may := trail.feed.wanted(t)

	hook := newKillHook(t, seed)
	victim := newLossVictim(t, hook, shared)
	deaths := make(map[int]time.Time)
	sent := len(server.Messages())
	for run := range 2 {
		p := victim.start(t, server, run)
		left, before := sent*(2-run)/3, hook.distinct() // a third of the queue for each of the three
		p.waitUntil(t, 2*time.Minute, func() bool { return server.Left() <= left && hook.distinct() > before && hook.count(run) > 0 })
		deaths[run] = p.kill(t)
		server.Expire()
	}
	last := victim.start(t, server, 2)
	last.waitUntil(t, 5*time.Minute, func() bool { return server.Left() == 0 && len(hook.missing(must)) == 0 })
	last.end(t)

	if left := server.Left(); left > 0 {
		t.Errorf("%d of %d messages are still in the queue", left, sent)
	}
	if missing := hook.missing(must); len(missing) > 0 {
		t.Errorf("%d of %d alerts never arrived:\n%s", len(missing), len(must), strings.Join(missing[:min(10, len(missing))], "\n"))
	}
	for _, unknown := range hook.unknown(may) {
		t.Errorf("the records do not call for this: %s", unknown)
	}
	// Alerts that came twice were sent right before a kill, and not noted yet: a
	// burst is noted in groups. It fails for alerts that came twice within a run.
	again := hook.again(t, deaths)
	if again.between > time.Second {
		t.Errorf("%d alerts were sent again that had arrived up to %s before the kill", again.total, again.between)
	}
	quarantined := victim.quarantine(t)
	for id, what := range trail.poison {
		if n := quarantined["sqs://trail/"+id]; n != 1 {
			t.Errorf("%s (%s) is in the quarantine %d times", id, what, n)
		}
		delete(quarantined, "sqs://trail/"+id)
	}
	for origin := range quarantined {
		t.Errorf("%s is in the quarantine", origin)
	}
	faults.mu.Lock()
	defer faults.mu.Unlock()
	t.Logf("%d objects, %d messages, %d of them poison, in %s; faults %v; %d alerts had to arrive, %d did, %d of them again, which had arrived up to %s before a kill",
		objects, sent, len(trail.poison), time.Since(began).Round(time.Millisecond), faults.by, len(must), hook.distinct(), again.total, again.between.Round(time.Millisecond))
	for _, kind := range []string{"500", "503", "timeout", "reset", "cut"} {
		if faults.by[kind] == 0 {
			t.Errorf("no fault of the kind %s", kind)
		}
	}
	if again.runs != 2 || len(must) < objects/20 {
		t.Error("it was killed with too little to do")
	}
}

// A lossTrail holds the content of the bucket and the queue.
type lossTrail struct {
	server *awstest.Server
	random *rand.Rand
	feed   *killFeed // which only says the records
	poison map[string]string
	late   []lossRecord // to be put into an object that is still to come
}

type lossRecord struct{ json []byte }

func newLossTrail(seed uint64, server *awstest.Server) *lossTrail {
	return &lossTrail{
		server: server, random: rand.New(rand.NewPCG(seed, 4)), poison: make(map[string]string),
		feed: &killFeed{random: rand.New(rand.NewPCG(seed, 2)), noise: trailtest.New(seed)},
	}
}

// fill makes objects and the messages about them: 5 % twice, and 2 % of poison.
func (l *lossTrail) fill(objects int) {
	for i := range objects {
		var records [][]byte
		for range 4 {
			records = append(records, l.feed.noise.Record())
		}
		if l.random.IntN(5) == 0 {
			records = append(records, l.story(i)...)
		}
		if len(l.late) > 0 && (l.random.IntN(3) == 0 || i == objects-1) {
			for _, r := range l.late {
				records = append(records, r.json)
			}
			l.late = nil
		}
		l.random.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		doc := append(append([]byte(`{"Records":[`), bytes.Join(records, []byte(","))...), "]}"...)
		if i == objects/2 {
			doc = append(append([]byte(`{"Records":[`), bytes.Join(append(records, l.bulk()), []byte(","))...), "]}"...)
		}
		key := fmt.Sprintf("AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/01/111122223333_CloudTrail_us-east-1_20260501T0805Z_%016d.json.gz", i)
		l.server.Put("trail", key, trailtest.Gzip(doc))
		l.send(key)
		if l.random.IntN(20) == 0 {
			l.send(key)
		}
		if l.random.IntN(50) == 0 {
			l.spoil(i)
		}
	}
}

// story returns the records of a user. Where the order does not matter, the second
// half comes with a later object, which may be read first.
func (l *lossTrail) story(n int) [][]byte {
	account, user := fmt.Sprintf("%012d", 500_000_000_000+n/10), fmt.Sprintf("user-%d", n)
	verbs := killStories[l.random.IntN(len(killStories))]
	var records [][]byte
	happened := time.Now().Add(-2 * time.Minute)
	for i, verb := range verbs {
		json := l.feed.say(verb, account, user, happened.Add(time.Duration(i)*10*time.Second))
		l.feed.watched = append(l.feed.watched, json)
		if i == 1 && len(verbs) == 2 && verbs[0] == "deactivate A" && verb != "deactivate B" {
			l.late = append(l.late, lossRecord{json})
			continue
		}
		records = append(records, json)
	}
	return records
}

// bulk makes an object larger than is read in one go.
func (l *lossTrail) bulk() []byte {
	var all [][]byte
	for range 1500 {
		all = append(all, l.feed.noise.Record())
	}
	return bytes.Join(all, []byte(","))
}

// send notifies the queue of an object, in one of the shapes there are.
func (l *lossTrail) send(key string) string {
	event := `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"trail"},"object":{"key":"` + key + `"}}}]}`
	switch l.random.IntN(4) {
	case 0:
		quoted, _ := json.Marshal(event)
		return l.server.Send(`{"Type":"Notification","Message":` + string(quoted) + `}`)
	case 1:
		return l.server.Send(`{"s3Bucket":"trail","s3ObjectKey":["` + key + `"]}`)
	case 2:
		return l.server.Send(`{"version":"0","detail-type":"Object Created","source":"aws.s3","region":"us-east-1","detail":{"bucket":{"name":"trail"},"object":{"key":"` + key + `"}}}`)
	}
	return l.server.Send(event)
}

// spoil sends a message that can never be done.
func (l *lossTrail) spoil(n int) {
	switch l.random.IntN(3) {
	case 0:
		l.poison[l.server.Send(`{"not":"a notification"}`)] = "garbage"
	case 1:
		l.poison[l.send(fmt.Sprintf("AWSLogs/gone-%d.json.gz", n))] = "missing"
	case 2:
		key := fmt.Sprintf("AWSLogs/damaged-%d.json.gz", n)
		object := trailtest.Gzip(l.feed.noise.Record())
		l.server.Put("trail", key, object[:len(object)-9])
		l.poison[l.send(key)] = "damaged"
	}
}

// lossFaults fail calls at random.
type lossFaults struct {
	mu     sync.Mutex
	random *rand.Rand
	by     map[string]int
}

func (f *lossFaults) next(c awstest.Call) awstest.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind, fault := "", awstest.Fault{}
	switch f.random.IntN(50) {
	case 0:
		kind, fault = "500", awstest.Fault{Status: http.StatusInternalServerError, Code: "InternalError"}
	case 1:
		kind, fault = "503", awstest.Fault{Status: http.StatusServiceUnavailable, Code: "SlowDown"}
	case 2:
		kind, fault = "reset", awstest.Fault{Reset: true, Undone: c.Operation == "DeleteMessageBatch" && f.random.IntN(2) == 0}
	case 3:
		kind, fault = "timeout", awstest.Fault{Delay: time.Duration(f.random.IntN(300)) * time.Millisecond, Reset: true}
	case 4, 5:
		if c.Operation == "GetObject" {
			kind, fault = "cut", awstest.Fault{Cut: 1 + f.random.IntN(3000)}
		}
	}
	if kind != "" {
		f.by[kind]++
	}
	return fault
}

// A lossVictim is the built binary with its configuration and its journal. Its
// visibility timeout is short: messages whose receipt was lost come again after it.
type lossVictim struct {
	hook           *killHook
	binary, config string
	journals       []string // files
}

func newLossVictim(t *testing.T, hook *killHook, shared bool) *lossVictim {
	dir := t.TempDir()
	v := &lossVictim{hook: hook, binary: built(t), config: filepath.Join(dir, "mfawatch.yaml"), journals: []string{filepath.Join(dir, "mfawatch.db")}}
	journal := "path: " + v.journals[0]
	if shared {
		topic, cache := newKillTopic(t), filepath.Join(dir, "cache")
		journal = fmt.Sprintf("type: kafka, brokers: [%s], topic: %s-shared, path: %s, partitions: 3, replication: 1", strings.Join(topic.seeds, ", "), topic.name, cache)
		v.journals = []string{filepath.Join(cache, "0.db"), filepath.Join(cache, "1.db"), filepath.Join(cache, "2.db")}
		t.Cleanup(func() {
			_, _ = topic.admin.DeleteTopics(context.Background(), topic.name+"-shared-events", topic.name+"-shared-journal")
		})
	}
	config := fmt.Sprintf(`
sources:
  trail:
    type: s3
    queue_url: %s
    access_key_id: AKIATEST
    secret_access_key: test
    max_receives: 3
    retry: {min: 1s, max: 1s}
    visibility_timeout: 30s
sinks: {hook: {type: webhook, secrets: [%s], concurrency: %d}}
journal: {%s}
http: {address: "127.0.0.1:0"}
escalate_after: [12h]
campaign: {users: 0}
`, awstest.QueueURL, killSecret, killConcurrency, journal)
	if err := os.WriteFile(v.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return v
}

// A lossLife is one run of the binary.
type lossLife struct {
	cmd   *exec.Cmd
	log   bytes.Buffer
	ended chan error
}

func (v *lossVictim) start(t *testing.T, server *awstest.Server, run int) *lossLife {
	t.Helper()
	p := &lossLife{cmd: exec.Command(v.binary, "run", "-c", v.config), ended: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true", "MFAWATCH_SOURCES__TRAIL__ENDPOINT="+server.URL, "MFAWATCH_SINKS__HOOK__URL="+v.hook.url(run))
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go func() { p.ended <- p.cmd.Wait() }()
	return p
}

// waitUntil waits until done reports true, at most for limit.
func (p *lossLife) waitUntil(t *testing.T, limit time.Duration, done func() bool) {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !done() {
		select {
		case <-timer.C:
			return
		case <-look.C:
		case err := <-p.ended:
			t.Fatalf("it ended by itself: %v\n%s", err, p.log.String())
		}
	}
}

// kill kills it, and is the time of it.
func (p *lossLife) kill(t *testing.T) time.Time {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	err := <-p.ended
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		t.Fatalf("it ended by itself: %v\n%s", err, p.log.String())
	}
	return at
}

// end stops it in order.
func (p *lossLife) end(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-p.ended; err != nil {
		t.Errorf("the last run: %v\n%s", err, p.log.String())
	}
}

// quarantine is how often each origin is kept aside.
func (v *lossVictim) quarantine(t *testing.T) map[string]int {
	t.Helper()
	var all []journal.Quarantined
	for _, path := range v.journals {
		j, err := journal.Open(path, journal.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		records, err := j.QuarantineRecords()
		if err = errors.Join(err, j.Close()); err != nil {
			t.Fatal(err)
		}
		all = append(all, records...)
	}
	kept := make(map[string]int)
	for _, a := range all {
		if a.Source != "trail" || a.Err == "" || a.Reason == "" {
			t.Errorf("kept without source or cause: %+v", a)
		}
		kept[a.Origin]++
	}
	return kept
}
