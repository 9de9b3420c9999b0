package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
)

// counts is how often each alert came to each path of a server.
type counts struct {
	mu        sync.Mutex
	delivered map[string]map[string]int
}

func (c *counts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var a struct{ ID string }
	body, err := io.ReadAll(r.Body)
	if err := errors.Join(err, json.Unmarshal(body, &a)); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.delivered[r.URL.Path] == nil {
		c.delivered[r.URL.Path] = map[string]int{}
	}
	c.delivered[r.URL.Path][a.ID]++
}

// A reload may come after the service took its first step and before its shard
// starts: the shard starts the new worker then.
func TestReloadBeforeTheShardStarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfawatch.db")
	after := func(timeout int) *config.Config {
		c, err := config.Load("test", fmt.Appendf(nil, "sinks: {changing: {type: webhook, url: 'http://127.0.0.1:1', timeout: %ds}}\n"+
			"sources: {in: {type: kafka, brokers: ['127.0.0.1:1'], topics: [cloudtrail]}}\njournal: {path: %q}", timeout, path), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	reg := prometheus.NewRegistry()
	p, err := New(after(5), config.Deps{Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar), Metrics: reg}, reg, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.load = func() (*config.Config, error) { return after(6), nil }
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	p.intake = ctx
	if _, err := p.Reload(); err != nil {
		t.Fatal(err)
	}
	s := p.shards[0]
	if s.sinks["changing"].done != nil {
		t.Error("the worker runs before its shard")
	}
	if err := p.startShard(ctx, s); err != nil {
		t.Fatal(err)
	}
	if s.sinks["changing"].done == nil {
		t.Error("the worker does not run")
	}
	s.stop()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// The configuration changes all the time under load: of the source and one sink
// nothing is lost or delivered twice, and the other sink notices nothing.
func TestReloadUnderLoad(t *testing.T) {
	const topic, users, reloads = "cloudtrail", 300, 8
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, topic))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	hook := &counts{delivered: map[string]map[string]int{}}
	server := httptest.NewServer(hook)
	defer server.Close()

	path := filepath.Join(t.TempDir(), "mfawatch.db")
	numbered := func(n int) (*config.Config, error) {
		return config.Load("test", fmt.Appendf(nil, `
sources: {trail: {type: kafka, brokers: [%q], topics: [%s], client_id: number-%d}}
sinks: {steady: {type: webhook, url: '%[4]s/steady'}, changing: {type: webhook, url: '%[4]s/changing', timeout: %d.5s}}
journal: {path: %q}
http: {address: '127.0.0.1:0'}
escalate_after: [%[5]dh]
campaign: {users: 0}
`, cluster.ListenAddrs()[0], topic, n%2, server.URL, 12+n%3, path), nil, nil)
	}
	c, err := numbered(0)
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	p, err := New(c, config.Deps{Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar), Metrics: reg}, reg, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	p.load = func() (*config.Config, error) { n++; return numbered(n) }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()

	var load sync.WaitGroup
	load.Go(func() {
		for i := range users {
			record := fmt.Appendf(nil, `{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/alice",`+
				`"accountId":"111122223333","userName":"alice"},"eventTime":%q,"eventSource":"iam.amazonaws.com","eventName":"DeactivateMFADevice",`+
				`"awsRegion":"us-east-1","requestParameters":{"userName":"user-%d","serialNumber":"arn:aws:iam::111122223333:mfa/user-%[2]d"},`+
				`"responseElements":null,"eventID":"event-%[2]d","recipientAccountId":"111122223333"}`, time.Now().UTC().Format(time.RFC3339), i)
			if err := client.ProduceSync(t.Context(), &kgo.Record{Value: record}).FirstErr(); err != nil {
				t.Error(err)
			}
		}
	})
	for range reloads {
		err := every(t.Context(), time.Millisecond, func() (bool, error) {
			_, err := p.Reload()
			if err != nil && strings.Contains(err.Error(), "not running") {
				return false, nil // it starts
			}
			return true, err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Gather(); err != nil {
			t.Error(err)
		}
	}
	load.Wait()
	waiting, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	all := func() (bool, error) {
		hook.mu.Lock()
		defer hook.mu.Unlock()
		return len(hook.delivered["/steady"]) == users && len(hook.delivered["/changing"]) == users, nil
	}
	if err := every(waiting, 10*time.Millisecond, all); err != nil {
		t.Errorf("%d and %d of %d alerts delivered", len(hook.delivered["/steady"]), len(hook.delivered["/changing"]), users)
	}
	cancel()
	if err := errors.Join(<-ended, p.Close()); err != nil {
		t.Error(err)
	}
	for path, delivered := range hook.delivered {
		for id, n := range delivered {
			if n != 1 {
				t.Errorf("%s got alert %s %d times", path, id, n)
			}
		}
	}
	if _, err := p.Reload(); err == nil || !strings.Contains(err.Error(), "not running") {
		t.Errorf("a reload after the end: %v", err)
	}
}

func TestReloadNeedsRestart(t *testing.T) {
	now, next := config.Defaults(), config.Defaults()
	if wrong := config.NeedRestart(&now, &next); wrong != nil {
		t.Errorf("nothing changed: %v", wrong)
	}
	next.HTTP.Address, next.Journal.Path, next.Retention, next.Log.Format = "127.0.0.1:1", "x", 40*24*time.Hour, "json"
	next.Log.Level, next.ShutdownTimeout, next.HTTP.Admin = "debug", time.Second, true // those take effect
	got := (&config.Error{Name: "reload", Mistakes: config.NeedRestart(&now, &next)}).Error()
	want := `reload: 4 mistakes:
  http.address: changed from 127.0.0.1:9464 to 127.0.0.1:1; restart the service to apply it
  journal.path: changed from mfawatch.db to x; restart the service to apply it
  log.format: changed from text to json; restart the service to apply it
  retention: changed from 35d to 40d; restart the service to apply it`
	if got != want {
		t.Errorf("got %s", got)
	}
}
