package journal

import (
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/outbox"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// Stats counts the contents of the journal at a moment.
type Stats struct {
	Bytes       int64 // of the file
	Subjects    int   // known
	Unfolded    int   // subjects with events that are not folded yet
	Quarantined int   // quarantined records
	Sinks       map[string]outbox.SinkStats
}

// Stats returns counts. It reads little of the file and waits for no commit.
func (j *Journal) Stats() (s Stats, err error) {
	if s.Sinks, err = outbox.Stats(j.Outbox); err != nil {
		return s, err
	}
	err = j.store.View(func(tx *store.Tx) (err error) {
		s.Bytes = tx.Size()
		for table, n := range map[string]*int{subjectTable: &s.Subjects, dirtyTable: &s.Unfolded, quarantineTable: &s.Quarantined} {
			if *n, err = tx.Count(table); err != nil {
				return err
			}
		}
		return nil
	})
	return s, err
}

// Open returns the open exposures of all lanes.
func (j *Journal) Open() []exposure.Open {
	j.mu.Lock()
	defer j.mu.Unlock()
	var open []exposure.Open
	for _, o := range j.open {
		open = append(open, o...)
	}
	return open
}

// Add adds the counts of another journal.
func (s *Stats) Add(other Stats) {
	s.Bytes += other.Bytes
	s.Subjects += other.Subjects
	s.Unfolded += other.Unfolded
	s.Quarantined += other.Quarantined
	for name, o := range other.Sinks {
		sum := s.Sinks[name]
		sum.Pending += o.Pending
		sum.Dead += o.Dead
		if sum.Oldest.IsZero() || !o.Oldest.IsZero() && o.Oldest.Before(sum.Oldest) {
			sum.Oldest = o.Oldest
		}
		s.Sinks[name] = sum
	}
}
