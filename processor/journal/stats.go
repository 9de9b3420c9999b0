package journal

import (
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Stats is what the journal holds at a moment.
type Stats struct {
	Bytes    int64 // of the file
	Accounts int   // with a record
	Unfolded int   // accounts with events that are not folded yet
	Asides   int   // records kept aside
	Sinks    map[string]SinkStats
}

// SinkStats is how far a registered sink has come.
type SinkStats struct {
	Pending int       // alerts to be told
	Oldest  time.Time // when the oldest of them was journalled; zero if there is none
	Dead    int       // dead letters
}

// Stats counts. It reads little of the file, and takes no lock of the writers'.
func (j *Journal) Stats() (Stats, error) {
	s := Stats{Sinks: map[string]SinkStats{}}
	oldest := map[string]uint64{}
	j.mu.Lock()
	for name, p := range j.places {
		s.Sinks[name] = SinkStats{Pending: max(0, p.pending(j.last)), Dead: p.dead}
		oldest[name] = p.next
	}
	j.mu.Unlock()
	err := j.view(func(tx *bolt.Tx) error {
		s.Bytes = tx.Size()
		s.Accounts = tx.Bucket(accountBucket).Stats().KeyN
		s.Unfolded = tx.Bucket(dirtyBucket).Stats().KeyN
		s.Asides = tx.Bucket(asideBucket).Stats().KeyN
		for name, st := range s.Sinks {
			if st.Pending == 0 {
				continue
			}
			key := numberKey(oldest[name])
			if v := tx.Bucket(alertsBucket).Get(key); v != nil {
				p, _, err := splitAlert(key, v)
				if err != nil {
					return err
				}
				st.Oldest = p.Since
				s.Sinks[name] = st
			}
		}
		return nil
	})
	return s, err
}

// Open returns the exposures that are open, of all accounts.
func (j *Journal) Open() []exposure.Open {
	j.mu.Lock()
	defer j.mu.Unlock()
	var open []exposure.Open
	for _, o := range j.open {
		open = append(open, o...)
	}
	return open
}
