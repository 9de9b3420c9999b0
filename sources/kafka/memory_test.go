package kafka

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sources"
)

const (
	memoryBound   = 128 << 20
	memoryRecords = 300_000
	memoryEnv     = "MFAWATCH_TEST_MEMORY_CHILD"
)

// A process that reads from Kafka with the defaults stays small: three brokers,
// all of them with large batches that inflate to ten times their size, and more
// to read than it could hold.
func TestMemory(t *testing.T) {
	if seeds := os.Getenv(memoryEnv); seeds != "" {
		readAll(t, strings.Split(seeds, ","))
		return
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("needs /proc to tell the resident memory")
	}
	if testing.Short() {
		t.Skip("-short: half a gigabyte is read")
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, s := range build.Settings {
			if s.Key == "-race" && s.Value == "true" {
				t.Skip("the race detector needs several times the memory")
			}
		}
	}
	fake, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(12, "memory"))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	p, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...), kgo.RecordPartitioner(kgo.StickyPartitioner()),
		kgo.ProducerBatchMaxBytes(8<<20), kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.BrokerMaxWriteBytes(16<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	random := rand.New(rand.NewPCG(1, 2))
	for range memoryRecords {
		value := fmt.Appendf(nil, benchRecord, random.Uint64(), random.Uint64(), random.Uint64(), random.Uint32N(1<<16))
		p.Produce(t.Context(), &kgo.Record{Topic: "memory", Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMemory$")
	child.Env = append(os.Environ(), memoryEnv+"="+strings.Join(fake.ListenAddrs(), ","))
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, after, _ := bytes.Cut(out, []byte("VmHWM:"))
	kib, err := strconv.Atoi(string(bytes.Fields(after)[0]))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("at most %d MiB resident", kib>>10)
	if kib<<10 > memoryBound {
		t.Errorf("%d MiB resident, want less than %d", kib>>10, memoryBound>>20)
	}
}

// readAll reads everything, and prints what the kernel says about the process.
func readAll(t *testing.T, seeds []string) {
	k, err := New("memory", Config{Topics: []string{"memory"}}, []kgo.Opt{kgo.SeedBrokers(seeds...)}, sources.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	look := scan()
	var n atomic.Int64
	err = k.Run(ctx, func(_ context.Context, d processor.Delivery) error {
		if n.Add(int64(look(d))) == memoryRecords {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s\n", status)
}
