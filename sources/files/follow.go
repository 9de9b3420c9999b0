package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/status"
	"github.com/mfawatch/mfawatch/sources"
)

// How a folder is followed.
const (
	settleTime   = 2 * time.Second  // a file that is read as a whole has to have rested for so long
	cutTime      = 30 * time.Second // and one whose last document has no end, before that is taken for cut off
	pollTime     = 2 * time.Second  // between polls where no changes are reported
	fullPollTime = time.Minute      // between looks where something does
	pollShare    = 20               // two looks that took long are followed by a rest of so many times as long
	keepTime     = time.Second      // between places that are kept
	holdTime     = 10 * time.Minute // a file that grew is held open for so long, since it may be renamed with more to come
	goneTime     = time.Minute      // and one that is gone
	maxHeld      = 128              // files held open
	turnBytes    = 16 << 20         // of one file, before the others have a turn
	turnTime     = time.Second      // of all files, before new ones and new lines are looked for
)

// A follower reads files as they appear and grow. Polling decides; fsnotify only
// triggers an earlier poll, so a missed event loses nothing. One goroutine polls;
// several read the files that are due.
type follower struct {
	f      *Source
	ctx    context.Context
	handle processor.Handler
	hints  *hints

	paths   []string
	files   map[string]*followed // by identity
	byPath  map[string]*followed
	folders map[string]bool
	kept    map[string][]byte // places of before that no file was found for yet
	round   int               // of looks at everything

	caughtUp sources.CaughtUp

	next    time.Time     // look at everything
	soonest time.Time     // that may be, since it takes its time
	took    time.Duration // by the last one
	saved   time.Time
	unsaved map[string]*followed
	held    atomic.Int32 // files that are held open
	evicted []string     // whose places are no longer wanted
	saving  status.Status
}

// A followed is a followed file. While it is read, its reader owns it.
type followed struct {
	id, path string
	size     int64
	mtime    time.Time
	changed  time.Time     // since when size and mtime are unchanged
	met      bool          // its place was compared with what it holds
	waits    time.Duration // it has to rest for so long before it is read on
	more     bool          // its turn ended before it did
	file     *os.File      // open
	holds    bool          // and one of those that stay so
	gone     bool          // from its path, and not found at another one
	round    int           // the look at everything that saw it last
	failed   int           // the one since which it could not be read
	readErr  status.Status
	whole    bool // it is compressed, and so read as a whole
	offset   fileOffset
	saved    fileOffset // as it is kept
	long     search     // in the document at offset
}

// follow reads the files at the paths, and those that appear there, until ctx is done.
func (f *Source) follow(ctx context.Context, h processor.Handler) error {
	w := &follower{
		f: f, ctx: ctx, handle: h, hints: newHints(f.log, f.metrics.overflows, f.noHints),
		caughtUp: sources.CaughtUp{Log: f.log}, files: map[string]*followed{}, byPath: map[string]*followed{}, folders: map[string]bool{}, unsaved: map[string]*followed{},
	}
	for _, path := range f.config.Paths {
		w.paths = append(w.paths, filepath.Clean(path))
	}
	defer w.close()
	if f.offsets != nil {
		var err error
		if w.kept, err = f.offsets.Offsets(f.name); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		now := time.Now()
		hinted, everything := w.hints.take()
		if everything {
			w.pollSoon()
		}
		for _, path := range hinted {
			w.pollPath(path, now)
		}
		if !now.Before(w.next) {
			w.poll(now)
		}
		more := w.read(w.due(now))
		w.save(ctx, false)
		if !more {
			w.wait()
		}
	}
	return nil
}

// due checks the files that have to settle or are gone from their path, and returns
// those to be read now.
func (w *follower) due(now time.Time) []*followed {
	var due []*followed
	behind := int64(0)
	for _, t := range w.files {
		if t.waits > 0 || t.gone && t.file != nil {
			w.recheck(t, now)
		}
		behind += max(0, t.size-t.offset.Offset)
		if t.isDue(now) && t.failed != w.round {
			due = append(due, t)
		}
	}
	w.f.metrics.followed.Set(float64(len(w.files)))
	w.f.metrics.behind.Set(float64(behind))
	if w.f.pathErrs.Err() != nil {
		behind++ // there is more than it can see
	}
	w.caughtUp.Behind(behind, now)
	return due
}

// isDue reports whether there is something to be read, and now.
func (t *followed) isDue(now time.Time) bool {
	if t.gone && t.file == nil {
		return false
	}
	if t.more {
		return true
	}
	if t.met && t.size == t.offset.Size && t.mtime.UnixNano() == t.offset.Time {
		return false
	}
	return now.Sub(t.changed) >= t.waits
}

