package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// poll lists all folders, to watch them for changes, and then all files.
func (w *follower) poll(now time.Time) {
	w.round++
	for _, t := range w.files {
		if t.file != nil && !t.gone && now.Sub(t.mtime) > w.f.hold {
			w.closeFile(t)
		}
	}
	for folder := range w.folders {
		if _, err := os.Stat(folder); err != nil {
			w.hints.drop(folder) // if it was renamed, its events would carry the old name
		}
	}
	clear(w.folders)
	var errs []error
	for _, path := range w.paths {
		w.watch(path)
	}
	whole, missing := true, false
	for file, err := range Walk(w.paths) {
		if w.ctx.Err() != nil {
			return
		}
		switch {
		case err == nil && !file.Regular:
			err = errors.New(file.Path + " is no regular file; it cannot be followed")
		case err == nil:
			err = w.observe(file.Path, now)
		case isGone(err) && !slices.Contains(w.paths, file.Path):
			continue // it was deleted between two polls
		}
		if err != nil {
			whole, missing = false, missing || slices.Contains(w.paths, file.Path)
			errs = append(errs, err)
		}
	}
	if w.round == 1 {
		w.findRenamed(now)
	}
	w.report(errs)
	w.evictUnseen(whole)
	rest := w.f.fullPollEvery
	if !w.hints.whole() || missing {
		rest = w.f.pollEvery
	}
	took := time.Since(now)
	pause := pollShare * min(took, w.took) // one look that was held up delays no change
	w.took = took
	w.soonest = now.Add(took + pause)
	w.next = now.Add(took + max(rest, pause))
}

// pollSoon schedules the next poll as early as the pause between polls allows.
func (w *follower) pollSoon() {
	if w.soonest.Before(w.next) {
		w.next = w.soonest
	}
}

// watch watches a folder and those in it, or the folder of a file, which need not
// exist yet.
func (w *follower) watch(path string) {
	w.hints.add(filepath.Dir(path)) // a folder may go and come, too
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		w.watchFolder(path)
	}
}

func (w *follower) watchFolder(path string) {
	w.folders[path] = true
	w.hints.add(path)
	entries, _ := os.ReadDir(path) // Walk reports the error
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			w.watchFolder(filepath.Join(path, e.Name()))
		}
	}
}

// pollPath checks a path for which a change was reported.
func (w *follower) pollPath(path string, now time.Time) {
	if !w.wanted(path) {
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		if t := w.byPath[path]; t != nil {
			w.markGone(t)
		}
		if w.folders[path] || slices.Contains(w.paths, path) {
			w.pollSoon()
		}
	case info.IsDir():
		w.pollSoon() // a new folder may have files already
	case !info.Mode().IsRegular():
	case slices.Contains(w.paths, path):
		_ = w.observe(path, now) // the next poll reports the error again
	default:
		if _, listed, err := fileIn(path, fs.FileInfoToDirEntry(info)); err == nil && listed {
			_ = w.observe(path, now)
		}
	}
}

// wanted reports whether a path is one of those that are followed, or in one of
// them and not hidden.
func (w *follower) wanted(path string) bool {
	for _, root := range w.paths {
		rest, err := filepath.Rel(root, path)
		if err != nil || rest == ".." || strings.HasPrefix(rest, ".."+string(filepath.Separator)) {
			continue
		}
		if rest == "." || !slices.ContainsFunc(strings.Split(rest, string(filepath.Separator)), func(name string) bool { return strings.HasPrefix(name, ".") }) {
			return true
		}
	}
	return false
}

// observe records the state of an existing file.
func (w *follower) observe(path string, now time.Time) error {
	info, err := os.Stat(path)
	if isGone(err) && !slices.Contains(w.paths, path) {
		return nil
	}
	if err != nil {
		return unreadable(path, err)
	}
	id := identity(path, info)
	t := w.files[id]
	if t == nil {
		t = &followed{id: id}
		w.files[id] = t
		if text, ok := w.kept[id]; ok {
			t.offset = parseOffset(text)
			t.saved = t.offset
			delete(w.kept, id)
		}
	}
	if before := w.byPath[path]; before != nil && before != t {
		w.markGone(before)
	}
	t.gone, t.round = false, w.round
	if t.path != path && (t.path == "" || !sameFile(t.path, info)) { // one with two names keeps the first
		if w.byPath[t.path] == t {
			delete(w.byPath, t.path)
		}
		t.path = path
	}
	if t.path == path {
		w.byPath[path] = t
	}
	t.update(info, now)
	return nil
}

// sameFile reports whether a path is still the file that info is about: one with
// two names keeps the first.
func sameFile(path string, info fs.FileInfo) bool {
	other, err := os.Stat(path)
	return err == nil && os.SameFile(other, info)
}

// update records the size and time of a file.
func (t *followed) update(info fs.FileInfo, now time.Time) {
	if info.Size() == t.size && info.ModTime().Equal(t.mtime) && !t.changed.IsZero() {
		return
	}
	first := t.changed.IsZero()
	t.size, t.mtime, t.changed, t.waits, t.failed = info.Size(), info.ModTime(), now, 0, 0
	if first && t.mtime.Before(now) {
		t.changed = t.mtime // it has rested since, as what is renamed into place has
	}
}

// recheck checks a file that has to settle, or an open one that is gone from its
// path and may still grow.
func (w *follower) recheck(t *followed, now time.Time) {
	var info fs.FileInfo
	var err error
	if t.file != nil {
		info, err = t.file.Stat()
	} else {
		info, err = os.Stat(t.path)
		if err == nil && identity(t.path, info) != t.id {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		w.closeFile(t)
		w.markGone(t)
		return
	}
	t.update(info, now)
	if t.gone && t.size == t.offset.Size && now.Sub(t.changed) > w.f.goneFor {
		w.evict(t)
	}
}

// markGone marks a file that is no longer at its path. A file held open is read to its
// end, and for a while after that. It may also appear at another path, and is evicted
// if the next poll does not find it.
func (w *follower) markGone(t *followed) {
	if w.byPath[t.path] == t {
		delete(w.byPath, t.path)
	}
	t.gone = true
}

// evict removes a file and its offset.
func (w *follower) evict(t *followed) {
	w.closeFile(t)
	if w.byPath[t.path] == t {
		delete(w.byPath, t.path)
	}
	delete(w.files, t.id)
	delete(w.unsaved, t.id)
	if w.f.offsets != nil {
		w.evicted = append(w.evicted, t.id)
	}
}

// evictUnseen evicts the files that the poll did not find and, if it read every folder,
// the offsets without a file.
func (w *follower) evictUnseen(whole bool) {
	for _, t := range w.files {
		if t.round == w.round {
			continue
		}
		if t.file != nil {
			w.markGone(t)
		} else if whole {
			w.evict(t)
		}
	}
	if whole {
		for id := range w.kept {
			w.evicted = append(w.evicted, id)
		}
		w.kept = nil
	}
}

// findRenamed finds files that were renamed during downtime, beside the paths that
// are files. Their unread rest would be lost otherwise.
func (w *follower) findRenamed(now time.Time) {
	for _, path := range w.paths {
		if len(w.kept) == 0 || w.folders[path] {
			continue
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			continue // Walk reports the error of the path itself
		}
		for _, e := range entries {
			name := filepath.Join(filepath.Dir(path), e.Name())
			info, err := e.Info()
			if err != nil || !info.Mode().IsRegular() || !strings.HasPrefix(e.Name(), filepath.Base(path)) {
				continue
			}
			if _, ok := w.kept[identity(name, info)]; ok {
				_ = w.observe(name, now)
			}
		}
	}
}
