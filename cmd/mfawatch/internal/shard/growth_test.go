package shard

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// A farConn is a connection over which answers take longer, however many are on
// their way.
type farConn struct {
	net.Conn
	arrived chan arrival
	closed  chan struct{}
	close   func() error // once
	rest    []byte
}

type arrival struct {
	data []byte
	err  error
	at   time.Time
}

// far returns a dialer for brokers whose answers take so much longer.
func far(latency time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := &farConn{Conn: conn, arrived: make(chan arrival, 1000), closed: make(chan struct{})}
		c.close = sync.OnceValue(func() error { close(c.closed); return conn.Close() })
		go c.receive(latency)
		return c, nil
	}
}

func (c *farConn) receive(latency time.Duration) {
	for {
		b := make([]byte, 32<<10)
		n, err := c.Conn.Read(b)
		select {
		case c.arrived <- arrival{b[:n], err, time.Now().Add(latency)}:
		case <-c.closed:
			return
		}
		if err != nil {
			return
		}
	}
}

func (c *farConn) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		select {
		case a := <-c.arrived:
			timer := time.NewTimer(time.Until(a.at))
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-c.closed:
				return 0, net.ErrClosed
			}
			if len(a.data) == 0 {
				return 0, a.err
			}
			c.rest = a.data
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *farConn) Close() error { return c.close() }

// Three replicas do nearly three times as much as one, from the intake to committed
// alerts: they wait for nothing but the brokers. The brokers are 60 ms away, and a
// source handles four deliveries at one time, so the machine of the test is no bound.
func TestGrowth(t *testing.T) {
	if testing.Short() {
		t.Skip("runs for ten seconds: not with -short")
	}
	trailtest.Long(t, 10)
	for range 3 { // other programs use the machine, too
		var one, three float64
		t.Run("both", func(t *testing.T) {
			t.Run("1", func(t *testing.T) { t.Parallel(); one = throughput(t, 1) })
			t.Run("3", func(t *testing.T) { t.Parallel(); three = throughput(t, 3) })
		})
		t.Logf("1 replica: %.1f events/s, 3 replicas: %.1f events/s, ratio %.2f", one, three, three/one)
		if three >= 2.5*one {
			return
		}
	}
	t.Error("3 replicas do less than 2.5 times as much as 1")
}

func throughput(t *testing.T, replicas int) float64 {
	t.Helper()
	const partitions, callers, calls = 6, 4, 50
	_, c := fake(t)
	c.Partitions = partitions
	topic := c.Topic + "-alerts"
	if _, err := admin(t, c).CreateTopic(t.Context(), 3, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	var all []*replica
	for n := range replicas {
		all = append(all, start(t, c, fmt.Sprint("r", n), t.TempDir(), kgo.Dialer(far(60*time.Millisecond))))
	}
	await(t, "all shards", func() bool {
		owned := 0
		for _, r := range all {
			if len(r.Shards()) != partitions/replicas {
				return false
			}
			owned += len(r.Shards())
		}
		return owned == partitions
	})
	started := time.Now()
	var intake errgroup.Group
	for n, r := range all {
		for caller := range callers {
			intake.Go(func() error {
				for call := range calls {
					if _, err := r.Append(t.Context(), events(fmt.Sprintf("%012d", (n*callers+caller)*calls+call), 1)); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	if err := intake.Wait(); err != nil {
		t.Fatal(err)
	}
	total := replicas * callers * calls
	if got := committed(t, c, topic, total); len(got) != total {
		t.Errorf("%d alerts, want %d", len(got), total)
	}
	took := time.Since(started)
	for _, r := range all {
		r.stop()
	}
	return float64(total) / took.Seconds()
}
