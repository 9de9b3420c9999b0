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

	g.err = explain(guard(func() error {
		return j.update(func(tx *bolt.Tx) error {
			for _, c := range g.changes {
				if err := c.do(tx); err != nil {
					return err
				}
			}
			return nil
		})
	}))
	if g.err == nil {
		for _, c := range g.changes {
			c.done()
		}
	} else {
		j.reload()
	}
	close(g.ready)
	return g.err
}

// reload follows a commit that failed: whether it reached the disk is for the
// file to say, and who waits for something may have it.
func (j *Journal) reload() {
	j.cache.clear()
	if err := j.view(j.load); err != nil {
		return // closed: the caller is told by its own error
	}
	j.appended.fire()
	j.alerted.fire()
	j.moved.fire()
}

func (j *Journal) view(f func(tx *bolt.Tx) error) error {
	return explain(guard(func() error { return j.db.View(f) }))
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
