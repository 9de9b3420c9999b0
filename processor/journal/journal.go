package journal

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// Options of a journal. The zero value is fit for use.
type Options struct {
	Logger      *slog.Logger           // default: slog.Default()
	LockTimeout time.Duration          // how long Open waits for another process to release the file; default 1s
	Retention   time.Duration          // how long Prune keeps acked alerts and the IDs of dropped events; default 35 days
	Registerer  prometheus.Registerer  // nil: metrics are counted but not exported
	ChangeLog   store.ChangeLog        // the durable copy, of which the file is a cache; nil: there is none, and the file is durable
	Local       func(lane string) bool // whether a lane is folded in this journal; others get their events through the change log; nil: all are
	CacheBytes  int                    // bound on decoded subjects held in memory, by their size in the file; default 8 MiB
}

const (
	defaultRetention  = 35 * 24 * time.Hour // CloudTrail redelivers for up to 30 days
	defaultCacheBytes = 8 << 20
)

// Journal is the durable log. When a method returns nil, its writes are on
// disk. After an error nothing was written, or retrying is a no-op. Methods are
// safe for concurrent use.
type Journal struct {
	*outbox.Outbox // alerts and their deliveries
	log            *slog.Logger
	retention      time.Duration
	store          *store.Store
	local          func(lane string) bool // nil: every lane is

	folding  sync.Mutex    // one Fold at a time; guards the next two
	folded   time.Time     // end of the last Fold
	foldTime time.Duration // that it took
	cache    *cache        // of decoded subjects

	mu     sync.Mutex                 // guards the fields below; never held during I/O
	open   map[string][]exposure.Open // by subject, without those that have none
	live   map[string]bool            // subjects that another policy may concern
	refold map[string]bool            // subjects to fold, due or not

	appended store.Signal // events were appended
}

// schema is that of the file.
var schema = store.Schema{
	Format: "mfawatch.journal/2",
	Tables: append([]string{eventTable, listTable, seenTable, keyTable, subjectTable, dirtyTable, recordTable, dueTable, quarantineTable}, outbox.Tables...),
	Groups: map[string][]string{outbox.SinkGroup: outbox.SinkTables, sourceTables: nil},
}

// Open opens the journal at path, or creates one where there is no file. It
// reads the whole file once and refuses one that is damaged, contradicts itself,
// has a format it does not know, or is open in another process. It never changes
// a file that it refuses. The errors name the next step.
func Open(path string, o Options) (*Journal, error) {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	j := newJournal(path, o)
	if err := j.store.Open(); err != nil {
		return nil, err
	}
	return j, nil
}

func newJournal(path string, o Options) *Journal {
	j := &Journal{
		log:       o.Logger,
		retention: cmp.Or(o.Retention, defaultRetention),
		cache:     newCache(cmp.Or(o.CacheBytes, defaultCacheBytes)),
		local:     o.Local,
	}
	j.store = store.New(path, store.Options{
		Schema: schema,
		Load:   j.load,
		Reopened: func() { // the stored commit may be the one that a caller waits for; others retry
			j.appended.Fire()
			outbox.Announce(j.Outbox)
			outbox.Moved(j.Outbox).Fire()
		},
		Logger:      o.Logger,
		LockTimeout: o.LockTimeout,
		Registerer:  o.Registerer,
		ChangeLog:   o.ChangeLog,
	})
	j.Outbox = outbox.New(j.store)
	return j
}

// Verify reads the journal at path in full, and changes nothing. It returns an
// error if it is damaged, of an unknown format or in use.
func Verify(path string) error { return newJournal(path, Options{}).store.Verify() }

// Close waits for the running transaction and closes the file. A disk that
// hangs makes Close hang: a caller with a deadline must not wait for it longer.
func (j *Journal) Close() error { return j.store.Close() }

// Ready returns why the journal cannot be relied on at the moment: a commit has
// been running for more than 10 s, or the file was deleted or replaced. It never
// waits for a commit.
func (j *Journal) Ready() error { return j.store.Ready() }

// Lost returns a channel that is closed when every method fails with
// store.ErrLost. Only a journal with a change log gets lost.
func (j *Journal) Lost() <-chan struct{} { return j.store.Lost() }

// Unlink removes the journal's file while it stays open, so that nothing of it is
// left however the process ends: for a journal that serves one run. A commit that
// fails afterwards cannot be repaired, and none is synced any more.
func (j *Journal) Unlink() error { return j.store.Unlink() }

// Backup writes the journal, as it is at one moment, to w while it is in use. A
// slow w delays no commit, since it is sent a copy beside the journal, which is
// removed.
func (j *Journal) Backup(w io.Writer) error { return j.store.Backup(w) }

// Appended returns a channel that is closed by the next Append of a new event, or
// Refold.
// A caller that must miss none takes the channel before it reads.
func (j *Journal) Appended() <-chan struct{} { return j.appended.Wait() }

// Idle waits until every event is folded and no alert is pending for a
// registered sink: each alert was acked, or is a dead letter. It returns when
// ctx is done, even while a commit hangs.
func (j *Journal) Idle(ctx context.Context) error {
	type answer struct {
		busy bool
		err  error
	}
	for {
		moved := outbox.Moved(j.Outbox).Wait()
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
	defer j.store.Hold()()
	busy := false
	err := j.store.View(func(tx *store.Tx) error {
		busy = tx.Table(dirtyTable).First() != nil
		return nil
	})
	if err != nil || busy {
		return busy, err
	}
	return outbox.Busy(j.Outbox), nil
}
