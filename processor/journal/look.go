package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Latest returns the newest alerts, at most limit, the newest first.
func (j *Journal) Latest(limit int) ([]*exposure.Alert, error) {
	return j.look(limit, func(Pending) bool { return true })
}

// Story returns the alerts of an exposure that are kept, at most limit, the
// newest first. It reads through all alerts that are kept: it is for people.
func (j *Journal) Story(id string, limit int) ([]*exposure.Alert, error) {
	line := string(nameKey(id))
	return j.look(limit, func(p Pending) bool { return p.Line == line })
}

func (j *Journal) look(limit int, want func(Pending) bool) ([]*exposure.Alert, error) {
	var bodies [][]byte
	err := j.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(alertsBucket).Cursor()
		for k, v := c.Last(); k != nil && len(bodies) < limit; k, v = c.Prev() {
			p, body, err := splitAlert(k, v)
			if err != nil {
				return err
			}
			if want(p) {
				bodies = append(bodies, slices.Clone(body))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look at alerts: %w", err)
	}
	var alerts []*exposure.Alert
	for _, body := range bodies {
		a := new(exposure.Alert)
		if err := json.Unmarshal(body, a); err != nil {
			return nil, fmt.Errorf("%w: an alert: %w", ErrDamaged, err)
		}
		alerts = append(alerts, a)
	}
	return alerts, nil
}

// Announced returns the entries of expected changes that alerts which are kept
// name. It reads through all of them.
func (j *Journal) Announced() (map[string]bool, error) {
	entries := map[string]bool{}
	err := j.view(func(tx *bolt.Tx) error {
		return tx.Bucket(alertsBucket).ForEach(func(k, v []byte) error {
			_, body, err := splitAlert(k, v)
			if err != nil || !bytes.Contains(body, []byte(`"expected":{`)) {
				return err
			}
			var a struct {
				Expected *exposure.AlertExpected `json:"expected"`
			}
			if err := json.Unmarshal(body, &a); err != nil {
				return fmt.Errorf("%w: alert %x: %w", ErrDamaged, k, err)
			}
			if a.Expected != nil {
				entries[a.Expected.Entry] = true
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("look at alerts: %w", err)
	}
	return entries, nil
}
