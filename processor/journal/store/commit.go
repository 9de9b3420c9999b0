package store

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A Change is one caller's part of a transaction.
type Change struct {
	Do   func(tx *Tx) error // writes; touches no memory that a rollback would have to restore
	Done func()             // if not nil, runs once the transaction is on disk, before the next one starts
}

// A group holds the changes that share one transaction, and so one fsync.
type group struct {
	changes []Change
	errs    []error       // of each
	ready   chan struct{} // closed when errs is set
}

// Commit makes the change durable. Callers that come while a transaction is
// running share the next one: the first of them leads it.
func (s *Store) Commit(c Change) error {
	s.mu.Lock()
	g := s.group
	lead := g == nil
	if lead {
		g = &group{ready: make(chan struct{})}
		s.group = g
	}
	own := len(g.changes)
	g.changes = append(g.changes, c)
	s.mu.Unlock()
	if !lead {
		<-g.ready
		return g.errs[own]
	}

	s.write.Lock()
	defer s.write.Unlock()
	s.gather()
	s.mu.Lock()
	s.group = nil // no change joins from here on
	s.mu.Unlock()

	g.errs = make([]error, len(g.changes))
	s.run(g.changes, g.errs)
	close(g.ready)
	return g.errs[own]
}

// run makes the changes durable in one transaction, and sets their errors. If one of
// them refuses, or the change log refuses their contents, it splits them, so that the one at
// fault fails alone.
func (s *Store) run(changes []Change, errs []error) {
	theirs, err := s.transact(changes)
	err = explain(err)
	if half := len(changes) / 2; half > 0 && (theirs || errors.Is(err, ErrContents)) {
		s.run(changes[:half], errs[:half])
		s.run(changes[half:], errs[half:])
		return
	}
	for i, c := range changes {
		errs[i] = err
		if err == nil && c.Done != nil {
			c.Done()
		}
	}
}

// maxGather bounds how long a commit to the change log waits for others.
const maxGather = 250 * time.Millisecond

// gather keeps commits to the change log from using more than half of the time: in
// a burst more changes share each of them, and its cost. The caller holds s.write.
func (s *Store) gather() {
	if s.o.ChangeLog != nil {
		time.Sleep(min(s.commitTime, maxGather) - time.Since(s.committed))
	}
}

// transact runs the changes in a transaction. Where the store fails, and not one
// of the changes, which it reports, it opens the file again.
func (s *Store) transact(changes []Change) (theirs bool, err error) {
	started := time.Now()
	s.started.Store(&started)
	defer func() {
		s.started.Store(nil)
		s.committed, s.commitTime = time.Now(), time.Since(started)
	}()
	if s.db == nil { // the last attempt to open it again failed
		if s.o.ChangeLog != nil {
			return false, s.noFile
		}
		if err := s.reopen(); err != nil {
			return false, err
		}
	}
	var last *bolt.Tx
	err = guard(func() error {
		return s.Update(func(t *bolt.Tx) error {
			last = t
			tx := NewTx(t)
			if s.o.ChangeLog != nil {
				tx.writes = map[string][]byte{}
			}
			for _, c := range changes {
				if err := c.Do(tx); err != nil {
					theirs = true
					return err
				}
			}
			s.txid = t.ID()
			if err := tx.Flush(); err != nil {
				return err
			}
			return s.logChanges(tx)
		})
	})
	if err == nil {
		err = s.inPlace()
	}
	if err == nil {
		stats := last.Stats()
		s.metrics.fsync.Observe((stats.GetWriteTime() + s.logTime).Seconds())
		return false, nil
	}
	if errors.Is(err, ErrContents) || theirs && !damages(err) {
		return theirs, err
	}
	s.metrics.errors.Inc()
	switch {
	case theirs, errors.Is(err, ErrRefused):
	case s.o.ChangeLog != nil:
		err = s.lose(err)
	default:
		if again := s.reopen(); again != nil {
			err = fmt.Errorf("%w (and it could not be opened again: %w)", err, again)
		}
	}
	return theirs, err
}

// Unlink removes the file while it stays open, so that nothing of it is
// left however the process ends: for one that serves one run. A commit that
// fails afterwards cannot be repaired, and none is synced any more.
func (s *Store) Unlink() error {
	s.write.Lock()
	defer s.write.Unlock()
	s.unlinked.Store(true)
	if err := os.Remove(s.path); err != nil {
		return fmt.Errorf("unlink the journal: %w", err)
	}
	if s.db != nil {
		s.db.NoSync = true
	}
	return nil
}

// inPlace returns an error if the path no longer leads to the open file.
func (s *Store) inPlace() error {
	if s.unlinked.Load() {
		return nil
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReplaced, err)
	}
	if !os.SameFile(info, *s.opened.Load()) {
		return ErrReplaced
	}
	return nil
}

// reopen follows a commit that failed: only the file knows whether the commit
// reached the disk, and bbolt's memory is not to be trusted any more. It never
// creates a file. While it fails, every call except Close fails; each commit
// tries again. The caller holds s.write.
func (s *Store) reopen() error {
	err := s.reopenStore()
	if err != nil {
		return hint(err)
	}
	// The stored commit may be the one that a caller waits for; others retry.
	if s.o.Reopened != nil {
		s.o.Reopened()
	}
	return nil
}

func (s *Store) reopenStore() (err error) {
	s.file.Lock()
	defer s.file.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.db != nil {
		err = s.db.Close()
		s.db = nil
	}
	defer func() {
		if err != nil {
			s.noFile = fmt.Errorf("the file could not be opened again: %w", err)
		}
	}()
	if err != nil {
		return err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	db, info, err := openStore(s.path, s.o.LockTimeout, os.O_RDWR)
	if err != nil {
		return err
	}
	err = guard(func() error { return db.View(func(t *bolt.Tx) error { return s.compare(NewTx(t)) }) })
	if err != nil {
		return errors.Join(err, db.Close())
	}
	s.db = db
	s.opened.Store(&info)
	return nil
}

// compare loads the failed commit if the file has it. The file has to be the one
// that the commit was written to, with that commit or without it.
func (s *Store) compare(tx *Tx) error {
	if err := checkSize(tx, s.path); err != nil {
		return err
	}
	if b := tx.Bucket([]byte(metaTable)); b == nil || string(b.Get(formatKey)) != s.o.Schema.Format {
		return fmt.Errorf("%w: not a journal any more", ErrReplaced)
	}
	id, err := tx.Table(StateTable).Get(idKey)
	switch {
	case err != nil:
		return err
	case string(id) != s.id:
		return fmt.Errorf("%w: it is another journal", ErrReplaced)
	case tx.ID() == s.txid-1:
		return nil // the failed commit did not reach the disk
	case tx.ID() != s.txid:
		return fmt.Errorf("%w: it holds transaction %d where %d was written last", ErrReplaced, tx.ID(), s.txid)
	}
	return s.load(tx)
}

// View reads. Its transaction must be short, and f must not start another.
func (s *Store) View(f func(tx *Tx) error) error {
	return explain(guard(func() error {
		s.file.RLock()
		defer s.file.RUnlock()
		if s.db == nil {
			return s.noFile
		}
		return s.db.View(func(t *bolt.Tx) error { return f(NewTx(t)) })
	}))
}

// guard turns the panics with which bbolt answers a damaged page into errors.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %s", ErrDamaged, strings.TrimPrefix(fmt.Sprint(r), "panic: "))
		}
	}()
	return f()
}
