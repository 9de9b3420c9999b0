package journal

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A file that is deleted or replaced under the process is an error of the next
// commit and of Ready, with the next step; with the file back, all goes on.
func TestReplacedFile(t *testing.T) {
	for _, tt := range []struct {
		name    string
		replace func(t *testing.T, path string)
	}{
		{"deleted", func(*testing.T, string) {}},
		{"another journal in its place", func(t *testing.T, path string) {
			if err := os.Rename(fullJournal(t), path); err != nil {
				t.Fatal(err)
			}
		}},
		{"an empty file in its place", func(t *testing.T, path string) {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := temp(t)
			enlist(t, j, "a")
			alertEach(t, j, events(3)...)
			if err := j.Ready(); err != nil {
				t.Fatal(err)
			}
			away := j.store.Path() + ".away"
			if err := os.Rename(j.store.Path(), away); err != nil {
				t.Fatal(err)
			}
			tt.replace(t, j.store.Path())
			if err := j.Ready(); !errors.Is(err, store.ErrReplaced) || !strings.Contains(err.Error(), "put the file back, or restart") {
				t.Errorf("ready: %v", err)
			}
			before, _ := os.ReadFile(j.store.Path())
			for range 2 {
				if err := j.Done("a", Result{Number: 1}); !errors.Is(err, store.ErrReplaced) && !errors.Is(err, store.ErrDamaged) && !errors.Is(err, os.ErrNotExist) {
					t.Errorf("acked: %v", err)
				}
			}
			if after, _ := os.ReadFile(j.store.Path()); string(after) != string(before) {
				t.Error("the file in its place was changed")
			}
			if err := os.Rename(away, j.store.Path()); err != nil {
				t.Fatal(err)
			}
			done(t, j, "a", 2)
			if err := j.Ready(); err != nil {
				t.Errorf("with the file back: %v", err)
			}
			if n := mustAppend(t, j, events(3)...); n != 0 {
				t.Errorf("%d events were lost", n)
			}
			reopen(t, j)
		})
	}
}

// A backup that takes the place of the file is older than the last commit.
func TestReplacedByAnOlderCopy(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	old, err := os.ReadFile(j.store.Path())
	if err != nil {
		t.Fatal(err)
	}
	alertEach(t, j, events(3)...)
	failNext(j, true)
	if err := errors.Join(os.Remove(j.store.Path()), os.WriteFile(j.store.Path(), old, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), events(4)); !errors.Is(err, store.ErrReplaced) || !strings.Contains(err.Error(), "was written last") {
		t.Errorf("append: %v", err)
	}
	if _, err := j.Latest(0, 1); !errors.Is(err, store.ErrReplaced) {
		t.Errorf("read: %v", err)
	}
}

// maxCommit is how long a commit may take until the journal is not ready.
const maxCommit = 10 * time.Second

// A commit that hangs makes the journal not ready after 10 s.
func TestNotReadyWhileACommitHangs(t *testing.T) {
	path := t.TempDir() + "/mfawatch.db"
	synctest.Test(t, func(t *testing.T) {
		j, err := Open(path, options())
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		thawed := make(chan struct{})
		update := j.store.Update
		j.store.Update = func(f func(*bolt.Tx) error) error {
			<-thawed
			return update(f)
		}
		appended := make(chan error)
		go func() {
			_, err := j.Append(t.Context(), []*trail.Event{event("1", "bob", 1)})
			appended <- err
		}()
		time.Sleep(maxCommit)
		if err := j.Ready(); err != nil {
			t.Errorf("after %s: %v", maxCommit, err)
		}
		time.Sleep(time.Second)
		if err := j.Ready(); err == nil || !strings.Contains(err.Error(), "a commit has been running for 11s: check the disk that holds "+path) {
			t.Errorf("after 11s: %v", err)
		}
		close(thawed)
		if err := <-appended; err != nil {
			t.Error(err)
		}
		if err := j.Ready(); err != nil {
			t.Errorf("after the commit: %v", err)
		}
	})
}

// Idle, which a shutdown waits for, ends with its context while a commit hangs.
func TestIdleEndsWhileACommitHangs(t *testing.T) {
	j := temp(t)
	hangs, thawed, appended := make(chan struct{}), make(chan struct{}), make(chan error)
	update := j.store.Update
	j.store.Update = func(f func(*bolt.Tx) error) error {
		close(hangs)
		<-thawed
		return update(f)
	}
	go func() {
		_, err := j.Append(t.Context(), events(1))
		appended <- err
	}()
	<-hangs
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	idle := make(chan error, 1)
	go func() { idle <- j.Idle(ctx) }()
	select {
	case err := <-idle:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for the commit")
	}
	close(thawed)
	if err := <-appended; err != nil {
		t.Error(err)
	}
}

// An unlinked journal goes on without its file.
func TestUnlink(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	if err := j.Unlink(); err != nil {
		t.Fatal(err)
	}
	alertEach(t, j, events(3)...)
	if err := errors.Join(j.Ready(), j.Done("a", Result{Number: 1})); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(j.store.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is left: %v", err)
	}
}
