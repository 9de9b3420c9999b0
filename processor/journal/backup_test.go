package journal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A backup that is taken while events are appended is a whole journal of some
// moment: it verifies, opens, and has the events that were durable before.
func TestBackupWhileInUse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal.db")
	j, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	ctx, stop := context.WithCancel(t.Context())
	appended := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		for n := range 2000 {
			if _, err := j.Append(ctx, []*trail.Event{event("111122223333", "bob", n)}); err != nil {
				return
			}
			if n == 50 {
				close(appended)
			}
		}
	})
	<-appended
	for n := range 5 {
		copied := filepath.Join(dir, "copy")
		var b bytes.Buffer
		if err := j.Backup(&b); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Verify(copied); err != nil {
			t.Fatalf("backup %d: %v", n, err)
		}
		again, err := Open(copied, Options{})
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := again.Append(t.Context(), []*trail.Event{event("111122223333", "bob", 10)})
		if err != nil || fresh != 0 {
			t.Errorf("an event from before the backup is new in it: %d, %v", fresh, err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	busy.Wait()
	if left, err := filepath.Glob(path + ".backup-*"); err != nil || left != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := Verify(path); !errors.Is(err, store.ErrInUse) {
		t.Errorf("a journal in use: %v", err)
	}
}

// A damaged byte is found, and the file is not changed.
func TestVerifyFindsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		if _, err := j.Append(t.Context(), []*trail.Event{event("111122223333", "bob", n)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Verify(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Old pages hold copies, too: damage all of them.
	damaged := bytes.ReplaceAll(text, []byte("DeactivateMFADevice"), []byte("DeactivateMFADevicf"))
	if bytes.Equal(damaged, text) {
		t.Fatal("no record in the file")
	}
	text = damaged
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	if err := Verify(path); err == nil {
		t.Error("the damage was not found")
	}
	if info, err := os.Stat(path); err != nil || info.ModTime().After(before) {
		t.Errorf("the file was changed: %v", err)
	}
	if err := Verify(filepath.Join(t.TempDir(), "none.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// A reader that stops leaves no copy behind, however the process ends, and keeps a
// second copy from the disk.
func TestOneBackupAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	mustAppend(t, j, event("1", "bob", 0))
	reads, writes := io.Pipe()
	ended := make(chan error)
	go func() { ended <- j.Backup(writes) }()
	if _, err := reads.Read(make([]byte, 1)); err != nil { // it is under way
		t.Fatal(err)
	}
	if left, err := filepath.Glob(path + ".backup-*"); err != nil || left != nil && runtime.GOOS != "windows" {
		t.Errorf("a kill would leave %v, %v", left, err)
	}
	if err := j.Backup(io.Discard); !errors.Is(err, store.ErrBackup) {
		t.Errorf("a second backup: %v", err)
	}
	reads.Close()
	if err := <-ended; !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the first backup: %v", err)
	}
	if err := j.Backup(io.Discard); err != nil {
		t.Errorf("a backup afterwards: %v", err)
	}
}
