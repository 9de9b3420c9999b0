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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/sourcetest"
)

const (
	memoryBound = 128 << 20
	memoryEnv   = "MFAWATCH_TEST_MEMORY_CHILD"
)

// memoryRecords is how many records are read: twice the bound at the least.
func memoryRecords() int64 {
	if trailtest.Whole() {
		return 300_000
	}
	return 150_000
}

// A process that reads from Kafka with the defaults stays small: three brokers,
// all of them with large batches that inflate to ten times their size, and more
// to read than it could hold.
func TestMemory(t *testing.T) {
	if seeds := os.Getenv(memoryEnv); seeds != "" {
		readAll(t, strings.Split(seeds, ","))
		return
	}
	needsMemory(t)
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
	for range memoryRecords() {
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
	child(t, "TestMemory", memoryBound, fake.ListenAddrs())
}

// needsMemory skips a test where the memory of a process says nothing.
func needsMemory(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("needs /proc for the resident memory")
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
}

// child runs a test in a process of its own that reads from seeds, and checks how
// much memory it took.
func child(t *testing.T, test string, bound int, seeds []string) {
	t.Helper()
	process := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$")
	process.Env = append(os.Environ(), memoryEnv+"="+strings.Join(seeds, ","))
	out, err := process.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, after, _ := bytes.Cut(out, []byte("VmHWM:"))
	kib, err := strconv.Atoi(string(bytes.Fields(after)[0]))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("at most %d MiB resident", kib>>10)
	if kib<<10 > bound {
		t.Errorf("%d MiB resident, want less than %d", kib>>10, bound>>20)
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
		if n.Add(int64(look(d))) == memoryRecords() {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	printStatus(t)
}

// printStatus prints what the kernel says about the process.
func printStatus(t *testing.T) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s\n", status)
}

// Batches of a few kB that inflate to the bound, and others that inflate to eight
// times the bound: a slow handler reads the former, the latter are quarantined by
// their offsets, and the process stays small.
func TestMemoryOfBombs(t *testing.T) {
	const bombs = 40
	if seeds := os.Getenv(memoryEnv); seeds != "" {
		readBombs(t, strings.Split(seeds, ","), bombs)
		return
	}
	needsMemory(t)
	trailtest.Long(t, 9)
	fake, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(4, "bombs"))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	p, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytes(100<<20), kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.BrokerMaxWriteBytes(100<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	large, bomb := make([]byte, inflatedBatchBytes-1024), make([]byte, 8*inflatedBatchBytes)
	for _, value := range [][]byte{large, bomb} {
		for i := range int32(bombs) {
			if err := p.ProduceSync(t.Context(), &kgo.Record{Topic: "bombs", Partition: i % 4, Value: value}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	child(t, "TestMemoryOfBombs", 192<<20, fake.ListenAddrs())
}

func readBombs(t *testing.T, seeds []string, bombs int) {
	k, err := New("bombs", Config{Topics: []string{"bombs"}}, []kgo.Opt{kgo.SeedBrokers(seeds...)}, sources.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), sourcetest.Patience)
	defer cancel()
	var mu sync.Mutex
	read, quarantined := make(map[string]bool), make(map[string]bool)
	err = k.Run(ctx, func(_ context.Context, d processor.Delivery) error {
		for part := range d.Parts {
			mu.Lock()
			if part.GivenUp != nil {
				quarantined[part.Origin.String()] = true
			} else {
				read[part.Origin.String()] = true
			}
			if len(read) == bombs && len(quarantined) == bombs {
				cancel()
			}
			mu.Unlock()
			time.Sleep(10 * time.Millisecond) // a disk
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(read) != bombs || len(quarantined) != bombs {
		t.Errorf("%d batches read and %d quarantined, want %d each", len(read), len(quarantined), bombs)
	}
	printStatus(t)
}
