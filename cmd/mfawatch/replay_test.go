package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sources/awstest"
)

// replayed replays the bucket into the journal and the file in dir.
func replayed(ctx context.Context, t *testing.T, dir string) (stderr string, err error) {
	t.Helper()
	c, err := config.Load("test", fmt.Appendf(nil, `
sources: {local: {type: files, paths: [none]}}
sinks: {audit: {type: file, path: %q}}
journal: {path: %q}
http: {address: '127.0.0.1:0'}
log: {level: error}
`, filepath.Join(dir, "alerts.jsonl"), filepath.Join(dir, "mfawatch.db")), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
	err = p.replay(ctx, c, &replayRun{paths: []string{"s3://logs/"}})
	return errs.String(), err
}

// alertIDs returns the IDs of the alerts in dir, sorted.
func alertIDs(t *testing.T, dir string) (ids []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "alerts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var a processor.Alert
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
	}
	slices.Sort(ids)
	return ids
}

// Whatever order the objects are read in, what was over long ago is delivered once, as
// over. Interrupted anywhere and begun again, all is delivered, and each alert once.
func TestReplayTellsOnce(t *testing.T) {
	s := s3Bucket(t)
	objects := demoBucket(t, s)
	whole := t.TempDir()
	if said, err := replayed(t.Context(), t, whole); err != nil {
		t.Fatal(err, said)
	}
	want := alertIDs(t, whole)
	if len(want) != 9 {
		t.Errorf("%d alerts, want what is open and what is over, 9", len(want))
	}
	random := rand.New(rand.NewPCG(13, 14))
	for try := range 6 {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		var left atomic.Int64
		left.Store(int64(random.IntN(objects)) + 1)
		s.fail(func(awstest.Call) awstest.Fault {
			if left.Add(-1) == 0 {
				cancel()
			}
			return awstest.Fault{}
		})
		said, err := replayed(ctx, t, dir)
		if err == nil || !strings.Contains(said, "interrupted: the records read so far are journalled") {
			t.Errorf("try %d: %v, %s", try, err, said)
		}
		cancel()
		s.heal()
		if said, err := replayed(t.Context(), t, dir); err != nil {
			t.Fatal(err, said)
		}
		if got := alertIDs(t, dir); !slices.Equal(got, want) {
			t.Errorf("try %d: delivered\n%q\nwant\n%q", try, got, want)
		}
	}
}

// Unreadable parts are reported at the end, as scan does; the rest is replayed.
func TestReplayTellsOfWhatIsUnreadable(t *testing.T) {
	s := s3Bucket(t)
	demoBucket(t, s)
	s.Put("logs", "AWSLogs/damaged.json.gz", []byte("\x1f\x8b no gzip"))
	dir := t.TempDir()
	said, err := replayed(t.Context(), t, dir)
	if !errors.Is(err, errReported) || !strings.Contains(said, "mfawatch: 1 part could not be read; the rest was\n") {
		t.Errorf("%v: %s", err, said)
	}
	if got := alertIDs(t, dir); len(got) != 9 {
		t.Errorf("%d alerts, want 9", len(got))
	}
}
