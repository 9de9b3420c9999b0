package journal

import (
	"context"
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

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Errors that callers may want to distinguish.
var (
	// ErrInUse is returned by Open when another process has the file open.
	ErrInUse = errors.New("in use by another process")
	// ErrDamaged is returned when the file is not as it was written.
	ErrDamaged = errors.New("damaged")
	// ErrFormat is returned by Open for a file that this version cannot read:
	// of another format version, or no journal at all.
	ErrFormat = errors.New("unknown format")
	// ErrBackup is returned by Backup while another one is under way.
	ErrBackup = errors.New("another backup of the journal is under way: try again when it has ended")

	// ErrReplaced is returned when the file was deleted, or another one put in
	// its place, while it was open.
	ErrReplaced = errors.New("the journal file was deleted or replaced while it was open")
	// ErrClosed is returned by every method after Close.
	ErrClosed = errors.New("closed")
	// ErrAcked is returned by Take for an alert that the sink has acked.
	ErrAcked = errors.New("the sink has acked the alert")
	// ErrUnknownSink is returned for a sink that was not registered.
	ErrUnknownSink = errors.New("sink is not registered")
)

// Options of a journal. The zero value is fit for use.
type Options struct {
	Logger      *slog.Logger           // default: slog.Default()
	LockTimeout time.Duration          // how long Open waits for another process to release the file; default 1s
	Retention   time.Duration          // how long Prune keeps acked alerts and the IDs of events; default 35 days
	Registerer  prometheus.Registerer  // nil: metrics are counted but not exported
	ChangeLog   ChangeLog              // the durable copy, of which the file is a cache; nil: there is none, and the file is durable
	Local       func(lane string) bool // whether a lane is folded in this journal; others are told by the change log; nil: all are
	CacheBytes  int                    // bound on decoded subjects held in memory, by their size in the file; default 8 MiB
}

const (
	defaultLockTimeout = time.Second
	defaultRetention   = 35 * 24 * time.Hour // CloudTrail redelivers for up to 30 days
	defaultCacheBytes  = 8 << 20
)

// maxCommit is how long a commit may take until the journal is not ready.
const maxCommit = 10 * time.Second

// Journal is the durable log. When a method returns nil, its writes are on
// disk. After an error nothing was written, or retrying is a no-op. Methods are
// safe for concurrent use.
type Journal struct {
	log       *slog.Logger
	retention time.Duration
	metrics   *metrics

	path        string
	lockTimeout time.Duration
	file        sync.RWMutex                     // held for reading while reading from db, for writing to replace it
	db          *bolt.DB                         // nil: noFile holds the cause
	noFile      error                            // set before db becomes nil
	closed      bool                             // by Close
	update      func(func(*bolt.Tx) error) error // db.Update; tests make it fail
	id          string                           // of the journal, as stored
	txid        int                              // of the last transaction that was tried; guarded by write
	opened      atomic.Pointer[fs.FileInfo]      // the file that db has open
	changeLog   ChangeLog                        // nil: none
	local       func(lane string) bool           // nil: every lane is
	lost        chan struct{}                    // closed when a commit to the change log has an unknown outcome
	unlinked    atomic.Bool                      // Unlink was called
	started     atomic.Pointer[time.Time]        // when the running commit started; nil: none is running

	backup   sync.Mutex    // one Backup at a time
	folding  sync.Mutex    // one Fold at a time; guards the next two
	folded   time.Time     // end of the last Fold
	foldTime time.Duration // that it took
	write    sync.Mutex    // held from the start of a transaction until memory shows it
	cache    *cache        // of decoded subjects

	mu      sync.Mutex                 // guards the fields below; never held during I/O
	group   *group                     // changes waiting for the next transaction, nil if none
	cursors map[string]*cursor         // by registered sink
	last    uint64                     // the number of the newest alert
	open    map[string][]exposure.Open // by subject, without those that have none
	live    map[string]bool            // subjects that another policy may concern
	refold  map[string]bool            // subjects to fold, due or not

	appended signal // events were appended
	alerted  signal // alerts were added
	moved    signal // a fold or an ack was stored
}

// Close waits for the running transaction and closes the file. A disk that
// hangs makes Close hang: a caller with a deadline must not wait for it longer.
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

// Ready returns why the journal cannot be relied on at the moment: a commit has
// been running for more than 10 s, or the file was deleted or replaced. It never
// waits for a commit.
func (j *Journal) Ready() error {
	if started := j.started.Load(); started != nil {
		if took := time.Since(*started); took > maxCommit {
			holds := "disk that holds " + j.path
			if j.changeLog != nil {
				holds = "brokers of the change log, and the " + holds
			}
			return fmt.Errorf("journal: a commit has been running for %s: check the %s", took.Round(time.Second), holds)
		}
		return nil
	}
	select {
	case <-j.lost:
		return fmt.Errorf("journal: %w", ErrLost)
	default:
	}
	return explain(j.inPlace())
}

// Appended returns a channel that is closed by the next Append of a new event, or
// Refold.
// A caller that must miss none takes the channel before it reads.
func (j *Journal) Appended() <-chan struct{} { return j.appended.wait() }

// Alerted returns a channel that is closed when the next alert is journalled.
// A caller that must miss none takes the channel before it reads.
func (j *Journal) Alerted() <-chan struct{} { return j.alerted.wait() }

// Idle waits until every event is folded and no alert is pending for a
// registered sink: each alert was acked, or is a dead letter. It returns when
// ctx is done, even while a commit hangs.
func (j *Journal) Idle(ctx context.Context) error {
	type answer struct {
		busy bool
		err  error
	}
	for {
		moved := j.moved.wait()
		answers := make(chan answer, 1)
		go func() {
			busy, err := j.busy()
			answers <- answer{busy, err}
		}()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-answers:
			if a.err != nil || !a.busy {
				return a.err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

func (j *Journal) busy() (bool, error) {
	// A fold moves work from the events on disk to the alerts in memory. The
	// lock keeps this method from reading between the two.
	j.write.Lock()
	defer j.write.Unlock()
	busy := false
	err := j.view(func(tx *tx) error {
		busy = tx.table(dirtyTable).first() != nil
		return nil
	})
	if err != nil || busy {
		return busy, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.cursors {
		if c.pending(j.last) > 0 {
			return true, nil
		}
	}
	return false, nil
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

// A signal wakes every waiter the next time it fires.
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
