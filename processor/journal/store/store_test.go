package store

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	bolt "go.etcd.io/bbolt"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func temp(t *testing.T) *Store {
	t.Helper()
	return tempLog(t, nil)
}

func tempLog(t *testing.T, l ChangeLog) *Store {
	t.Helper()
	s := New(t.TempDir()+"/store.db", Options{
		Schema:    Schema{Format: "test/1", Tables: []string{"entries"}},
		Load:      func(*Tx) error { return nil },
		Logger:    slog.New(slog.DiscardHandler),
		ChangeLog: l,
	})
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// A sizedLog is a ChangeLog that keeps the size of each batch, and which is empty.
type sizedLog struct{ sizes []int }

func (l *sizedLog) Commit(b Batch) ([]byte, error) {
	size := 0
	for _, w := range b.Writes {
		size += len(w.Key) + len(w.Value)
	}
	l.sizes = append(l.sizes, size)
	return NumberKey(uint64(len(l.sizes))), nil
}

func (*sizedLog) Restore([]byte, func([]Write, []byte) error) error { return nil }

// A large file becomes a change log in batches of a bounded size, and is never in
// memory as a whole.
func TestFileBecomesAChangeLogInSteps(t *testing.T) {
	s := temp(t)
	const n, size = 30, 1 << 20
	for i := range uint64(n) {
		if err := s.Commit(Change{Do: func(tx *Tx) error { return tx.Table("entries").Put(NumberKey(i), make([]byte, size)) }}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	log := new(sizedLog)
	o := s.o
	o.ChangeLog = log
	logged := New(s.path, o)
	if err := logged.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { logged.Close() })
	total := 0
	for _, size := range log.sizes {
		total += size
	}
	if total < n*size || slices.Max(log.sizes) > stepBytes+size+1<<10 {
		t.Errorf("batches of %d bytes, %d in all", log.sizes, total)
	}
}

func TestConcurrentCommitsShareTransactions(t *testing.T) {
	s := temp(t)
	transactions := 0
	s.Update = func(f func(*bolt.Tx) error) error { transactions++; return s.db.Update(f) }
	var wg sync.WaitGroup
	const n = 200
	release := s.Hold() // all come while a transaction is running
	for i := range uint64(n) {
		wg.Go(func() {
			if err := s.Commit(Change{Do: func(tx *Tx) error { return tx.Table("entries").Put(NumberKey(i), nil) }}); err != nil {
				t.Error(err)
			}
		})
	}
	s.awaitQueued(n)
	release()
	wg.Wait()
	if transactions != 1 {
		t.Errorf("%d transactions for %d concurrent commits, want 1", transactions, n)
	}
	if err := s.View(func(tx *Tx) error {
		if count, err := tx.Count("entries"); count != n || err != nil {
			t.Errorf("%d entries, %v, want %d", count, err, n)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// awaitQueued returns when n changes share the next transaction.
func (s *Store) awaitQueued(n int) {
	for queued := 0; queued < n; {
		s.mu.Lock()
		if s.group != nil {
			queued = len(s.group.changes)
		}
		s.mu.Unlock()
	}
}

// A pickyLog refuses batches that hold a message.
type pickyLog struct {
	refusal error
	commits int
}

func (l *pickyLog) Commit(b Batch) ([]byte, error) {
	if len(b.Messages) > 0 {
		return nil, l.refusal
	}
	l.commits++
	return NumberKey(uint64(l.commits)), nil
}

func (l *pickyLog) Restore([]byte, func([]Write, []byte) error) error { return nil }

// A change that the change log refuses for its contents, or that refuses by itself, fails alone, and
// not those that share its transaction. Neither is a failure of the store.
func TestRejectedChangeFailsAlone(t *testing.T) {
	t.Run("file", func(t *testing.T) { testFailsAlone(t, nil, nil) })
	t.Run("change log", func(t *testing.T) { testFailsAlone(t, &pickyLog{refusal: ErrRejected}, ErrRejected) })
	t.Run("change log, for now", func(t *testing.T) { testFailsAlone(t, &pickyLog{refusal: ErrContents}, ErrContents) })
}

func testFailsAlone(t *testing.T, l ChangeLog, refusal error) {
	s := tempLog(t, l)
	unknown := errors.New("there is no such sink")
	wrong := map[int]error{3: unknown, 12: unknown}
	if l != nil {
		wrong[7], wrong[8] = refusal, refusal
	}
	var wg sync.WaitGroup
	const n = 20
	var errs [n]error
	var done [n]int
	release := s.Hold()
	for i := range n {
		wg.Go(func() {
			errs[i] = s.Commit(Change{
				Do: func(tx *Tx) error {
					if errors.Is(wrong[i], ErrContents) {
						tx.Messages = append(tx.Messages, "too large")
					}
					err := tx.Table("entries").Put(NumberKey(uint64(i)), nil)
					if errors.Is(wrong[i], unknown) {
						return unknown
					}
					return err
				},
				Done: func() { done[i]++ },
			})
		})
	}
	s.awaitQueued(n)
	release()
	wg.Wait()
	for i, err := range errs {
		want := 1
		if wrong[i] != nil {
			want = 0
		}
		if done[i] != want || !errors.Is(err, wrong[i]) {
			t.Errorf("change %d: done %d times, %v", i, done[i], err)
		}
		if err := s.View(func(tx *Tx) error {
			if tx.Table("entries").Has(NumberKey(uint64(i))) != (want == 1) {
				t.Errorf("entry %d", i)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	if n := testutil.ToFloat64(s.metrics.errors); n != 0 {
		t.Errorf("%v errors of the store are counted", n)
	}
}
