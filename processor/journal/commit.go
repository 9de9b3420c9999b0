package journal

import (
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// A change is one caller's part of a transaction.
type change struct {
	do   func(tx *bolt.Tx) error // writes; touches no memory that a rollback would have to restore
	done func()                  // runs once the transaction is on disk, before the next one begins
}

// A group is the changes that share one transaction, and so one fsync.
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
	j.mu.Lock()
	j.group = nil // nobody joins from here on
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

// transact runs the changes in a transaction. Where it fails by itself, and not
// by one of them, the file is opened anew.
func (j *Journal) transact(changes []change) error {
	if j.db == nil { // it could not be, the last time
		if err := j.reopen(); err != nil {
			return err
		}
	}
	var last *bolt.Tx
	var theirs error
	err := guard(func() error {
		return j.update(func(tx *bolt.Tx) error {
			last = tx
			for _, c := range changes {
				if theirs = c.do(tx); theirs != nil {
					return theirs
				}
			}
			j.txid = tx.ID()
			return nil
		})
	})
	if err == nil {
		stats := last.Stats()
		j.metrics.fsync.Observe(stats.GetWriteTime().Seconds())
		return nil
	}
	j.metrics.errors.Inc()
	if theirs == nil {
		if again := j.reopen(); again != nil {
			return fmt.Errorf("%w (and it could not be opened again: %w)", err, again)
		}
	}
	return err
}

// view reads. Its transaction must be short, and f must not begin another.
func (j *Journal) view(f func(tx *bolt.Tx) error) error {
	return explain(guard(func() error {
		j.file.RLock()
		defer j.file.RUnlock()
		if j.db == nil {
			return j.noFile
		}
		return j.db.View(f)
	}))
}

// guard turns the panics with which bbolt answers a damaged page into errors.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return f()
}
