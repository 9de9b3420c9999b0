package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Bounds on the records that are kept aside, against a flood of bad ones.
const (
	maxAside      = 1000
	maxAsideBytes = 16 << 20 // in the file
)

// An Aside is a record that names a watched event but could not be read, or a
// message that a source gave up, kept for a person to look at.
type Aside struct {
	ID     string    `json:"id,omitempty"` // of origin, offset and raw; set by Asides
	Origin string    `json:"origin"`
	Offset int64     `json:"offset"`
	Reason string    `json:"reason"`
	Err    string    `json:"err"`
	Raw    []byte    `json:"raw"`
	Source string    `json:"source,omitempty"` // of a message: which source gave it up
	Time   time.Time `json:"time"`             // when it was kept
}

// KeepAside keeps what could not be read, for the retention. What is kept
// already is skipped, and so are those that would make it more than a thousand,
// or 16 MiB: how many they were is returned.
func (j *Journal) KeepAside(ctx context.Context, records []Aside) (left int, err error) {
	if err := ctx.Err(); err != nil || len(records) == 0 {
		return 0, err
	}
	now := time.Now().UTC()
	keys, values := make([][]byte, len(records)), make([][]byte, len(records))
	for i, r := range records {
		r.ID, r.Time = "", now
		h := sha256.New()
		fmt.Fprintf(h, "%s\x00%s\x00", r.Origin, strconv.FormatInt(r.Offset, 10))
		h.Write(r.Raw)
		value, err := encode(r)
		if err != nil {
			return 0, fmt.Errorf("keep aside a record of %s: %w", r.Origin, err)
		}
		keys[i] = h.Sum(nil)
		values[i] = seal(keys[i], value)
	}
	err = j.commit(change{
		do: func(tx *bolt.Tx) error {
			b := tx.Bucket(asideBucket)
			kept, size := 0, 0
			c := b.Cursor()
			for k, v := c.First(); k != nil; k, v = c.Next() {
				kept, size = kept+1, size+len(v)
			}
			left = 0
			for i, key := range keys {
				if b.Get(key) != nil {
					continue
				}
				if kept >= maxAside || size+len(values[i]) > maxAsideBytes {
					left++
					continue
				}
				if err := b.Put(key, values[i]); err != nil {
					return err
				}
				kept, size = kept+1, size+len(values[i])
			}
			return nil
		},
		done: func() {
			if left > 0 {
				j.log.Warn("no room to keep more unreadable records aside: see to those that are there with 'mfawatch quarantine'", "left_out", left)
			}
		},
	})
	if err != nil {
		return 0, err
	}
	return left, nil
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
	r.ID = hex.EncodeToString(key)[:asideID]
	return r, nil
}

// asideID is the length of an ID, the begin of the key.
const asideID = 32

// DropAsides removes records that were kept aside, by their IDs, and returns how
// many were there.
func (j *Journal) DropAsides(ids ...string) (dropped int, err error) {
	err = j.commit(change{
		do: func(tx *bolt.Tx) error {
			dropped = 0
			b := tx.Bucket(asideBucket)
			for _, id := range ids {
				prefix, err := hex.DecodeString(id)
				if err != nil || len(id) != asideID {
					continue
				}
				k, _ := b.Cursor().Seek(prefix)
				if k == nil || !bytes.HasPrefix(k, prefix) {
					continue
				}
				if err := b.Delete(k); err != nil {
					return err
				}
				dropped++
			}
			return nil
		},
		done: func() {},
	})
	if err != nil {
		return 0, fmt.Errorf("drop records kept aside: %w", err)
	}
	return dropped, nil
}
