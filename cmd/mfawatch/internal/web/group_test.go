package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/service"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

const groupPartitions = 4

// A replica is a service with a shared journal, and its client.
type replica struct {
	*service.Pipeline
	*Client
	address string
	asked   *atomic.Int32 // how often it asked for the group
	hang    func()        // ends its web server, and nothing else
	stop    func()        // ends it; it is closed with the test
}

// A counted service counts the requests for its group.
type counted struct {
	*service.Pipeline
	asked atomic.Int32
}

func (c *counted) Replicas(ctx context.Context) ([]shard.Replica, error) {
	c.asked.Add(1)
	return c.Pipeline.Replicas(ctx)
}

// startReplica starts one that runs until the test ends.
func startReplica(t *testing.T, name, broker, topic, hook, token string) *replica {
	t.Helper()
	dir := t.TempDir()
	c, err := config.Load("test", fmt.Appendf(nil, `
sources: {local: {type: files, paths: [%q]}}
sinks: {hook: {type: webhook, url: %q}}
journal: {type: kafka, brokers: [%q], topic: %s, path: %q, partitions: %d, replication: 1, instance: %s}
http: {address: '127.0.0.1:0', token_file: %q}
shutdown_timeout: 20ms
`, dir, hook, broker, topic, filepath.Join(dir, "cache"), groupPartitions, name, token), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	reg, log := NewRegistry(), slog.New(slog.DiscardHandler)
	p, err := service.New(c, config.Deps{Log: log, Level: new(slog.LevelVar), Metrics: reg}, reg, nil)
	if err != nil {
		t.Fatal(err)
	}
	counting := &counted{Pipeline: p}
	servers, err := Listen(counting, reg, log)
	if err != nil {
		t.Fatal(err)
	}
	p.Announce(servers.PublicAddr())
	client, err := NewClient(servers.PublicAddr(), "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	serving, hang := context.WithCancel(ctx)
	ended := make(chan error, 2)
	go func() { ended <- p.Run(ctx) }()
	go func() { ended <- servers.Run(serving) }()
	stop := sync.OnceFunc(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(func() {
		stop()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return &replica{p, client, servers.PublicAddr(), &counting.asked, hang, stop}
}

// startGroup starts three replicas, and waits until they have n alerts that the sink
// refused and two quarantined records. The broker is kfake, or that which
// MFAWATCH_TEST_KAFKA names.
func startGroup(t *testing.T, n int) (all []*replica) {
	t.Helper()
	broker, _, _ := strings.Cut(os.Getenv("MFAWATCH_TEST_KAFKA"), ",")
	if broker == "" {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		broker = cluster.ListenAddrs()[0]
	}
	topic := fmt.Sprintf("group-%d", time.Now().UnixNano())
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnprocessableEntity) }))
	t.Cleanup(refuses.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("a-token-of-some-length"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		all = append(all, startReplica(t, name, broker, topic, refuses.URL, token))
	}
	eventually(t, func() string {
		served := 0
		for _, r := range all {
			for _, st := range r.ShardStatuses() {
				if st.State != shard.Serving || st.Problem != "" {
					return fmt.Sprint(st)
				}
			}
			if len(r.Journals()) == 0 {
				return "a replica without a shard"
			}
			served += len(r.Journals())
		}
		if served != groupPartitions {
			return fmt.Sprintf("%d shards served", served)
		}
		return ""
	})
	var events []*trail.Event
	for i := range n {
		account, user := fmt.Sprintf("%012d", i), fmt.Sprint("user", i)
		events = append(events, &trail.Event{
			ID: fmt.Sprint("e", i), Time: time.Now().Add(-time.Duration(i+1) * time.Second).UTC(), Source: trail.SourceIAM, Name: trail.DeactivateMFADevice, Partition: "aws",
			Account: account, User: user, Serial: "arn:aws:iam::" + account + ":mfa/" + user, Raw: json.RawMessage(`{}`), Actor: trail.Actor{Type: "IAMUser", Name: "admin" + user},
		})
	}
	if _, err := all[0].Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	handleShared(t, all[1], `{"eventName":"DeactivateMFADevice","eventSource":"iam.amazonaws.com","eventTime":"never"}`, "one.json")
	handleShared(t, all[2], `{"eventName":"DeactivateMFADevice","eventSource":"iam.amazonaws.com","eventTime":"no more"}`, "two.json")
	eventually(t, func() string {
		dead, kept := 0, 0
		for _, r := range all {
			st, err := r.Stats()
			if err != nil {
				return err.Error()
			}
			dead += st.Sinks["hook"].Dead
			for _, j := range r.Journals() {
				some, err := j.QuarantineRecords()
				if err != nil {
					return err.Error()
				}
				kept += len(some)
			}
		}
		if dead != n || kept != 2 {
			return fmt.Sprintf("%d dead letters, %d quarantined", dead, kept)
		}
		return ""
	})
	return all
}

func eventually(t *testing.T, problem func() string) {
	t.Helper()
	last := ""
	sourcetest.Eventually(t, func() bool { last = problem(); return last == "" }, func() string { return last })
}

// front returns the front page.
func (r *replica) front(t *testing.T) string { return r.page(t, "/") }

func (r *replica) page(t *testing.T, path string) string {
	t.Helper()
	response, err := http.Get("http://" + r.address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%d %s %v", response.StatusCode, body, err)
	}
	return string(body)
}

// Each replica answers for all of them.
func TestGroup(t *testing.T) {
	const n = 30
	all := startGroup(t, n)
	ctx := t.Context()
	var ids []string
	for i, r := range all {
		var pages []Exposure
		for f, next := (ExposureFilter{Limit: 7}), "first"; next != ""; f.After = next {
			page, err := r.ListExposures(ctx, f)
			if err != nil || len(page.Exposures) > 7 {
				t.Fatalf("%d, %v", len(page.Exposures), err)
			}
			pages, next = append(pages, page.Exposures...), page.Next
		}
		if len(pages) != n || !slices.IsSortedFunc(pages, Exposure.compare) {
			t.Errorf("replica %d: %d exposures, sorted: %v", i, len(pages), slices.IsSortedFunc(pages, Exposure.compare))
		}
		ids = nil
		for _, x := range pages {
			ids = append(ids, x.ID)
			if story, err := r.ShowExposure(ctx, x.ID); err != nil || len(story.Alerts) != 1 {
				t.Errorf("replica %d: %d alerts, %v", i, len(story.Alerts), err)
			}
		}
		alerts := map[string]int{}
		for next := "first"; next != ""; {
			page, err := r.ListAlerts(ctx, strings.TrimPrefix(next, "first"), 7)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range page.Alerts {
				alerts[a.Alert.ID]++
			}
			next = page.Next
		}
		if len(alerts) != n {
			t.Errorf("replica %d: %d alerts in pages", i, len(alerts))
		}
		var dead []string
		if err := r.ListDeadLetters(ctx, Selection{}, func(d DeadLetter) error { dead = append(dead, d.Alert.ID); return nil }); err != nil || len(dead) != n {
			t.Errorf("replica %d: %d dead letters, %v", i, len(dead), err)
		}
		var kept []journal.Quarantined
		if err := r.ListQuarantine(ctx, Selection{}, func(q journal.Quarantined) error { kept = append(kept, q); return nil }); err != nil || len(kept) != 2 || kept[0].Time.After(kept[1].Time) {
			t.Errorf("replica %d: quarantine %v, %v", i, kept, err)
		}
		shards, err := r.ListShards(ctx)
		if err != nil || len(shards.Shards) != groupPartitions || shards.Instance != []string{"a", "b", "c"}[i] {
			t.Errorf("replica %d: %v, %v", i, shards, err)
		}
		o, err := r.Overview(ctx)
		if err != nil || o.TimeZone != "UTC" || !slices.EqualFunc(o.Shards, shards.Shards, func(a, b Shard) bool {
			return a.Partition == b.Partition && a.Owner == b.Owner && a.Address == b.Address
		}) {
			t.Errorf("replica %d: overview %s, %+v, %v", i, o.TimeZone, o.Shards, err)
		}
		open := 0
		for _, s := range shards.Shards {
			open += s.Open
			owner := all[strings.Index("abc", s.Owner)]
			if s.State != shard.Serving || s.Address != owner.address || s.Offset <= 0 || s.ChangeLogLag != 0 || s.Lag != 0 || s.LastCommit == nil {
				t.Errorf("replica %d: %+v", i, s)
			}
		}
		if open != n {
			t.Errorf("replica %d: %d open exposures", i, open)
		}
		if missing := r.Unanswered(); len(missing) > 0 {
			t.Errorf("replica %d: %q", i, missing)
		}
	}

	for i, r := range all {
		before := r.asked.Load()
		for range 30 { // of many readers
			if body := r.front(t); !strings.Contains(body, fmt.Sprintf("Open exposures (%d)", n)) || strings.Count(body, "<p><span") != pageAlerts || strings.Contains(body, "may be missing") {
				t.Fatalf("replica %d: the front page is not that of the group:\n%s", i, body)
			}
		}
		for _, path := range []string{"/deadletters", "/quarantine"} {
			if body := r.page(t, path); !strings.Contains(body, "alone; mfawatch "+path[1:]+" list shows those of all replicas.") {
				t.Errorf("replica %d: %s does not say whose it shows:\n%s", i, path, body)
			}
		}
		if o, err := r.Client.Overview(ctx); err != nil || o.Selected != n || len(o.Exposures) != n || len(o.Unanswered) > 0 {
			t.Errorf("replica %d: overview of %d exposures, %q, %v", i, o.Selected, o.Unanswered, err)
		}
		if asked := r.asked.Load() - before; asked > 12 {
			t.Errorf("replica %d: 31 readers asked for the group %d times", i, asked)
		}
	}

	a, b := all[0], all[1]
	for _, id := range ids {
		if err := a.CloseExposure(ctx, id, Closing{By: "ann", Note: "seen"}); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := a.CloseExposure(ctx, "nothing", Closing{By: "ann", Note: "seen"}); !isMissing(err) {
		t.Errorf("close what is not there: %v", err)
	}
	if _, err := a.ShowExposure(ctx, "nothing"); !isMissing(err) {
		t.Errorf("show what is not there: %v", err)
	}
	var dead []string
	if err := a.ListDeadLetters(ctx, Selection{Sink: "hook"}, func(d DeadLetter) error { dead = append(dead, d.Alert.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	o, err := b.DropDeadLetters(ctx, Selection{IDs: append(dead[:3:3], "nothing")})
	if err != nil || o.Done != 3 || !slices.Equal(o.Unknown, []string{"nothing"}) {
		t.Errorf("drop: %+v, %v", o, err)
	}
	if o, err = a.RetryQuarantine(ctx, Selection{All: true}); err != nil || len(o.Still) != 2 {
		t.Errorf("retry of the quarantine: %+v, %v", o, err)
	}
	if o, err = a.DropQuarantine(ctx, Selection{All: true}); err != nil || o.Done != 2 {
		t.Errorf("drop of the quarantine: %+v, %v", o, err)
	}
	if err := a.ListDeadLetters(ctx, Selection{Sink: "none"}, func(DeadLetter) error { return nil }); !isMissing(err) {
		t.Errorf("a sink that is not there: %v", err)
	}
	// A page of an exposure is that of any replica, which links in messages name.
	for path, wants := range map[string][]string{"/exposures/" + ids[0]: {"MFA"}, "/": {`href="http://` + b.address + `/">b</a>`, `href="http://` + all[2].address + `/">c</a>`}} {
		response, err := http.Get("http://" + a.address + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s %v", path, response.StatusCode, body, err)
		}
		for _, want := range wants {
			if !strings.Contains(string(body), want) {
				t.Errorf("%s has no %s:\n%s", path, want, body)
			}
		}
	}
}

// A replica whose server hangs is named in every answer, within a bounded time.
func TestGroupWithAReplicaThatDoesNotAnswer(t *testing.T) {
	const n = 30
	all := startGroup(t, n)
	a, silent := all[0], all[2]
	silent.hang()
	eventually(t, func() string {
		if _, err := silent.ListShards(t.Context()); err == nil {
			return "the server still answers"
		}
		return ""
	})
	left := n
	for _, j := range silent.Journals() {
		left -= len(j.Open())
	}
	page, err := a.ListExposures(t.Context(), ExposureFilter{})
	if err != nil || len(page.Exposures) != left {
		t.Errorf("%d exposures, want %d: %v", len(page.Exposures), left, err)
	}
	if missing := a.Unanswered(); len(missing) != 1 || !strings.HasPrefix(missing[0], "c: call the service at "+silent.address) {
		t.Errorf("%q", missing)
	}
	if body := a.front(t); !strings.Contains(body, fmt.Sprintf("Open exposures (%d)", left)) || !strings.Contains(body, "Exposures may be missing: c: call the service at ") {
		t.Errorf("the front page:\n%s", body)
	}
	shards, err := a.ListShards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shards.Shards {
		if (s.Owner == "c") != (s.State == shardUnanswered) {
			t.Errorf("%+v", s)
		}
	}
	// An exposure that is not found may be one of that replica.
	if _, err := a.ShowExposure(t.Context(), "nothing"); err == nil || isMissing(err) || !strings.Contains(err.Error(), "not every replica answered: c: ") {
		t.Errorf("show: %v", err)
	}
}
