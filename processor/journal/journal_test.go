package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)

func options() Options {
	return Options{Logger: slog.New(slog.DiscardHandler), LockTimeout: time.Millisecond}
}

// open opens a journal that does not sync: that each commit is on disk is shown by
// TestStoppedMachineLosesNothing.
func open(t testing.TB, path string) *Journal {
	t.Helper()
	j, err := Open(path, options())
	if err != nil {
		t.Fatal(err)
	}
	file(j).NoSync = true
	t.Cleanup(func() { j.Close() })
	return j
}

func reopen(t testing.TB, j *Journal) *Journal {
	t.Helper()
	path := j.store.Path()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

func temp(t testing.TB) *Journal { return open(t, filepath.Join(t.TempDir(), "sub", "mfawatch.db")) }

// event is a deactivation of the user's MFA, n seconds after the start.
func event(account, user string, n int) *trail.Event {
	return &trail.Event{
		ID: fmt.Sprintf("%s-%s-%d", account, user, n), Time: start.Add(time.Duration(n) * time.Second),
		Source: trail.SourceIAM, Name: trail.DeactivateMFADevice, Partition: "aws", Account: account,
		User: user, Serial: "arn:aws:iam::" + account + ":mfa/" + user, Origin: fmt.Sprintf("test@%d", n),
		Raw: []byte(`{"eventName":"DeactivateMFADevice","x":"<&>"}`),
	}
}

func events(n int) (all []*trail.Event) {
	for i := range n {
		all = append(all, event("1", "bob", i))
	}
	return all
}

// each is a Folder that opens an exposure of the user for every event.
func each(events []*trail.Event, _ alerting.State, _ time.Time) (out alerting.Outcome) {
	for _, e := range events {
		if e.Name != trail.Deadline {
			out.Alerts = append(out.Alerts, alert(e))
		}
	}
	return out
}

func alert(e *trail.Event) *exposure.Alert {
	x := e.Account + "/" + e.User
	return &exposure.Alert{Schema: exposure.Schema, ID: "alert-" + e.ID, Exposure: &x, Step: exposure.Opened,
		Severity: exposure.High, Time: e.Time, Account: e.Account, Record: e.Raw}
}

func mustAppend(t testing.TB, j *Journal, events ...*trail.Event) int {
	t.Helper()
	fresh, err := j.Append(t.Context(), events)
	if err != nil {
		t.Fatal(err)
	}
	return fresh
}

func mustFold(t testing.TB, j *Journal, f Folder) []string {
	t.Helper()
	var ids []string
	_, err := j.Fold(t.Context(), time.Now(), f, func(f Folded) {
		for _, a := range f.Alerts {
			ids = append(ids, a.ID)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestAppendSkipsWhatWasSeen(t *testing.T) {
	j := temp(t)
	a, b := event("1", "bob", 1), event("1", "bob", 2)
	if got := mustAppend(t, j, a, a, b); got != 2 {
		t.Errorf("one event twice and another: %d fresh, want 2", got)
	}
	if got := mustAppend(t, j, b); got != 0 {
		t.Errorf("again: %d fresh, want 0", got)
	}
	j = reopen(t, j)
	if got := mustAppend(t, j, a, b); got != 0 {
		t.Errorf("after a restart: %d fresh, want 0", got)
	}
	if got := mustFold(t, j, each); len(got) != 2 {
		t.Errorf("alerted %v, want both once", got)
	}
}

func TestAppendKeepsTheRecordAsItIs(t *testing.T) {
	j := temp(t)
	mustAppend(t, j, event("1", "bob", 1))
	j = reopen(t, j)
	mustFold(t, j, func(events []*trail.Event, _ alerting.State, _ time.Time) alerting.Outcome {
		want := event("1", "bob", 1)
		if len(events) != 1 || string(events[0].Raw) != string(want.Raw) || events[0].ID != want.ID || !events[0].Time.Equal(want.Time) {
			t.Errorf("got %+v, want %+v", events, want)
		}
		return alerting.Outcome{}
	})
}

func TestAppendR30OriginThatSortsFirst(t *testing.T) {
	for _, cached := range []bool{true, false} {
		j := temp(t)
		b, a := event("1", "bob", 1), event("1", "bob", 1)
		a.Origin, b.Origin = "a", "b"
		mustAppend(t, j, b)
		if cached {
			mustFold(t, j, each)
		}
		mustAppend(t, j, a)
		mustAppend(t, j, b)
		mustAppend(t, j, event("1", "bob", 2)) // so that it is folded again
		mustFold(t, j, func(events []*trail.Event, _ alerting.State, _ time.Time) alerting.Outcome {
			if len(events) != 2 || events[0].Origin != "a" {
				t.Errorf("cached %v: got %d events, origin %q, want 2 and a", cached, len(events), events[0].Origin)
			}
			return alerting.Outcome{}
		})
	}
}

// An event that JSON or the store cannot express must not be offered endlessly.
func TestAppendOddEvents(t *testing.T) {
	j := temp(t)
	late := event("1", "bob", 1)
	late.ID, late.Time = "late", time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600)).UTC()
	early := event("1", "bob", 1)
	early.ID, early.Time = "early", time.Time{}
	notJSON := event("1", "bob", 1)
	notJSON.ID, notJSON.Raw = "raw", []byte(`{"torn`)
	long := event(strings.Repeat("9", 5000), "bob", 1)
	long.ID = strings.Repeat("x", 40000)
	none := event("", "", 1)
	none.ID = ""
	nul := event("1\x00", "bob", 1)
	all := []*trail.Event{late, early, notJSON, long, none, nul}
	if got := mustAppend(t, j, all...); got != len(all) {
		t.Errorf("%d fresh, want %d", got, len(all))
	}
	j = reopen(t, j)
	if got := mustFold(t, j, each); len(got) != len(all) {
		t.Errorf("%d alerted, want %d: %.300q", len(got), len(all), got)
	}
}

func TestAppendStopsForADoneContext(t *testing.T) {
	j := temp(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Append(ctx, []*trail.Event{event("1", "bob", 1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := mustAppend(t, j, event("1", "bob", 1)); got != 1 {
		t.Errorf("%d fresh after the one that was stopped, want 1", got)
	}
}

func TestClosed(t *testing.T) {
	j := temp(t)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := j.Append(t.Context(), []*trail.Event{event("1", "bob", 1)})
	if !errors.Is(err, store.ErrClosed) {
		t.Errorf("append: got %v, want ErrClosed", err)
	}
	if _, err := j.Fold(t.Context(), start, each, nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("fold: got %v, want ErrClosed", err)
	}
	if _, err := j.Stats(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("stats: got %v, want ErrClosed", err)
	}
	if err := j.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	write := func(t *testing.T, path string, f func(tx *bolt.Tx) error) {
		t.Helper()
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(f), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	bytesOf := func(t *testing.T, path string, f func([]byte) []byte) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		spoil  func(t *testing.T, path string)
		is     error
		advice string
	}{
		{"open in another process", func(t *testing.T, path string) { open(t, path) }, store.ErrInUse, "stop the other mfawatch"},
		{"a newer format", func(t *testing.T, path string) {
			write(t, path, func(tx *bolt.Tx) error {
				return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte("mfawatch.journal/99"))
			})
		}, store.ErrFormat, `"mfawatch.journal/99", want "mfawatch.journal/2": start the mfawatch that wrote it`},
		{"a store of another program", func(t *testing.T, path string) {
			os.Remove(path)
			write(t, path, func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err })
		}, store.ErrFormat, "name another file"},
		{"not a store", func(t *testing.T, path string) {
			bytesOf(t, path, func(b []byte) []byte { return []byte(strings.Repeat("# notes\n", 4096)) })
		}, store.ErrDamaged, "nothing was changed; put a backup in its place"},
		{"cut short", func(t *testing.T, path string) {
			bytesOf(t, path, func(b []byte) []byte { return b[:len(b)/2] })
		}, store.ErrDamaged, "nothing was changed"},
		{"cut to a few bytes", func(t *testing.T, path string) {
			bytesOf(t, path, func(b []byte) []byte { return b[:100] })
		}, store.ErrDamaged, "nothing was changed"},
		{"a flipped bit in an event", func(t *testing.T, path string) {
			bytesOf(t, path, func(b []byte) []byte {
				i := strings.Index(string(b), `"eventName":"Deac`)
				if i < 0 {
					t.Fatal("no event in the file")
				}
				for ; i >= 0; i = next(b, i, `"eventName":"Deac`) {
					b[i+3] ^= 1 // in every page that holds it, old ones too
				}
				return b
			})
		}, store.ErrDamaged, "checksum"},
		{"pages of zeros", func(t *testing.T, path string) {
			bytesOf(t, path, func(b []byte) []byte { clear(b[2*4096:]); return b })
		}, store.ErrDamaged, "nothing was changed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := temp(t)
			mustAppend(t, j, events(300)...)
			mustFold(t, j, each)
			path := j.store.Path()
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, path)
			before, _ := os.ReadFile(path)
			got, err := Open(path, options())
			if err == nil {
				got.Close()
				t.Fatal("opened")
			}
			if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.advice) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v\nwant %v, the path, and %q", err, tt.is, tt.advice)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the file was changed")
			}
		})
	}
}

