package journal

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
)

// maxAside bounds how many records are kept aside, against a flood of bad ones.
const maxAside = 1000

// An Aside is a record that names a watched event but could not be read, kept
// for a person to look at.
type Aside struct {
	Origin string    `json:"origin"`
	Offset int64     `json:"offset"`
	Reason string    `json:"reason"`
	Err    string    `json:"err"`
	Raw    []byte    `json:"raw"`
	Time   time.Time `json:"time"` // when it was kept
}

// KeepAside keeps records that could not be read, for the retention. One that is
// kept already is skipped, and so are those beyond the first thousand.
func (j *Journal) KeepAside(ctx context.Context, records []Aside) error {
	if err := ctx.Err(); err != nil || len(records) == 0 {
		return err
	}
	now := time.Now().UTC()
	keys, values := make([][]byte, len(records)), make([][]byte, len(records))
	for i, r := range records {
		r.Time = now
		h := sha256.New()
		fmt.Fprintf(h, "%s\x00%s\x00", r.Origin, strconv.FormatInt(r.Offset, 10))
		h.Write(r.Raw)
		value, err := encode(r)
		if err != nil {
			return fmt.Errorf("keep aside a record of %s: %w", r.Origin, err)
		}
		keys[i] = h.Sum(nil)
		values[i] = seal(keys[i], value)
	}
	return j.commit(change{
		do: func(tx *bolt.Tx) error {
			b := tx.Bucket(asideBucket)
			kept := b.Stats().KeyN
			for i, key := range keys {
				if kept >= maxAside {
					break
				}
				if b.Get(key) != nil {
					continue
				}
				if err := b.Put(key, values[i]); err != nil {
					return err
				}
				kept++
			}
			return nil
		},
		done: func() {},
	})
}

// Asides returns the records that are kept aside, in no order.
func (j *Journal) Asides() ([]Aside, error) {
	var records []Aside
	err := j.view(func(tx *bolt.Tx) error {
		return tx.Bucket(asideBucket).ForEach(func(k, sealed []byte) error {
			r, err := decodeAside(k, sealed)
			records = append(records, r)
			return err
		})
	})
	return records, err
}

func decodeAside(key, sealed []byte) (r Aside, err error) {
	v, err := unseal(key, sealed)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(v, &r); err != nil {
		return r, fmt.Errorf("%w: record kept aside: %w", ErrDamaged, err)
	}
	return r, nil
}
