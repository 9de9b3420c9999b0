/*
Package store is one bbolt file whose tables are sealed against damage. It commits
the changes of many callers in one transaction, opens the file again after a commit
that failed, and follows a change log, of which the file is then a cache. It does
not know what its owner stores: see Schema.

# Glossary

  - seal: the checksum of table, key and value in front of each value
  - tally: the count and the sum of the seals of one table
  - group: tables that are made at run time, those of each sink and each source
  - owner: the package that opens the store, and holds part of it in memory
*/
package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Errors that callers may want to distinguish.
var (
	// ErrInUse is returned by Open when another process has the file open.
	ErrInUse = errors.New("in use by another process")
	// ErrDamaged is returned when the file is not as it was written.
	ErrDamaged = errors.New("damaged")
	// ErrFormat is returned by Open for a file that this version cannot read:
	// of another format version, or of something else.
	ErrFormat = errors.New("unknown format")
	// ErrBackup is returned by Backup while another one is under way.
	ErrBackup = errors.New("another backup of the journal is under way: try again when it has ended")
	// ErrReplaced is returned when the file was deleted, or another one put in
	// its place, while it was open.
	ErrReplaced = errors.New("the journal file was deleted or replaced while it was open")
	// ErrClosed is returned by every method after Close.
	ErrClosed = errors.New("closed")
)

// Options of a store. The zero value of all but the schema is fit for use.
type Options struct {
	Schema      Schema
	Load        func(tx *Tx) error // reads what the owner holds in memory and refuses tables that contradict each other: at Open, and after a commit that was thought to have failed
	Reopened    func()             // the file was opened again after a commit that failed
	Logger      *slog.Logger
	LockTimeout time.Duration         // how long Open waits for another process to release the file; default 1s
	Registerer  prometheus.Registerer // nil: metrics are counted but not exported
	ChangeLog   ChangeLog             // the durable copy, of which the file is a cache; nil: there is none, and the file is durable
}

// A Schema names the format of a file and the tables in it.
type Schema struct {
	Format string              // with its version; any other is refused
	Tables []string            // besides StateTable
	Groups map[string][]string // the tables of each member of a group; nil: a member is itself a table
}

// maxCommit is how long a commit may take until the store is not ready.
const maxCommit = 10 * time.Second

// Store is an open file. When a method returns nil, its writes are on disk. After
// an error nothing was written, or retrying is a no-op. Methods are safe for
// concurrent use.
type Store struct {
	Update func(func(*bolt.Tx) error) error // runs a transaction; tests make it fail

	o       Options
	path    string
	metrics *metrics

	file     sync.RWMutex                // held for reading while reading from db, for writing to replace it
	db       *bolt.DB                    // nil: noFile holds the cause
	noFile   error                       // set before db becomes nil
	closed   bool                        // by Close
	id       string                      // of the file, as stored
	txid     int                         // of the last transaction that was tried; guarded by write
	opened   atomic.Pointer[fs.FileInfo] // the file that db has open
	lost     chan struct{}               // closed when a commit to the change log has an unknown outcome
	unlinked atomic.Bool                 // Unlink was called
	backup   sync.Mutex                  // one Backup at a time
	started  atomic.Pointer[time.Time]   // when the running commit started; nil: none is running

	write      sync.Mutex    // held from the start of a transaction until memory shows it; guards the next three
	committed  time.Time     // end of the last transaction
	commitTime time.Duration // that it took
	logTime    time.Duration // of it, that the change log took

	mu    sync.Mutex // guards group; never held during I/O
	group *group     // changes waiting for the next transaction, nil if none
}

// New returns the store of the file at path, for Open.
func New(path string, o Options) *Store {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.LockTimeout = cmp.Or(o.LockTimeout, time.Second)
	s := &Store{o: o, path: path, metrics: newMetrics(o.Registerer), lost: make(chan struct{})}
	s.Update = func(f func(*bolt.Tx) error) error { return s.db.Update(f) }
	return s
}

// Path returns where the file is.
func (s *Store) Path() string { return s.path }

// Close waits for the running transaction and closes the file. A disk that
// hangs makes Close hang: a caller with a deadline must not wait for it longer.
func (s *Store) Close() error {
	s.write.Lock()
	defer s.write.Unlock()
	s.file.Lock()
	defer s.file.Unlock()
	db := s.db
	s.db, s.noFile, s.closed = nil, ErrClosed, true
	if db == nil {
		return nil
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}

// Ready returns why the store cannot be relied on at the moment: a commit has
// been running for more than 10 s, or the file was deleted or replaced. It never
// waits for a commit.
func (s *Store) Ready() error {
	if started := s.started.Load(); started != nil {
		if took := time.Since(*started); took > maxCommit {
			holds := "disk that holds " + s.path
			if s.o.ChangeLog != nil {
				holds = "brokers of the change log, and the " + holds
			}
			return fmt.Errorf("journal: a commit has been running for %s: check the %s", took.Round(time.Second), holds)
		}
		return nil
	}
	select {
	case <-s.lost:
		return fmt.Errorf("journal: %w", ErrLost)
	default:
	}
	return explain(s.inPlace())
}

// Hold waits for the running transaction and keeps the next one from starting until
// release is called.
func (s *Store) Hold() (release func()) {
	s.write.Lock()
	return s.write.Unlock
}

// explain adds the operator's next step to the store's own errors.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrClosed), errors.Is(err, berrors.ErrDatabaseNotOpen), errors.Is(err, berrors.ErrTxClosed):
		return fmt.Errorf("journal: %w", ErrClosed)
	case errors.Is(err, ErrReplaced):
		return fmt.Errorf("journal: %w: put the file back, or restart mfawatch to go on with the file that is there now", err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("journal: no space to write (free some on its disk; nothing was lost, mfawatch retries): %w", err)
	}
	return fmt.Errorf("journal: %w", err)
}

type metrics struct {
	fsync  prometheus.Histogram
	errors prometheus.Counter
}

// newMetrics returns the metrics of all stores that share a registerer.
func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		fsync: shared(reg, prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mfawatch_journal_fsync_duration_seconds",
			Help:    "Time that a transaction of the journal took to be written to disk, and to the brokers of a shared journal.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}})),
		errors: shared(reg, prometheus.NewCounter(prometheus.CounterOpts{Name: "mfawatch_journal_commit_errors_total",
			Help: "Transactions of the journal that failed."})),
	}
}

// shared registers c, or returns the collector that was registered before.
func shared[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	var before prometheus.AlreadyRegisteredError
	if reg == nil {
		return c
	}
	if err := reg.Register(c); errors.As(err, &before) {
		return before.ExistingCollector.(C)
	}
	return c
}
