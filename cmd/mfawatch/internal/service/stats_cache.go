package service

import (
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal"
)

// A countedJournal remembers for a moment what the journal counted, since every
// sink asks for it in every scrape.
type countedJournal struct {
	*journal.Journal

	mu   sync.Mutex
	at   time.Time
	last journal.Stats
	err  error
}

// Stats returns what the journal counted at most 200 ms ago.
func (j *countedJournal) Stats() (journal.Stats, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if time.Since(j.at) > 200*time.Millisecond {
		j.last, j.err = j.Journal.Stats()
		j.at = time.Now()
	}
	return j.last, j.err
}
