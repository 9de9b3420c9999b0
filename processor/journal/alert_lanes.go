package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
)

// laneNumberKey returns the key of an alert in the index by lane.
func laneNumberKey(lane string, number uint64) []byte {
	return binary.BigEndian.AppendUint64(namePrefix(lane), number)
}

// laneAlerts yields the alerts of a lane as they lie in the file, the newest first.
// After an error it stops and sets err.
func laneAlerts(tx *tx, lane string, err *error) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		var keys [][]byte
		prefix := namePrefix(lane)
		for k := range tx.table(alertLaneTable).ascend(err, prefix) {
			if !bytes.HasPrefix(k, prefix) {
				break
			}
			keys = append(keys, k[len(prefix):])
		}
		for _, key := range slices.Backward(keys) {
			if *err != nil {
				return
			}
			v, wrong := tx.table(alertTable).get(key)
			if wrong == nil && v == nil {
				wrong = fmt.Errorf("%w: alert %x of the index by lane is missing", ErrDamaged, key)
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
func numbersByID(tx *tx, lane string) (byID map[string][]uint64, err error) {
	byID = map[string][]uint64{}
	for k, v := range laneAlerts(tx, lane, &err) {
		p, _, err := splitAlert(k, v)
		if err != nil {
			return nil, err
		}
		byID[p.id] = append(byID[p.id], p.Number)
	}
	return byID, err
}

// checkAlertLanes refuses an index by lane that has not one entry for each alert.
func checkAlertLanes(tx *tx) error {
	alerts, err := tx.count(alertTable)
	if err != nil {
		return err
	}
	indexed, err := tx.count(alertLaneTable)
	if err == nil && indexed != alerts {
		err = fmt.Errorf("%w: there are %d alerts, and the index by lane has %d", ErrDamaged, alerts, indexed)
	}
	return err
}
