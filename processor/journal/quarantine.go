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
)

// Bounds on the quarantine, against a flood of bad records.
const (
	maxQuarantined     = 1000
	maxQuarantineBytes = 16 << 20 // in the file
)

// Quarantined is a record in the quarantine: one that names a watched event but could not
// be read, or a message that a source no longer offers, kept for an operator to
// review.
type Quarantined struct {
	ID     string    `json:"id,omitempty"` // of origin, offset and raw; set by QuarantineRecords
	Origin string    `json:"origin"`
	Offset int64     `json:"offset"`
	Reason string    `json:"reason"`
	Err    string    `json:"err"`
	Raw    []byte    `json:"raw"`
	Source string    `json:"source,omitempty"` // of a message: the source that quarantined it
	Time   time.Time `json:"time"`             // when it was quarantined
}

// Quarantine quarantines records for the retention. It skips those that are in
// the quarantine already, and those that would make it more than a thousand, or
// 16 MiB: it returns how many these were.
func (j *Journal) Quarantine(ctx context.Context, records []Quarantined) (left int, err error) {
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
		if values[i], err = encode(r); err != nil {
			return 0, fmt.Errorf("quarantine a record of %s: %w", r.Origin, err)
		}
		keys[i] = h.Sum(nil)
	}
	err = j.commit(change{
		do: func(tx *tx) (err error) {
			left, err = quarantine(tx.table(quarantineTable), keys, values)
			return err
		},
		done: func() {
			if left > 0 {
				j.log.Warn("quarantine is full; review it with 'mfawatch quarantine list'", "left_out", left)
			}
		},
	})
	if err != nil {
		return 0, fmt.Errorf("quarantine %d records: %w", len(records), err)
	}
	return left, nil
}

// quarantine returns how many records the quarantine had no capacity for.
func quarantine(t table, keys, values [][]byte) (left int, err error) {
	kept, size := 0, 0
	for _, v := range t.ascend(&err, nil) {
		kept, size = kept+1, size+len(v)
	}
	if err != nil {
		return 0, err
	}
	for i, key := range keys {
		if t.has(key) {
			continue
		}
		if kept >= maxQuarantined || size+len(values[i]) > maxQuarantineBytes {
			left++
			continue
		}
		if err := t.put(key, values[i]); err != nil {
			return 0, err
		}
		kept, size = kept+1, size+len(values[i])
	}
	return left, nil
}

// QuarantineRecords returns the quarantined records, in no order.
func (j *Journal) QuarantineRecords() ([]Quarantined, error) {
	var records []Quarantined
	err := j.view(func(tx *tx) (err error) {
		for k, v := range tx.table(quarantineTable).ascend(&err, nil) {
			r, err := decodeAside(k, v)
			if err != nil {
				return err
			}
			records = append(records, r)
		}
		return err
	})
	return records, err
}

func decodeAside(key, value []byte) (r Quarantined, err error) {
	if err := json.Unmarshal(value, &r); err != nil || len(key) < asideID/2 {
		return r, fmt.Errorf("%w: quarantined record %x: %w", ErrDamaged, key, err)
	}
	r.ID = hex.EncodeToString(key)[:asideID]
	return r, nil
}

// asideID is the length of an ID, which is the start of the key.
const asideID = 32

// DropQuarantined removes quarantined records, by their IDs, and returns how many
// there were.
func (j *Journal) DropQuarantined(ids ...string) (dropped int, err error) {
	err = j.commit(change{
		do: func(tx *tx) (err error) {
			dropped = 0
			t := tx.table(quarantineTable)
			for _, id := range ids {
				prefix, err := hex.DecodeString(id)
				if err != nil || len(id) != asideID {
					continue
				}
				k, _ := t.b.Cursor().Seek(prefix)
				if k == nil || !bytes.HasPrefix(k, prefix) {
					continue
				}
				if err := t.delete(k); err != nil {
					return err
				}
				dropped++
			}
			return nil
		},
		done: func() {},
	})
	if err != nil {
		return 0, fmt.Errorf("drop quarantined records: %w", err)
	}
	return dropped, nil
}