func next(b []byte, i int, s string) int {
	k := strings.Index(string(b[i+1:]), s)
	if k < 0 {
		return -1
	}
	return i + 1 + k
}

// A file damaged in any page is either refused or whole.
func TestOpenDamageAnywhere(t *testing.T) {
	j := temp(t)
	mustAppend(t, j, events(100)...)
	mustFold(t, j, each)
	path := j.store.Path()
	j.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	step := 4 * 1021
	if trailtest.Whole() {
		step = 1021
	}
	for at := 0; at < len(good); at += step {
		b := []byte(string(good))
		binary.LittleEndian.PutUint32(b[at:min(at+4, len(b))][:4:4], 0xdeadbeef)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(path, options())
		if err != nil {
			continue
		}
		n := 0
		_, err = j.Fold(t.Context(), start, func(events []*trail.Event, _ alerting.State, _ time.Time) alerting.Outcome {
			n = len(events)
			return alerting.Outcome{}
		}, nil)
		if err == nil && n != 0 && n != 100 {
			t.Errorf("damage at %d: opened with %d of 100 events", at, n)
		}
		j.Close()
	}
}

// An empty file is the remains of a journal: Open must not start a new one in
// its place.
func TestOpenRefusesAnEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(path, options())
	if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "the file is empty") || !strings.Contains(err.Error(), "put a backup in its place") {
		t.Errorf("got %v, want that it is empty, and what to do", err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 0 {
		t.Errorf("the file was changed: %v, %v", info, err)
	}
}

// A journal must not replace a link, nor start where a link leads by mistake.
func TestOpenRefusesALinkToNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path+".absent", path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, options()); err == nil || !strings.Contains(err.Error(), "leads nowhere: remove the link") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

