// Package journal is the durable line between a record that was seen and an
// alert that was told: one file that keeps the events, what was made of them,
// and how far each sink has come.
package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Errors that callers may want to tell apart.
var (
	// ErrInUse is returned by Open when another process has the file open.
	ErrInUse = errors.New("in use by another process")
	// ErrDamaged is returned when the file is not what was written to it.
	ErrDamaged = errors.New("damaged")
	// ErrFormat is returned by Open for a file that this version cannot read:
	// of another format version, or no journal at all.
	ErrFormat = errors.New("unknown format")
	// ErrClosed is returned by every method after Close.
	ErrClosed = errors.New("closed")
	// ErrDone is returned by Take for an alert that the sink is done with.
	ErrDone = errors.New("the sink is done with the alert")
	// ErrUnknownSink is returned for a sink that was not registered.
	ErrUnknownSink = errors.New("sink is not registered")
)

// Options of a journal. The zero value is good for use.
type Options struct {
	Logger      *slog.Logger          // default: slog.Default()
	LockTimeout time.Duration         // how long Open waits for another process to let go of the file; default 1s
	Retention   time.Duration         // how long Prune keeps told alerts and the IDs of events; default 35 days
	Registerer  prometheus.Registerer // nil: metrics are counted, but not shown
	CacheBytes  int                   // bound on decoded accounts held in memory, by their size in the file; default 32 MiB
}

const (
	defaultLockTimeout = time.Second
	defaultRetention   = 35 * 24 * time.Hour // CloudTrail redelivers for up to 30 days
	defaultCacheBytes  = 32 << 20
)

// A Journal is the line. What its methods wrote is on disk when they return
// nil; on an error nothing of the call was written, or it will be recognised
// when the call is made again. All methods may be called at once, from any
// goroutine.
type Journal struct {
	log       *slog.Logger
	retention time.Duration
	metrics   *metrics

	path        string
	lockTimeout time.Duration
	file        sync.RWMutex                     // held for reading while reading from db, for writing to replace it
	db          *bolt.DB                         // nil: noFile says why
	noFile      error                            // set before db becomes nil
	closed      bool                             // by Close
	update      func(func(*bolt.Tx) error) error // db.Update; tests make it fail
	txid        int                              // of the last transaction that was tried; guarded by write

	folding  sync.Mutex    // one Fold at a time; guards the next two
	folded   time.Time     // end of the last Fold
	foldTime time.Duration // that it took
	write    sync.Mutex    // held from the begin of a transaction until memory shows it
	cache    *cache        // of decoded accounts

	mu     sync.Mutex                 // guards what follows; never held during I/O
	group  *group                     // changes waiting for the next transaction, nil if none
	places map[string]*place          // by registered sink
	last   uint64                     // the number of the newest alert
	open   map[string][]exposure.Open // by account, without those that have none
	anew   map[string]bool            // those that are to be folded, whatever their time

	appended signal // events were appended
	alerted  signal // alerts were added
	moved    signal // anything happened: a fold or a delivery
}

// Close waits for the transactions that are running and closes the file.
func (j *Journal) Close() error {
	j.write.Lock()
	defer j.write.Unlock()
	j.file.Lock()
	defer j.file.Unlock()
	db := j.db
	j.db, j.noFile, j.closed = nil, ErrClosed, true
	if db == nil {
		return nil
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}

// Appended returns a channel that is closed by the next Append of a new event.
// To miss none, take it before looking.
func (j *Journal) Appended() <-chan struct{} { return j.appended.wait() }

// Alerted returns a channel that is closed when the next alert is journalled.
// To miss none, take it before looking.
func (j *Journal) Alerted() <-chan struct{} { return j.alerted.wait() }

// Idle waits until every event is folded and no alert is pending for a
// registered sink: all that can be told now is told, or is a dead letter.
func (j *Journal) Idle(ctx context.Context) error {
	for {
		moved := j.moved.wait()
		busy, err := j.busy()
		if err != nil || !busy {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

func (j *Journal) busy() (bool, error) {
	// A fold moves work from the events on disk to the alerts in memory: not
	// between the two.
	j.write.Lock()
	defer j.write.Unlock()
	busy := false
	err := j.view(func(tx *bolt.Tx) error {
		k, _ := tx.Bucket(dirtyBucket).Cursor().First()
		busy = k != nil
		return nil
	})
	if err != nil || busy {
		return busy, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range j.places {
		if p.pending(j.last) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// explain puts what the operator can do in front of the store's own errors.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrClosed), errors.Is(err, berrors.ErrDatabaseNotOpen), errors.Is(err, berrors.ErrTxClosed):
		return fmt.Errorf("journal: %w", ErrClosed)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("journal: no space to write (free some on its disk; nothing was lost, it is tried again): %w", err)
	}
	return fmt.Errorf("journal: %w", err)
}

// A signal wakes everyone who waits for the next time it fires.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
