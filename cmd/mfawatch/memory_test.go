package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// memoryBound is on the resident memory of the process, at its peak.
const memoryBound = 128 << 20

// builtBinary skips the test where it cannot be carried out.
func builtBinary(t *testing.T) string {
	if testing.Short() {
		t.Skip("reads gigabytes: not with -short")
	}
	if runtime.GOOS != "linux" {
		t.Skip("the peak of a process's memory is read from /proc, which only Linux has")
	}
	if raceDetector {
		t.Skip("the race detector takes several times the memory")
	}
	return built(t)
}

// peak is the highest resident memory that a running process has had. What
// wait4 reports will not do: it counts the memory of this process, from the
// moment between vfork and exec.
func peak(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(status)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(l, "VmHWM: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10
		}
	}
	t.Fatalf("no peak in\n%s", status)
	return 0
}

func TestMemoryOfScan(t *testing.T) {
	inflated, says := 1<<30, "1.1 GB inflated"
	if trailtest.Whole() {
		inflated, says = 2<<30, "2.1 GB inflated"
	}
	cmd := exec.Command(builtBinary(t), "scan", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	object := append(trailtest.New(1).Object(4000, 1000), '\n')
	member := trailtest.Gzip(object)
	for n := 0; n < inflated; n += len(object) {
		if _, err := in.Write(member); err != nil {
			t.Fatalf("%v\n%s", err, said.String())
		}
	}
	// All is read except the bytes in the pipe; the summary is still to come.
	most := peak(t, cmd.Process.Pid)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(said.String(), says) {
		t.Errorf("%v\n%s", err, said.String())
	}
	t.Logf("%d MiB resident at the peak, %s inflated in %s", most>>20, output.ByteSize(int64(inflated)), time.Since(began).Round(time.Millisecond))
	if most > memoryBound {
		t.Errorf("%d MiB resident at the peak, want at most %d", most>>20, memoryBound>>20)
	}
}

func TestMemoryOfRun(t *testing.T) {
	const topic = "cloudtrail"
	total := 150 << 20 // more than the bound
	if trailtest.Whole() {
		total = 400 << 20
	}
	binary := builtBinary(t)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(6, topic))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	m := trailtest.New(2)
	var values [][]byte
	for range 500 {
		values = append(values, m.Object(8, 0))
	}
	values[77] = m.Object(8, 8)
	records := int64(0)
	for n := 0; n < total; records++ {
		value := values[records%int64(len(values))]
		n += len(value)
		client.Produce(t.Context(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}

	dir := t.TempDir()
	config := filepath.Join(dir, "mfawatch.yaml")
	text := fmt.Sprintf(`
sources: {trail: {type: kafka, brokers: [%q], topics: [%s]}}
sinks: {audit: {type: file, path: %q}}
journal: {path: %q}
http: {address: '127.0.0.1:0'}
`, cluster.ListenAddrs()[0], topic, filepath.Join(dir, "alerts.jsonl"), filepath.Join(dir, "mfawatch.db"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "run", "-c", config)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	admin := kadm.NewClient(client)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	err = every(ctx, 50*time.Millisecond, func() (bool, error) {
		var committed int64
		offsets, err := admin.FetchOffsets(ctx, "mfawatch")
		offsets.Each(func(o kadm.OffsetResponse) { committed += o.At })
		return err == nil && committed == records, nil
	})
	took := time.Since(began)
	most := peak(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if ended := cmd.Wait(); err != nil || ended != nil {
		t.Fatalf("%v, %v\n%s", err, ended, said.String())
	}
	t.Logf("%d MiB resident at the peak, %s of %d Kafka records in %s", most>>20, output.ByteSize(int64(total)), records, took.Round(time.Millisecond))
	if most > memoryBound {
		t.Errorf("%d MiB resident at the peak, want at most %d", most>>20, memoryBound>>20)
	}
	alerts, err := os.Open(filepath.Join(dir, "alerts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer alerts.Close()
	if line, err := bufio.NewReader(alerts).ReadString('\n'); err != nil && err != io.EOF || !strings.Contains(line, "mfawatch.alert/v1") {
		t.Errorf("no alert was delivered: %q, %v", line, err)
	}
}
