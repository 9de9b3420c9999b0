package shard

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Most tests wait for brokers: more of them run in parallel than there are cores.
func TestMain(m *testing.M) {
	if os.Getenv(brokerProcess) != "" {
		serveFake()
		return
	}
	_ = flag.Set("test.parallel", "16") // -parallel sets it again
	goleak.VerifyTestMain(m)
}

var testLogger = slog.New(slog.DiscardHandler)

// fake returns a cluster in this process, and a configuration for it.
func fake(t testing.TB, o ...kfake.Opt) (*kfake.Cluster, Config) {
	t.Helper()
	f, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, o...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f, config(f.ListenAddrs())
}

// brokerProcess is set in a process of the test that is a broker.
const brokerProcess = "MFAWATCH_TEST_BROKER_PROCESS"

// fakeProcess returns a configuration for a cluster whose memory is not that of the
// test.
func fakeProcess(t *testing.T) Config {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), brokerProcess+"=1")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return config([]string{strings.TrimSpace(address)})
}

// serveFake serves a cluster until its parent closes its input.
func serveFake() {
	f, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		panic(err)
	}
	fmt.Println(f.ListenAddrs()[0])
	_, _ = io.Copy(io.Discard, os.Stdin)
	f.Close()
}

func config(brokers []string) Config {
	c := DefaultConfig()
	c.Brokers, c.Partitions, c.Replication = brokers, 4, 1
	return c
}

// realCluster returns the configuration of the Kafka that MFAWATCH_TEST_KAFKA
// names, with topics of its own.
func realCluster(t testing.TB) Config {
	t.Helper()
	brokers := os.Getenv("MFAWATCH_TEST_KAFKA")
	if brokers == "" {
		t.Skip("MFAWATCH_TEST_KAFKA names no Kafka: run deploy/integration/kafka.sh run -- go test …")
	}
	c := config(strings.Split(brokers, ","))
	c.Topic = fmt.Sprintf("shard-%d-%d", os.Getpid(), time.Now().UnixNano())
	t.Cleanup(func() {
		_, _ = admin(t, c).DeleteTopics(context.Background(), c.events(), c.journal())
	})
	return c
}

func client(t testing.TB, c Config, o ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.Brokers...), kgo.MetadataMinAge(20 * time.Millisecond), kgo.RecordPartitioner(partitioner{c})}, o...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func admin(t testing.TB, c Config) *kadm.Client { return kadm.NewClient(client(t, c)) }

// command returns a cluster for a command, with its cache at path.
func command(t testing.TB, c Config, path string, more ...kgo.Opt) *Cluster {
	t.Helper()
	cl, err := New(c, Options{Path: path, Journals: options(), Logger: testLogger}, more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func prepared(t testing.TB, c Config) topicIDs {
	t.Helper()
	ids, err := command(t, c, "", kgo.MetadataMinAge(20*time.Millisecond)).prepare(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func own(t testing.TB, c Config, ids topicIDs, partition int32, more ...kgo.Opt) *changeLog {
	t.Helper()
	l, err := command(t, c, "", more...).openLog(t.Context(), ids, partition)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

func options() journal.Options { return journal.Options{Logger: testLogger, LockTimeout: time.Second} }

func openJournal(t testing.TB, path string, l *changeLog) *journal.Journal {
	t.Helper()
	o := options()
	o.ChangeLog = l
	j, err := journal.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// event is a deactivation of a user's MFA in an account.
func event(account string, n int) *trail.Event {
	user := fmt.Sprint("user", n)
	return &trail.Event{
		ID: fmt.Sprintf("%s-%d", account, n), Time: time.Date(2026, 5, 1, 8, 0, n, 0, time.UTC), Source: trail.SourceIAM, Name: trail.DeactivateMFADevice,
		Partition: "aws", Account: account, User: user, Serial: "arn:aws:iam::" + account + ":mfa/" + user, Origin: fmt.Sprint("test@", n), Raw: []byte(`{"x":"<&>"}`),
	}
}

func events(account string, n int) (all []*trail.Event) {
	for i := range n {
		all = append(all, event(account, i))
	}
	return all
}

// each opens an exposure for every event.
func each(events []*trail.Event, _ alerting.State, _ time.Time) (out alerting.Outcome) {
	for _, e := range events {
		x := e.Account + "/" + e.User
		out.Alerts = append(out.Alerts, &exposure.Alert{Schema: exposure.Schema, ID: "alert-" + e.ID, Exposure: &x, Step: exposure.Opened,
			Severity: exposure.High, Time: e.Time, Account: e.Account, Record: e.Raw})
	}
	return out
}

func fold(t testing.TB, j *journal.Journal) {
	t.Helper()
	if _, err := j.Fold(t.Context(), time.Now(), each, nil); err != nil {
		t.Fatal(err)
	}
}

func alerts(t testing.TB, j *journal.Journal) (ids []string) {
	t.Helper()
	all, err := j.Latest(0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		ids = append(ids, a.Alert.ID)
	}
	return ids
}

// once fails unless so many alerts are in the topic, each once. All replicas have
// stopped.
func once(t *testing.T, c Config, want int) {
	t.Helper()
	got := everything(t, c, c.Topic+"-alerts")
	unique := slices.Compact(slices.Sorted(slices.Values(got)))
	if len(got) != want || len(unique) != want {
		t.Errorf("%d alerts, %d of them different, want %d", len(got), len(unique), want)
	}
}

// everything returns the values that are committed in a topic, to its end.
func everything(t *testing.T, c Config, topic string) (values []string) {
	t.Helper()
	ends, err := admin(t, c).ListCommittedOffsets(t.Context(), topic)
	if err != nil || ends.Error() != nil {
		t.Fatal(err, ends.Error())
	}
	left := 0
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left++
		}
	})
	reader := client(t, c, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for left > 0 {
		fetches := reader.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				values = append(values, string(r.Value))
			}
			if end, _ := ends.Lookup(topic, r.Partition); r.Offset == end.Offset-1 {
				left--
			}
		})
	}
	return values
}