// read reads files, several concurrently, and reports whether some have more to read
// immediately. Long ones come last, and some of them in the next call, so that they delay
// the lines of other files for no longer than each of them takes.
func (w *follower) read(due []*followed) (more bool) {
	slices.SortFunc(due, func(a, b *followed) int {
		if c := cmp.Compare(a.isLong(), b.isLong()); c != 0 {
			return c
		}
		return a.changed.Compare(b.changed)
	})
	long := slices.IndexFunc(due, func(t *followed) bool { return t.isLong() > 0 })
	var g errgroup.Group
	g.SetLimit(w.f.concurrency)
	begun := time.Now()
	for i, t := range due {
		if long >= 0 && i > long && time.Since(begun) >= w.f.turn {
			due, more = due[:i], true
			break
		}
		g.Go(func() error {
			err := w.readOn(t)
			if err == nil || w.ctx.Err() != nil {
				return nil
			}
			t.more, t.failed = false, w.round
			if !isGone(err) && t.readErr.Set(err) {
				w.f.log.Warn("file cannot be read; retrying", "err", unreadable(t.path, err))
			}
			return nil
		})
	}
	_ = g.Wait()
	for _, t := range due {
		more = more || t.more
		if t.offset != t.saved {
			w.unsaved[t.id] = t
		}
	}
	return more
}

// isLong returns 1 for a file that may take long to read, since there is much of it or it
// may inflate to much, and 0 for others.
func (t *followed) isLong() int { return int(min(1, max(0, t.size-t.offset.Offset)/batchBytes)) }

// hold keeps a file open that may grow yet, if there is room for one more.
func (w *follower) hold(t *followed) {
	switch {
	case t.gone || t.holds: // for as long as it takes
	case t.whole, time.Since(t.mtime) > w.f.hold:
		w.closeFile(t)
	case w.held.Add(1) > maxHeld:
		w.held.Add(-1)
		w.closeFile(t)
	default:
		t.holds = true
	}
}

// closeFile closes a file.
func (w *follower) closeFile(t *followed) {
	if t.file != nil {
		_ = t.file.Close() // it was only read
		t.file = nil
	}
	if t.holds {
		t.holds = false
		w.held.Add(-1)
	}
}

// wait waits until there may be something to do.
func (w *follower) wait() {
	until := time.Until(w.next)
	for _, t := range w.files {
		if t.waits > 0 || t.gone && t.file != nil {
			until = min(until, w.f.settle/4)
			break
		}
	}
	if len(w.unsaved) > 0 || len(w.evicted) > 0 {
		until = min(until, time.Until(w.saved.Add(w.f.keepEvery)))
	}
	select {
	case <-w.ctx.Done():
	case <-time.After(max(until, time.Millisecond)):
	case <-w.hints.there:
	}
}

// close stores the last offsets and closes all files.
func (w *follower) close() {
	w.save(context.WithoutCancel(w.ctx), true)
	for _, t := range w.files {
		w.closeFile(t)
	}
	w.hints.close()
	w.f.pathErrs.Set(nil)
}

// save stores the offsets of files periodically. A lost offset only costs time: the
// file is read again after a restart.
func (w *follower) save(ctx context.Context, last bool) {
	if w.f.offsets == nil || len(w.unsaved) == 0 && len(w.evicted) == 0 || !last && time.Since(w.saved) < w.f.keepEvery {
		return
	}
	keep := make(map[string][]byte, len(w.unsaved))
	for id, t := range w.unsaved {
		keep[id] = t.offset.text()
		t.saved = t.offset
	}
	w.saved = time.Now()
	err := w.f.offsets.KeepOffsets(ctx, w.f.name, keep, w.evicted)
	if changed := w.saving.Set(err); err != nil {
		if changed && ctx.Err() == nil {
			w.f.log.Warn("offsets of files could not be stored; retrying", "err", err)
		}
		return
	}
	w.evicted = nil
	clear(w.unsaved)
}

// report records the errors of the paths for Ready, and logs changes.
func (w *follower) report(errs []error) {
	const most = 5
	if len(errs) > most {
		errs = append(errs[:most:most], fmt.Errorf("and %d more", len(errs)-most))
	}
	err := errors.Join(errs...)
	switch changed := w.f.pathErrs.Set(err); {
	case changed && err == nil:
		w.f.log.Info("all paths can be read again")
	case changed:
		w.f.log.Warn("not all paths can be read; retrying", "err", err)
	}
}

// isGone reports whether an error says that there is no such file.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