// A journal that others could read is set to mode 0600; a file that is no journal
// keeps its mode.
func TestOpenRestrictsTheMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, make([]byte, 64<<10), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, path)
	if j, err := Open(other, options()); err == nil {
		t.Errorf("%v was opened", j)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, other: 0o644} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

// A process that is killed while it makes a journal leaves no half of one: the
// next start finishes it.
func TestOpenAfterAKilledCreation(t *testing.T) {
	for name, leave := range map[string]func(path string) error{
		"empty": func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"no tables": func(path string) error {
			db, err := bolt.Open(path, 0o600, nil)
			return errors.Join(err, db.Close())
		},
		"not renamed": func(path string) error {
			j, err := Open(path+"-whole", options())
			return errors.Join(err, j.Close(), os.Rename(path+"-whole", path))
		},
	} {
		path := filepath.Join(t.TempDir(), "new.db")
		if err := leave(path + ".new"); err != nil {
			t.Fatal(name, err)
		}
		mustAppend(t, open(t, path), event("1", "bob", 1))
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v, want 0600", name, info.Mode(), err)
		}
		if _, err := os.Stat(path + ".new"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the unfinished file is left: %v", name, err)
		}
	}
}

// An ID given by hand to different records hides none of them; each partition
// numbers its accounts itself.
func TestR29_WhatMakesAnEvent(t *testing.T) {
	j := temp(t)
	a := event("1", "bob", 1)
	renamed, elsewhere := *a, *a
	renamed.Name = trail.EnableMFADevice
	elsewhere.Partition = "aws-cn"
	if n, err := j.Append(t.Context(), []*trail.Event{a, &renamed, &elsewhere, a}); n != 3 || err != nil {
		t.Errorf("%d new, %v, want 3", n, err)
	}
	if n, err := j.Append(t.Context(), []*trail.Event{&elsewhere, a, &renamed}); n != 0 || err != nil {
		t.Errorf("%d new the second time, %v", n, err)
	}
}
