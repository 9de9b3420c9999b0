package dispatch_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sinks/dispatch"
	"github.com/mfawatch/mfawatch/sinks/file"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// killDir, when set, makes TestKilled the process that is killed.
const killDir = "MFAWATCH_TEST_KILL_DIR"

// Killed at any point, every event that was acknowledged is delivered once it is
// started again; none is lost.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(killDir); dir != "" {
		beKilled(t, dir)
		return
	}
	dir := t.TempDir()
	acked := map[string]bool{}
	for range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), killDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for left := 10 + rand.IntN(100); left > 0 && lines.Scan(); left-- {
			acked[lines.Text()] = true
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it said before it died
			acked[lines.Text()] = true
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("it ended by itself")
		}
	}

	p := startPipeline(t, dir)
	if err := p.j.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.stop()
	delivered := map[string]int{}
	f, err := os.Open(filepath.Join(dir, "alerts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	doubled := 0
	for lines.Scan() {
		var a processor.Alert
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatalf("line %q: %v", lines.Text(), err)
		}
		if delivered[a.ID]++; delivered[a.ID] > 1 {
			doubled++
		}
		delete(acked, a.Event.ID)
	}
	if len(acked) > 0 {
		t.Errorf("%d events were acknowledged and never delivered", len(acked))
	}
	if len(delivered) < 50 {
		t.Errorf("only %d alerts were delivered", len(delivered))
	}
	t.Logf("%d alerts, %d of them sent again", len(delivered), doubled)
}

// beKilled handles deliveries, and prints the ID of each event it acknowledged,
// until it is killed.
func beKilled(t *testing.T, dir string) {
	p := startPipeline(t, dir)
	run := time.Now().UnixNano()
	for i := 0; ; i++ {
		user := fmt.Sprintf("user-%d-%d", run, i)
		id := fmt.Sprintf("event-%d-%d", run, i)
		record := fmt.Sprintf(`{"userIdentity":{"type":"IAMUser","userName":"alice"},"eventTime":%q,"eventSource":"iam.amazonaws.com",`+
			`"eventName":%q,"awsRegion":"us-east-1","requestParameters":{"userName":%q,"serialNumber":"arn:aws:iam::1:mfa/%s"},`+
			`"eventID":%q,"recipientAccountId":"%d"}`,
			time.Now().UTC().Format(time.RFC3339), trail.DeactivateMFADevice, user, user, id, 1+i%3)
		err := p.p.Handle(t.Context(), processor.Delivery{Source: "test", Parts: processor.One(processor.Part{Origin: trail.At("test", int64(i)), Bytes: []byte(record)})})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(id)
	}
}

// A pipeline is journal, processor, dispatcher and one file.
type pipeline struct {
	p    *processor.Processor
	j    *journal.Journal
	stop func()
}

func startPipeline(t *testing.T, dir string) *pipeline {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	j := sinktest.OpenJournal(t, filepath.Join(dir, "mfawatch.db"))
	file, err := file.New(file.Config{Path: filepath.Join(dir, "alerts.jsonl")})
	if err != nil {
		t.Fatal(err)
	}
	d, err := dispatch.New(j, "file", file, dispatch.Options{Logger: quiet, Delivery: dispatch.DeliveryConfig{Concurrency: 1}})
	if err != nil {
		t.Fatal(err)
	}
	p := processor.New(j, processor.Options{Logger: quiet, Policy: exposure.DefaultPolicy()})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- p.Run(ctx) }()
	go func() { ended <- d.Run(ctx) }()
	return &pipeline{p: p, j: j, stop: func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}}
}
