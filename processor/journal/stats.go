package journal

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// Stats counts the contents of the journal at a moment.
type Stats struct {
	Bytes       int64 // of the file
	Subjects    int   // known
	Unfolded    int   // subjects with events that are not folded yet
	Quarantined int   // quarantined records
	Sinks       map[string]SinkStats
}

// SinkStats tells how far a registered sink has come.
type SinkStats struct {
	Pending int       // alerts that it has not acked
	Oldest  time.Time // when the oldest of them was journalled; zero if there is none
	Dead    int       // dead letters
}

// Stats returns counts. It reads little of the file and waits for no commit.
func (j *Journal) Stats() (Stats, error) {
	s := Stats{Sinks: map[string]SinkStats{}}
	oldest := map[string]uint64{}
	j.mu.Lock()
	for name, c := range j.cursors {
		s.Sinks[name] = SinkStats{Pending: max(0, c.pending(j.last)), Dead: c.dead}
		oldest[name] = c.next
	}
	j.mu.Unlock()
	err := j.store.View(func(tx *store.Tx) (err error) {
		s.Bytes = tx.Size()
		for table, n := range map[string]*int{subjectTable: &s.Subjects, dirtyTable: &s.Unfolded, quarantineTable: &s.Quarantined} {
			if *n, err = tx.Count(table); err != nil {
				return err
			}
		}
		for name, st := range s.Sinks {
			if st.Pending == 0 {
				continue
			}
			key := store.NumberKey(oldest[name])
			v, err := tx.Table(alertTable).Get(key)
			if err != nil {
				return err
			}
			if v == nil {
				continue
			}
			p, _, err := splitAlert(key, v)
			if err != nil {
				return err
			}
			st.Oldest = p.Since
			s.Sinks[name] = st
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
