package journal

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Pending lists alerts that the sink has still to be told: those whose number
// is over after, in order, at most limit of them.
func (j *Journal) Pending(sink string, after uint64, limit int) ([]Pending, error) {
	if err := j.registered(sink); err != nil {
		return nil, err
	}
	j.mu.Lock()
	first := max(after+1, j.places[sink].next)
	j.mu.Unlock()
	var pending []Pending
	err := j.view(func(tx *bolt.Tx) error {
		b := sinkBucket(tx, sink)
		gone, err := j.unregistered(tx)
		if err != nil {
			return err
		}
		done := b.Bucket(doneBucket)
		c := tx.Bucket(alertsBucket).Cursor()
		for k, v := c.Seek(numberKey(first)); k != nil && len(pending) < limit; k, v = c.Next() {
			if done.Get(k) != nil {
				continue
			}
			p, _, err := splitAlert(k, v)
			if err != nil {
				return err
			}
			p.Attempts, p.First = tried(b, k)
			r := getRef(b, p.Line)
			p.Stopped, p.Known, p.To = r.Stop, r.Known || r.Ref != "", r.To
			p.Orphan = slices.ContainsFunc(gone, func(b *bolt.Bucket) bool { return getRef(b, p.Line).Known })
			pending = append(pending, p)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("pending alerts of sink %s: %w", sink, err)
	}
	return pending, nil
}

// Load returns an alert that is pending for the sink, and the reference that
// the sink gave for its exposure, "" if it gave none.
func (j *Journal) Load(sink string, number uint64) (a *exposure.Alert, ref string, err error) {
	if err := j.registered(sink); err != nil {
		return nil, "", err
	}
	err = j.view(func(tx *bolt.Tx) (err error) {
		var p Pending
		a, p, err = getAlert(tx, number)
		ref = getRef(sinkBucket(tx, sink), p.Line).Ref
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("load alert for sink %s: %w", sink, err)
	}
	return a, ref, nil
}

// Take is Load for the sake of sending: its error is ErrDone if the sink is done
// with the alert, which another call may have seen to since Pending listed it.
func (j *Journal) Take(sink string, number uint64) (a *exposure.Alert, ref string, err error) {
	err = j.view(func(tx *bolt.Tx) error {
		b := sinkBucket(tx, sink)
		if b == nil {
			return ErrUnknownSink
		}
		if isDone(b, number) {
			return ErrDone
		}
		var p Pending
		var err error
		a, p, err = getAlert(tx, number)
		ref = getRef(b, p.Line).Ref
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("load alert for sink %s: %w", sink, err)
	}
	return a, ref, nil
}

// A Result says that a sink was told an alert.
type Result struct {
	Number uint64
	Ref    string // what the sink gave for the exposure; it replaces what is kept
	Unsent bool   // it was passed over: the reference stays as it is
	Stop   bool   // the sink is to be told no more of the exposure; then an empty Ref replaces nothing
	Open   bool   // it was not told yet: only the reference is kept
	// Known notes that the sink knows the exposure, through the recipients To;
	// nil: its own. Pending says so for as long as the reference is kept.
	Known bool
	To    []string
}

// Done notes that the sink was told the alerts. To note one twice is no error.
func (j *Journal) Done(sink string, results ...Result) error {
	now := time.Now()
	err := j.finish(sink, func(tx *bolt.Tx, b *bolt.Bucket, mark func(uint64) error) (dead int, err error) {
		for _, r := range results {
			if err := keepRef(tx, b, r, now); err != nil {
				return 0, err
			}
			if r.Open {
				continue
			}
			if err := mark(r.Number); err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
	if err != nil {
		return fmt.Errorf("note what sink %s was told: %w", sink, err)
	}
	return nil
}

// finish runs f in a transaction, where mark marks an alert as done, and moves
// the sink's place. f returns how many dead letters it added.
func (j *Journal) finish(sink string, f func(tx *bolt.Tx, b *bolt.Bucket, mark func(uint64) error) (dead int, err error)) error {
	if err := j.registered(sink); err != nil {
		return err
	}
	var next uint64
	var held, dead int
	return j.commit(change{
		do: func(tx *bolt.Tx) error {
			held = 0
			b := sinkBucket(tx, sink)
			done := b.Bucket(doneBucket)
			var err error
			dead, err = f(tx, b, func(number uint64) error {
				if isDone(b, number) {
					return nil
				}
				held++
				if err := b.Bucket(triesBucket).Delete(numberKey(number)); err != nil {
					return err
				}
				return done.Put(numberKey(number), present)
			})
			if err != nil {
				return err
			}
			var taken int
			next, taken, err = advance(b, 0)
			held -= taken
			return err
		},
		done: func() {
			j.mu.Lock()
			p := j.places[sink]
			p.next, p.held, p.dead = next, p.held+held, p.dead+dead
			j.mu.Unlock()
			j.moved.fire()
		},
	})
}

// isDone reports whether the sink is done with the alert.
func isDone(b *bolt.Bucket, number uint64) bool {
	key := numberKey(number)
	return string(b.Get(placeKey)) > string(key) || b.Bucket(doneBucket).Get(key) != nil
}

// A ref is what a sink gave for an exposure.
type ref struct {
	Ref  string    `json:"ref"`
	Time time.Time `json:"time"`           // when it was kept last
	Over bool      `json:"over,omitempty"` // the exposure is resolved
	Stop bool      `json:"stop,omitempty"` // the sink is to be told no more of it

	Known bool     `json:"known,omitempty"` // the sink was told of it, or would have been
	To    []string `json:"to,omitempty"`    // through these recipients
}

// getRef returns the zero ref where there is none.
func getRef(b *bolt.Bucket, line string) (r ref) {
	if v := b.Bucket(refsBucket).Get([]byte(line)); v != nil {
		_ = json.Unmarshal(v, &r) // a reference that cannot be read is as good as none
	}
	return r
}

func keepRef(tx *bolt.Tx, b *bolt.Bucket, r Result, now time.Time) error {
	key := numberKey(r.Number)
	sealed := tx.Bucket(alertsBucket).Get(key)
	if sealed == nil {
		return nil
	}
	p, _, err := splitAlert(key, sealed)
	if err != nil {
		return err
	}
	refs := b.Bucket(refsBucket)
	if r.Unsent && !r.Known {
		return nil
	}
	before := getRef(b, p.Line)
	keep := ref{Ref: r.Ref, Time: now, Over: p.ends && !r.Open, Stop: r.Stop, Known: before.Known, To: before.To}
	switch {
	case r.Unsent:
		keep.Ref, keep.Over, keep.Stop = before.Ref, before.Over || p.ends, before.Stop
	case r.Stop && r.Ref == "":
		keep.Ref = before.Ref
	}
	if r.Known {
		keep.Known, keep.To = true, r.To
	}
	if keep.Ref == "" && !keep.Stop && !keep.Known {
		return refs.Delete([]byte(p.Line))
	}
	v, err := encode(keep)
	if err != nil {
		return err
	}
	return refs.Put([]byte(p.Line), v)
}
