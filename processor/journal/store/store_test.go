package store

import (
	"log/slog"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func temp(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.TempDir()+"/store.db", Options{
		Schema: Schema{Format: "test/1", Tables: []string{"entries"}},
		Load:   func(*Tx) error { return nil },
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
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
	for queued := 0; queued < n; {
		s.mu.Lock()
		if s.group != nil {
			queued = len(s.group.changes)
		}
		s.mu.Unlock()
	}
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
