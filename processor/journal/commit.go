package journal

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A change is one caller's part of a transaction.
type change struct {
	do   func(tx *tx) error // writes; touches no memory that a rollback would have to restore
	done func()             // runs once the transaction is on disk, before the next one starts
}

// A group holds the changes that share one transaction, and so one fsync.
type group struct {
	changes []change
	err     error
	ready   chan struct{} // closed when err is set
}

// commit makes the change durable. Callers that come while a transaction is
// running share the next one: the first of them leads it.
func (j *Journal) commit(c change) error {
	j.mu.Lock()
	g := j.group
	lead := g == nil
	if lead {
		g = &group{ready: make(chan struct{})}
		j.group = g
	}
	g.changes = append(g.changes, c)
	j.mu.Unlock()
	if !lead {
		<-g.ready
		return g.err
	}

	j.write.Lock()
	defer j.write.Unlock()
	j.gather()
	j.mu.Lock()
	j.group = nil // no change joins from here on
	j.mu.Unlock()

	g.err = explain(j.transact(g.changes))
	if g.err == nil {
		for _, c := range g.changes {
			c.done()
		}
	}
	close(g.ready)
	return g.err
}

// maxGather bounds how long a commit to the change log waits for others.
const maxGather = 250 * time.Millisecond

// gather keeps commits to the change log from using more than half of the time: in
// a burst more changes share each of them, and its cost. The caller holds j.write.
func (j *Journal) gather() {
	if j.changeLog != nil {
		time.Sleep(min(j.commitTime, maxGather) - time.Since(j.committed))
	}
}

// transact runs the changes in a transaction. Where the store fails, and not one
// of the changes, it opens the file again.
func (j *Journal) transact(changes []change) error {
	started := time.Now()
	j.started.Store(&started)
	defer func() {
		j.started.Store(nil)
		j.committed, j.commitTime = time.Now(), time.Since(started)
	}()
	if j.db == nil { // the last attempt to open it again failed
		if j.changeLog != nil {
			return j.noFile
		}
		if err := j.reopen(); err != nil {
			return err
		}
	}
	var last *bolt.Tx
	var theirs error
	err := guard(func() error {
		return j.update(func(t *bolt.Tx) error {
			last = t
			tx := newTx(t)
			if j.changeLog != nil {
				tx.writes = map[string][]byte{}
			}
			for _, c := range changes {
				if theirs = c.do(tx); theirs != nil {
					return theirs
				}
			}
			j.txid = t.ID()
			if err := tx.flush(); err != nil {
				return err
			}
			return j.logChanges(tx)
		})
	})
	if err == nil {
		err = j.inPlace()
	}
	if err == nil {
		stats := last.Stats()
		j.metrics.fsync.Observe(stats.GetWriteTime().Seconds())
		return nil
	}
	j.metrics.errors.Inc()
	switch {
	case theirs != nil, errors.Is(err, ErrRefused):
	case j.changeLog != nil:
		return j.lose(err)
	default:
		if again := j.reopen(); again != nil {
			return fmt.Errorf("%w (and it could not be opened again: %w)", err, again)
		}
	}
	return err
}

// Unlink removes the journal's file while it stays open, so that nothing of it is
// left however the process ends: for a journal that serves one run. A commit that
// fails afterwards cannot be repaired.
func (j *Journal) Unlink() error {
	j.unlinked.Store(true)
	if err := os.Remove(j.path); err != nil {
		return fmt.Errorf("unlink the journal: %w", err)
	}
	return nil
}

// inPlace returns an error if the path no longer leads to the open file.
func (j *Journal) inPlace() error {
	if j.unlinked.Load() {
		return nil
	}
	info, err := os.Stat(j.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReplaced, err)
	}
	if !os.SameFile(info, *j.opened.Load()) {
		return ErrReplaced
	}
	return nil
}

// reopen follows a commit that failed: only the file knows whether the commit
// reached the disk, and bbolt's memory is not to be trusted any more. It never
// creates a file. While it fails, every call except Close fails; each commit
// tries again. The caller holds j.write.
func (j *Journal) reopen() error {
	err := j.reopenStore()
	if err != nil {
		return hint(err)
	}
	// The stored commit may be the one that a caller waits for; others retry.
	j.appended.fire()
	j.alerted.fire()
	j.moved.fire()
	return nil
}

func (j *Journal) reopenStore() (err error) {
	j.file.Lock()
	defer j.file.Unlock()
	if j.closed {
		return ErrClosed
	}
	if j.db != nil {
		err = j.db.Close()
		j.db = nil
	}
	defer func() {
		if err != nil {
			j.noFile = fmt.Errorf("the file could not be opened again: %w", err)
		}
	}()
	if err != nil {
		return err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	db, info, err := openStore(j.path, j.lockTimeout, os.O_RDWR)
	if err != nil {
		return err
	}
	err = guard(func() error { return db.View(func(t *bolt.Tx) error { return j.compare(newTx(t)) }) })
	if err != nil {
		return errors.Join(err, db.Close())
	}
	j.db = db
	j.opened.Store(&info)
	return nil
}

// compare loads the failed commit if the file has it. The file has to be the one
// that the commit was written to, with that commit or without it.
func (j *Journal) compare(tx *tx) error {
	if err := checkSize(tx, j.path); err != nil {
		return err
	}
	if b := tx.Bucket([]byte(metaTable)); b == nil || string(b.Get(formatKey)) != format {
		return fmt.Errorf("%w: not a journal any more", ErrReplaced)
	}
	id, err := tx.table(stateTable).get(idKey)
	switch {
	case err != nil:
		return err
	case string(id) != j.id:
		return fmt.Errorf("%w: it is another journal", ErrReplaced)
	case tx.ID() == j.txid-1:
		return nil // the failed commit did not reach the disk
	case tx.ID() != j.txid:
		return fmt.Errorf("%w: it holds transaction %d where %d was written last", ErrReplaced, tx.ID(), j.txid)
	}
	j.cache.clear()
	return j.load(tx)
}

// view reads. Its transaction must be short, and f must not start another.
func (j *Journal) view(f func(tx *tx) error) error {
	return explain(guard(func() error {
		j.file.RLock()
		defer j.file.RUnlock()
		if j.db == nil {
			return j.noFile
		}
		return j.db.View(func(t *bolt.Tx) error { return f(newTx(t)) })
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
