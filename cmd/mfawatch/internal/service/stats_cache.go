package service

import (
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal"
)

// A cachedJournal caches the journal's stats briefly, since every sink reads them
// in every scrape.
type cachedJournal struct {
	*journal.Journal

	mu   sync.Mutex
	at   time.Time
	last journal.Stats
	err  error
}

// Stats returns the journal's stats of at most 200 ms ago.
func (j *cachedJournal) Stats() (journal.Stats, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if time.Since(j.at) > 200*time.Millisecond {
		j.last, j.err = j.Journal.Stats()
		j.at = time.Now()
	}
	return j.last, j.err
}
