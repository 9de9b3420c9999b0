package journal

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// tmpfs mounts a small file system, or skips the test.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("a small file system cannot be mounted here (it takes root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A disk that is full is an error of Append, and no end: with space again it
// goes on, with all that was taken and nothing else.
func TestDiskFull(t *testing.T) {
	dir := tmpfs(t, "size=3m")
	j := open(t, dir+"/mfawatch.db")
	enlist(t, j, "a")
	taken := map[string]bool{}
	ballast := dir + "/ballast"
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	raw := fmt.Appendf(nil, "%q", strings.Repeat("x", 4000))
	failures := 0
	for i := 0; failures < 5; i++ {
		e := event("1", fmt.Sprint("user", i), i)
		e.Raw = raw
		_, err := j.Append(t.Context(), []*trail.Event{e})
		switch {
		case err == nil:
			taken["alert-"+e.ID] = true
		case !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some"):
			t.Fatalf("got %v, want that there is no space, and what to do", err)
		default:
			failures++
		}
		if i > 2000 {
			t.Fatal("the disk did not fill up")
		}
	}
	if _, err := j.Fold(t.Context(), start, each, nil); err == nil {
		t.Error("folded onto a full disk")
	}
	if _, err := j.Stats(); err != nil {
		t.Errorf("reading while the disk is full: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, j, event("1", "late", 9999))
	taken["alert-1-late-9999"] = true
	for _, id := range mustFold(t, j, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
		out := each(events, st, now)
		for _, a := range out.Alerts {
			a.Record = nil
		}
		return out
	}) {
		delete(taken, id)
	}
	if len(taken) > 0 {
		t.Errorf("%d events that were taken are lost", len(taken))
	}
	reopen(t, j) // and it is whole
}

func TestReadOnlyFolder(t *testing.T) {
	dir := tmpfs(t, "size=3m")
	path := dir + "/mfawatch.db"
	j := open(t, path)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, "size=3m"); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, dir + "/new.db"} {
		_, err := Open(p, options())
		if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "mount it for writing") {
			t.Errorf("%s: got %v, want that it is read-only, and what to do", p, err)
		}
	}
}
