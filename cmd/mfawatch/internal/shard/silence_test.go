package shard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A network is that of one replica. It can be cut, which looks like a death of the
// replica, and mended, which looks like the end of a suspension.
type network struct {
	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

func (n *network) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return nil, errors.New("the network is cut")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		n.conns = append(n.conns, conn)
	}
	return conn, err
}

func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = true
	for _, c := range n.conns {
		c.Close()
	}
	n.conns = nil
}

func (n *network) mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}

// Alerts of a replica that dies come from the others at the latest 15 s later, of
// one that stops at the latest 2 s later. One that comes back to life disturbs no
// owner.
func TestSilence(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a session to time out: not with -short")
	}
	t.Parallel()
	for name, c := range map[string]func(t *testing.T) Config{
		"fake": func(t *testing.T) Config { _, c := fake(t); return c },
		"real": func(t *testing.T) Config { return realCluster(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := c(t)
			c.Partitions = 6
			testSilence(t, c, c.Topic+"-alerts")
		})
	}
}

func testSilence(t *testing.T, c Config, topic string) {
	if _, err := admin(t, c).CreateTopic(t.Context(), 3, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = admin(t, c).DeleteTopics(context.Background(), topic) }()
	reader := client(t, c, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(50*time.Millisecond))
	var net network
	a := start(t, c, "a", t.TempDir(), kgo.Dialer(net.dial))
	b, d := start(t, c, "b", t.TempDir()), start(t, c, "d", t.TempDir())
	spread := func() bool { return len(a.Shards()) == 2 && len(b.Shards()) == 2 && len(d.Shards()) == 2 }
	await(t, "three replicas", spread)
	var got []string
	sent := 0
	// silence appends events of all shards, and returns when all have been alerted.
	silence := func() time.Duration {
		t.Helper()
		started := time.Now()
		for i := range 24 {
			if _, err := b.Append(t.Context(), events(fmt.Sprintf("%012d", 1000*sent+i), 1)); err != nil {
				t.Fatal(err)
			}
		}
		sent += 24
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for len(got) < sent && ctx.Err() == nil {
			reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
		}
		return time.Since(started)
	}
	// bound allows for other programs on the machine, which the measured value does not.
	bound := func(what string, took, limit time.Duration) {
		t.Helper()
		t.Logf("%s: %s of silence", what, took.Round(10*time.Millisecond))
		if took > 3*limit {
			t.Errorf("%s: %s of silence, want %s", what, took, limit)
		}
	}
	t.Logf("all run: %s", silence().Round(time.Millisecond))
	net.cut()
	bound("a death", silence(), 15*time.Second)
	restarts := func() float64 { return testutil.ToFloat64(b.metrics.restarts) + testutil.ToFloat64(d.metrics.restarts) }
	before := restarts() // a takeover may need two attempts
	net.mend()
	await(t, "the one that lives again", spread)
	silence()
	if n := restarts() - before; n > 0 {
		t.Errorf("shards of other replicas were fenced %.0f times", n)
	}
	go a.stop()
	bound("a stop", silence(), 2*time.Second)
	a.stop()
	slices.Sort(got)
	if unique := slices.Compact(slices.Clone(got)); len(got) != sent || len(unique) != sent {
		t.Errorf("%d alerts, %d of them different, want %d", len(got), len(unique), sent)
	}
}
