package service

import (
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal"
)

// A census remembers for a moment what the journal counted, since every sink
// asks for it in every scrape.
type census struct {
	mu    sync.Mutex
	at    time.Time
	last  journal.Stats
	error error
}

func (t *census) stats(j *journal.Journal) (journal.Stats, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.at) > 200*time.Millisecond {
		t.last, t.error = j.Stats()
		t.at = time.Now()
	}
	return t.last, t.error
}
