package outbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// laneNumberKey returns the key of an alert in the index by lane.
func laneNumberKey(lane string, number uint64) []byte {
	return binary.BigEndian.AppendUint64(store.NamePrefix(lane), number)
}

// laneKeys yields the keys of the alerts of a lane, the oldest first. After an error
// it stops and sets err.
func laneKeys(tx *store.Tx, lane string, err *error) iter.Seq[[]byte] {
	return func(yield func(k []byte) bool) {
		prefix := store.NamePrefix(lane)
		for k := range tx.Table(alertLaneTable).Ascend(err, prefix) {
			if !bytes.HasPrefix(k, prefix) || !yield(k[len(prefix):]) {
				return
			}
		}
	}
}

// hasAlert reports whether an alert of the lane is in the journal.
func hasAlert(tx *store.Tx, lane string) (has bool, err error) {
	for range laneKeys(tx, lane, &err) {
		return true, nil
	}
	return false, err
}

// laneAlerts yields the alerts of a lane as they lie in the file, the newest first.
// After an error it stops and sets err.
func laneAlerts(tx *store.Tx, lane string, err *error) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		keys := slices.Collect(laneKeys(tx, lane, err))
		if *err != nil {
			return
		}
		for _, key := range slices.Backward(keys) {
			v, wrong := tx.Table(alertTable).Get(key)
			if wrong == nil && v == nil {
				wrong = fmt.Errorf("%w: alert %x of the index by lane is missing", store.ErrDamaged, key)
			}
			if wrong != nil {
				*err = wrong
				return
			}
			if !yield(key, v) {
				return
			}
		}
	}
}

// numbersByID returns all numbers of each alert of a lane, the newest first: each
// retry of a dead letter gives an alert another one.
func numbersByID(tx *store.Tx, lane string) (byID map[string][]uint64, err error) {
	byID = map[string][]uint64{}
	for p := range split(laneAlerts(tx, lane, &err), &err) {
		byID[p.id] = append(byID[p.id], p.Number)
	}
	return byID, err
}

// checkAlertLanes refuses an index by lane that has not one entry for each alert.
func checkAlertLanes(tx *store.Tx) error {
	alerts, err := tx.Count(alertTable)
	if err != nil {
		return err
	}
	indexed, err := tx.Count(alertLaneTable)
	if err == nil && indexed != alerts {
		err = fmt.Errorf("%w: there are %d alerts, and the index by lane has %d", store.ErrDamaged, alerts, indexed)
	}
	return err
}
