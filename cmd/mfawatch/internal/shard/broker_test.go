package shard

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// A broker is a Kafka of a test alone, which may kill it.
type broker struct {
	t   *testing.T
	dir string
}

// startBroker starts a broker with the tools that are there when MFAWATCH_TEST_KAFKA
// names another one.
func startBroker(t *testing.T) (*broker, Config) {
	t.Helper()
	if os.Getenv("MFAWATCH_TEST_KAFKA") == "" {
		t.Skip("starts a Kafka of its own: run deploy/integration/kafka.sh run -- go test …")
	}
	for _, tool := range []string{"bash", "java", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("cannot start a Kafka of its own: ", err)
		}
	}
	b := &broker{t, t.TempDir()}
	t.Cleanup(func() { b.run("stop") })
	variable := strings.TrimSpace(b.run("start"))
	return b, config([]string{strings.TrimPrefix(variable, "export MFAWATCH_TEST_KAFKA=")})
}

// run runs a command of kafka.sh.
func (b *broker) run(command string) string {
	b.t.Helper()
	cmd := exec.Command("bash", "../../../../deploy/integration/kafka.sh", command)
	cmd.Env = append(os.Environ(), "TMPDIR="+b.dir)
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("kafka.sh %s: %v\n%s", command, err, out)
	}
	return string(out)
}

// kill kills the broker with SIGKILL.
func (b *broker) kill() {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "*", "pid"))
	if err != nil || len(files) != 1 {
		b.t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		b.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		b.t.Fatal(err)
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		b.t.Fatal(err)
	}
}

// The only broker is killed in the middle of transactions, appends and heartbeats, and
// started again: no alert is missing or there twice, and alerts flow again.
func TestBrokerKilled(t *testing.T) {
	b, c := startBroker(t)
	topic := c.Topic + "-alerts"
	if _, err := admin(t, c).CreateTopic(t.Context(), 3, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	var replicas []*replica
	for n := range 3 {
		replicas = append(replicas, start(t, c, fmt.Sprint("r", n), t.TempDir()))
	}
	serving := func() bool {
		shards := 0
		for _, r := range replicas {
			if r.Ready() != nil || len(r.Shards()) == 0 {
				return false
			}
			shards += len(r.Shards())
		}
		return shards == c.Partitions
	}
	await(t, "three replicas", serving)

	// Sources append each event until a replica accepts it.
	var accepted atomic.Int64
	var sources errgroup.Group
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for n := range 6 {
		sources.Go(func() error {
			for i := 0; ctx.Err() == nil; i++ {
				for try := 0; ; try++ {
					if _, err := replicas[(n+try)%len(replicas)].Append(t.Context(), events(fmt.Sprintf("%012d", 1_000_000*n+i), 1)); err == nil {
						break
					}
					if pause(t.Context(), minPause); t.Context().Err() != nil {
						return t.Context().Err()
					}
				}
				accepted.Add(1)
			}
			return nil
		})
	}
	reader := client(t, c, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var alerts []string
	// read reads until there are n alerts.
	read := func(n int) {
		t.Helper()
		within, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for len(alerts) < n && within.Err() == nil {
			reader.PollFetches(within).EachRecord(func(r *kgo.Record) { alerts = append(alerts, string(r.Value)) })
		}
		if len(alerts) < n {
			t.Fatalf("%d alerts, want %d: %v", len(alerts), n, replicas[0].Ready())
		}
	}
	read(200)
	b.kill()
	killed := time.Now()
	b.run("again")
	started := time.Now()
	read(int(accepted.Load()) + 1) // of an event that was accepted afterwards
	flow := time.Since(started)
	await(t, "three replicas again", serving)
	t.Logf("the broker was away for %s; alerts flow %s after that, and all shards are ready after %s",
		started.Sub(killed).Round(time.Millisecond), flow.Round(time.Millisecond), time.Since(started).Round(time.Millisecond))
	read(len(alerts) + 200)
	stop()
	if err := sources.Wait(); err != nil {
		t.Fatal(err)
	}
	read(int(accepted.Load()))
	for _, r := range replicas {
		r.stop() // from here on nothing is sent
	}
	once(t, c, int(accepted.Load()))
}
