package files

import (
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/client_golang/prometheus"
)

// maxHints is how many paths are remembered; where more have changed, everything
// is looked at.
const maxHints = 10_000

// hints collects events of changes in folders. Events may be lost or late: they
// only trigger an earlier poll.
type hints struct {
	log       *slog.Logger
	overflows prometheus.Counter
	watcher   *fsnotify.Watcher // nil: no changes are reported
	ended     chan struct{}     // closed once nothing more comes
	there     chan struct{}     // is sent to when there are some

	mu         sync.Mutex
	paths      map[string]bool
	everything bool
	partial    bool // some folder cannot be watched
}

func newHints(log *slog.Logger, overflows prometheus.Counter, none bool) *hints {
	h := &hints{log: log, overflows: overflows, ended: make(chan struct{}), there: make(chan struct{}, 1), paths: map[string]bool{}, everything: true}
	var err error
	if !none {
		h.watcher, err = fsnotify.NewWatcher()
	}
	if err != nil || none {
		h.watcher = nil
		if err != nil {
			log.Warn("changes in folders cannot be watched; they are polled every other second", "err", err)
		}
		close(h.ended)
		return h
	}
	go h.collect()
	return h
}

func (h *hints) collect() {
	defer close(h.ended)
	for {
		select {
		case e, ok := <-h.watcher.Events:
			if !ok {
				return
			}
			h.put(filepath.Clean(e.Name), false)
		case _, ok := <-h.watcher.Errors:
			if !ok {
				return
			}
			h.overflows.Inc() // there were more than the system remembers, or something else was lost
			h.put("", true)
		}
	}
}

func (h *hints) put(path string, everything bool) {
	h.mu.Lock()
	if everything || len(h.paths) >= maxHints {
		h.everything = true
		clear(h.paths)
	} else {
		h.paths[path] = true
	}
	h.mu.Unlock()
	select {
	case h.there <- struct{}{}:
	default:
	}
}

// take returns the paths of reported changes, and whether everything has
// to be looked at.
func (h *hints) take() (paths []string, everything bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	paths = slices.Collect(maps.Keys(h.paths))
	clear(h.paths)
	everything, h.everything = h.everything, false
	return paths, everything
}

// add watches a folder for changes. Repeated calls are no-ops.
func (h *hints) add(folder string) {
	if h.watcher == nil {
		return
	}
	err := h.watcher.Add(folder)
	if err == nil || isGone(err) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.partial {
		h.partial = true
		h.log.Warn("not every folder can be watched, so all are polled every other second;"+
			" on Linux fs.inotify.max_user_watches bounds how many can", "folder", folder, "err", err)
	}
}

// drop stops watching a folder that is gone.
func (h *hints) drop(folder string) {
	if h.watcher != nil {
		_ = h.watcher.Remove(folder) // it may have been dropped by itself
	}
}

// whole reports whether every folder is watched.
func (h *hints) whole() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.watcher != nil && !h.partial
}

func (h *hints) close() {
	if h.watcher != nil {
		_ = h.watcher.Close()
	}
	<-h.ended
}
