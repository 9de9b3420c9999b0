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

	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// Bounds on each room of the quarantine, against a flood of bad records. The watched
// records of a source have one, and its messages another.
const (
	maxQuarantined     = 500
	maxQuarantineBytes = 8 << 20 // in the file
)

// Quarantined is a record in the quarantine: one that names a watched event but could not
// be read, or a message that a source no longer offers, kept for an operator to
// review.
type Quarantined struct {
	ID      string    `json:"id,omitempty"` // of the room, origin, offset and raw; set by QuarantineRecords
	Origin  string    `json:"origin"`
	Offset  int64     `json:"offset"`
	Reason  string    `json:"reason"`
	Err     string    `json:"err"`
	Raw     []byte    `json:"raw"`
	Source  string    `json:"source,omitempty"`  // that read it
	Message bool      `json:"message,omitempty"` // given up by its source, which alone can read it
	Time    time.Time `json:"time"`              // when it was quarantined
}

// room returns the room of r: the end of its key.
func (r *Quarantined) room() []byte {
	h := sha256.Sum256(fmt.Appendf(nil, "%t\x00%s", r.Message, r.Source))
	return h[:roomID]
}

// roomID is the length of the room in a key, behind a hash.
const roomID = 8

// Quarantine quarantines records for the retention. It skips those that are in
// the quarantine already, and those for which their room is full: it returns how
// many these were. A room has 500 records and 8 MiB. Each source has one for watched
// records and one for messages, so none takes that of another.
func (j *Journal) Quarantine(ctx context.Context, records []Quarantined) (left int, err error) {
	if err := ctx.Err(); err != nil || len(records) == 0 {
		return 0, err
	}
	now := time.Now().UTC()
	keys, values := make([][]byte, len(records)), make([][]byte, len(records))
	for i, r := range records {
		r.ID, r.Time = "", now
		room := r.room()
		h := sha256.New()
		h.Write(room)
		fmt.Fprintf(h, "%s\x00%s\x00", r.Origin, strconv.FormatInt(r.Offset, 10))
		h.Write(r.Raw)
		if values[i], err = store.Encode(r); err != nil {
			return 0, fmt.Errorf("quarantine a record of %s: %w", r.Origin, err)
		}
		keys[i] = append(h.Sum(nil), room...)
	}
	err = j.store.Commit(store.Change{
		Do: func(tx *store.Tx) (err error) {
			left, err = quarantine(tx.Table(quarantineTable), keys, values)
			return err
		},
		Done: func() {
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

// A roomUse is how much of a room is taken.
type roomUse struct{ records, bytes int }

// quarantine returns how many records had no room.
func quarantine(t store.Table, keys, values [][]byte) (left int, err error) {
	used := make(map[string]roomUse)
	add := func(key, value []byte) {
		room := string(key[max(0, len(key)-roomID):])
		used[room] = roomUse{used[room].records + 1, used[room].bytes + len(value)}
	}
	for k, v := range t.Ascend(&err, nil) {
		add(k, v)
	}
	if err != nil {
		return 0, err
	}
	for i, key := range keys {
		if t.Has(key) {
			continue
		}
		room := used[string(key[len(key)-roomID:])]
		if room.records >= maxQuarantined || room.bytes+len(values[i]) > maxQuarantineBytes {
			left++
			continue
		}
		if err := t.Put(key, values[i]); err != nil {
			return 0, err
		}
		add(key, values[i])
	}
	return left, nil
}

// QuarantineRecords returns the quarantined records, in no order.
func (j *Journal) QuarantineRecords() ([]Quarantined, error) {
	var records []Quarantined
	err := j.store.View(func(tx *store.Tx) (err error) {
		for k, v := range tx.Table(quarantineTable).Ascend(&err, nil) {
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
		return r, fmt.Errorf("%w: quarantined record %x: %w", store.ErrDamaged, key, err)
	}
	r.ID = hex.EncodeToString(key)[:asideID]
	return r, nil
}

// asideID is the length of an ID, which is the start of the key.
const asideID = 32

// DropQuarantined removes quarantined records, by their IDs, and returns how many
// there were.
func (j *Journal) DropQuarantined(ids ...string) (dropped int, err error) {
	err = j.store.Commit(store.Change{
		Do: func(tx *store.Tx) (err error) {
			dropped = 0
			t := tx.Table(quarantineTable)
			for _, id := range ids {
				prefix, err := hex.DecodeString(id)
				if err != nil || len(id) != asideID {
					continue
				}
				k, _ := t.Cursor().Seek(prefix)
				if k == nil || !bytes.HasPrefix(k, prefix) {
					continue
				}
				if err := t.Delete(k); err != nil {
					return err
				}
				dropped++
			}
			return nil
		},
	})
	if err != nil {
		return 0, fmt.Errorf("drop quarantined records: %w", err)
	}
	return dropped, nil
}
