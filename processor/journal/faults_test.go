package journal

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// file returns the open file of a journal.
func file(j *Journal) (db *bolt.DB) {
	_ = j.store.View(func(tx *store.Tx) error {
		db = tx.DB()
		return nil
	})
	return db
}

// failNext makes the next transaction fail: without having been stored, or after
// that.
func failNext(j *Journal, stored bool) {
	update := j.store.Update
	j.store.Update = func(f func(*bolt.Tx) error) error {
		j.store.Update = update
		return errors.Join(errInjected, update(func(tx *bolt.Tx) error {
			if err := f(tx); err != nil || stored {
				return err
			}
			return errInjected
		}))
	}
}

// Every write fails twice, once without having been stored and once after that,
// and is then made again: nothing is lost, and nothing is there twice.
func TestFaultMatrix(t *testing.T) {
	old := time.Now().Add(100 * 24 * time.Hour)
	writes := []struct {
		name  string
		write func(t *testing.T, j *Journal) error
	}{
		{"append", func(t *testing.T, j *Journal) error {
			_, err := j.Append(t.Context(), []*trail.Event{event("1", "bob", 1), event("1", "eve", 2), event("1", "al", 3)})
			return err
		}},
		{"fold", func(t *testing.T, j *Journal) error {
			_, err := j.Fold(t.Context(), start, each, nil)
			return err
		}},
		{"done", func(t *testing.T, j *Journal) error { return j.Done("a", outbox.Result{Number: 1, Ref: "ticket"}) }},
		{"failed", func(t *testing.T, j *Journal) error {
			return j.Failed("a", outbox.Failure{Number: 3, Attempts: 4, First: start})
		}},
		{"bury", func(t *testing.T, j *Journal) error { return j.Bury("a", outbox.DeadLetter{Number: 2, Cause: "no"}) }},
		{"quarantine", func(t *testing.T, j *Journal) error {
			_, err := j.Quarantine(t.Context(), []Quarantined{{Origin: "x", Raw: []byte("{")}})
			return err
		}},
		{"prune", func(t *testing.T, j *Journal) error { return j.Compact(t.Context(), old) }},
	}
	for failing := range writes {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", writes[failing].name, restart), func(t *testing.T) {
				j := temp(t)
				enlist(t, j, "a", "b")
				for i, w := range writes {
					if i == failing {
						for _, stored := range []bool{false, true} {
							failNext(j, stored)
							if err := w.write(t, j); !errors.Is(err, errInjected) {
								t.Fatalf("stored %v: got %v, want the fault", stored, err)
							}
							if restart {
								j = reopen(t, j)
								enlist(t, j, "a", "b")
							}
						}
						// Stored alerts may need no second write.
						j.store.Update = func(f func(*bolt.Tx) error) error { return file(j).Update(f) }
					}
					if err := w.write(t, j); err != nil {
						t.Fatalf("%s: %v", w.name, err)
					}
				}
				pending, err := j.Pending("a", 0, 10)
				if err != nil || len(pending) != 1 || pending[0].Number != 3 || pending[0].Attempts != 4 || !pending[0].First.Equal(start) {
					t.Errorf("pending of a: %+v, %v", pending, err)
				}
				var ids []string
				for _, n := range numbers(t, j, "b") { // no write was for b: all is there
					a, _, err := j.Load("b", n)
					if err != nil {
						t.Fatal(err)
					}
					ids = append(ids, a.ID)
				}
				if want := []string{"alert-1-bob-1", "alert-1-eve-2", "alert-1-al-3"}; !slices.Equal(ids, want) {
					t.Errorf("alerts %v, want %v", ids, want)
				}
				letters, err := j.DeadLetters("a")
				if err != nil || len(letters) != 1 || letters[0].Alert.ID != "alert-1-eve-2" {
					t.Errorf("dead letters %+v, %v", letters, err)
				}
				if s := stats(t, j, "a"); s.Pending != 1 || s.Dead != 1 {
					t.Errorf("stats %+v", s)
				}
				if _, ref, err := j.Load("a", 1); ref != "ticket" || err != nil {
					t.Errorf("ref %q, %v", ref, err)
				}
			})
		}
	}
}

// After a commit that failed the file is opened again. While that fails, every call
// returns the cause, and no file is made in its place.
func TestReopenAfterAFailedCommit(t *testing.T) {
	j := temp(t)
	enlist(t, j, "a")
	mustAppend(t, j, events(3)...)
	away := j.store.Path() + ".away"
	if err := os.Rename(j.store.Path(), away); err != nil {
		t.Fatal(err)
	}
	failNext(j, true)
	for range 2 {
		_, err := j.Append(t.Context(), events(5))
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("got %v, want that the file is not there", err)
		}
	}
	if _, err := j.Stats(); err == nil || !strings.Contains(err.Error(), "could not be opened again") {
		t.Errorf("stats: %v", err)
	}
	if _, err := os.Stat(j.store.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was made in its place: %v", err)
	}
	if err := os.Rename(away, j.store.Path()); err != nil {
		t.Fatal(err)
	}
	if n := mustAppend(t, j, events(6)...); n != 1 {
		t.Errorf("%d of 6 events are new, want 1: the others were stored", n)
	}
	if got := mustFold(t, j, each); len(got) != 6 {
		t.Errorf("alerted %v", got)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), events(7)); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// While the file is away, Close is no error, and nothing is opened after it.
func TestCloseWhileTheFileIsAway(t *testing.T) {
	j := temp(t)
	if err := os.Remove(j.store.Path()); err != nil {
		t.Fatal(err)
	}
	failNext(j, false)
	if _, err := j.Append(t.Context(), events(1)); err == nil {
		t.Fatal("appended")
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if _, err := j.Append(t.Context(), events(1)); !errors.Is(err, store.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}
