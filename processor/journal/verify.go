package journal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/boltfile"
)

// verify reads the whole file, changes nothing, and loads the journal from it.
// However large the file is, verify holds little of it in memory at a time, and
// its own map of the file goes with it.
func (j *Journal) verify() (err error) {
	db, _, err := openStore(j.path, j.lockTimeout, os.O_RDONLY) // holds the lock, and knows the size of pages
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	f, err := os.Open(j.path)
	if err != nil {
		return err
	}
	defer f.Close()
	// The walk jumps through the file, which takes a disk many times as long as
	// reading from start to end into the system's cache.
	size, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, 1<<20))
	if err != nil {
		return err
	}
	head, err := boltfile.ReadHead(f, db.Info().PageSize)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	var c checks
	c.buckets, c.found, c.stored = map[string]bool{}, map[string]*tally{}, map[string]tally{}
	w := &boltfile.Walk{File: f, PageSize: db.Info().PageSize, Bucket: func(path string) { c.buckets[path] = true }, Entry: c.entry}
	if err := w.Check(size, head); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := c.verdict(); err != nil {
		return err
	}
	j.txid = int(head.TxID)
	return guard(func() error { return db.View(func(t *bolt.Tx) error { return j.load(newTx(t)) }) })
}

// checks compares the seal of each entry and the tally of each table.
type checks struct {
	format  string
	buckets map[string]bool
	found   map[string]*tally
	stored  map[string]tally
	damage  error // the first

	path string // of the table that seed and sum belong to
	seed uint32
	sum  *tally
}

func (c *checks) entry(path string, key, value []byte) {
	if path == metaTable {
		switch string(key) {
		case string(formatKey):
			c.format = string(value)
		case string(positionKey):
			_, err := unseal(seedOf(metaTable), key, value)
			c.damage = cmp.Or(c.damage, err)
		default:
			c.damage = cmp.Or(c.damage, damagedEntry(key))
		}
		return
	}
	if c.sum == nil || path != c.path {
		if c.found[path] == nil {
			c.found[path] = new(tally)
		}
		c.path, c.seed, c.sum = path, seedOf(path), c.found[path]
	}
	v, err := unseal(c.seed, key, value)
	switch {
	case err != nil:
		c.damage = cmp.Or(c.damage, err)
	case path == tallyTable:
		if c.stored[string(key)], err = decodeTally(key, v); err != nil {
			c.damage = cmp.Or(c.damage, err)
		}
	default:
		c.sum.add(value)
	}
}

// verdict refuses a format that is not this version's before it looks at the
// contents, whose form is then not known.
func (c *checks) verdict() error {
	switch {
	case !c.buckets[metaTable]:
		return fmt.Errorf("%w: a store of something other than mfawatch", ErrFormat)
	case c.format != format:
		return fmt.Errorf("%w %.50q, want %q", ErrFormat, c.format, format)
	case c.damage != nil:
		return c.damage
	}
	delete(c.found, tallyTable)
	for path := range c.stored {
		if c.found[path] == nil {
			c.found[path] = new(tally)
		}
	}
	for path, sum := range c.found {
		if *sum != c.stored[path] {
			return fmt.Errorf("%w: table %q has other entries than were written: %d where %d are expected", ErrDamaged, path, sum.count, c.stored[path].count)
		}
	}
	want := append([]string{metaTable, sinkTables, sourceTables}, topTables...)
	for path := range c.buckets {
		if sink, ok := strings.CutPrefix(path, sinkTables+"\x00"); ok && !strings.Contains(sink, "\x00") {
			for _, name := range tablesOfSink {
				want = append(want, path+"\x00"+name)
			}
		}
	}
	for _, path := range want {
		if !c.buckets[path] {
			return fmt.Errorf("%w: table %q is missing", ErrDamaged, path)
		}
	}
	return nil
}

func checkSize(tx *tx, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return fmt.Errorf("%w: %d bytes long where %d are in use", ErrDamaged, info.Size(), tx.Size())
	}
	return nil
}

// load reads the part of the file that is held in memory besides the cache, and
// refuses tables that contradict each other.
func (j *Journal) load(tx *tx) error {
	state := tx.table(stateTable)
	id, err := state.get(idKey)
	if err != nil {
		return err
	}
	last, err := state.number(lastAlertKey)
	if err != nil {
		return err
	}
	open, live, err := loadRecords(tx)
	if err != nil {
		return err
	}
	if err := checkKeys(tx); err != nil {
		return err
	}
	if err := checkAlerts(tx, last); err != nil {
		return err
	}
	if err := checkDirty(tx); err != nil {
		return err
	}
	cursors, err := loadCursors(tx, last)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.id, j.open, j.live, j.last = string(id), open, live, last
	for name, c := range j.cursors {
		if stored, ok := cursors[name]; ok {
			*c = stored
		}
	}
	return nil
}

// loadRecords returns the open exposures, and the subjects that another policy
// may concern. The due times have to be those of the subjects' own records.
func loadRecords(tx *tx) (open map[string][]exposure.Open, live map[string]bool, err error) {
	open, live = map[string][]exposure.Open{}, map[string]bool{}
	due, scheduled := tx.table(dueTable), 0
	for k, v := range tx.table(recordTable).ascend(&err, nil) {
		r, err := decodeRecord(k, v)
		if err != nil {
			return nil, nil, err
		}
		if !tx.table(subjectTable).has(k) {
			return nil, nil, fmt.Errorf("%w: there is a record of subject %q, which is none", ErrDamaged, k)
		}
		if len(r.Open) > 0 {
			open[string(k)] = r.Open
		}
		if r.Live {
			live[string(k)] = true
		}
		if r.Due.IsZero() {
			continue
		}
		scheduled++
		if !due.has(dueKey(r.Due, k)) {
			return nil, nil, fmt.Errorf("%w: subject %q is due at %s and not scheduled then", ErrDamaged, k, r.Due)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	n, err := tx.count(dueTable)
	if err == nil && n != scheduled {
		err = fmt.Errorf("%w: %d subjects are scheduled and %d are due", ErrDamaged, n, scheduled)
	}
	return open, live, err
}

// checkKeys refuses keys that lead to another subject than the one that lists
// them.
func checkKeys(tx *tx) (err error) {
	index, listed := tx.table(keyTable), 0
	for name, v := range tx.table(subjectTable).ascend(&err, nil) {
		var ring keyring
		if err := json.Unmarshal(v, &ring); err != nil {
			return fmt.Errorf("%w: subject %q: %w", ErrDamaged, name, err)
		}
		for _, key := range ring.Keys {
			of, err := index.get(laneKey(subjectLane(string(name)), key))
			if err != nil {
				return err
			}
			if !bytes.Equal(of, name) {
				return fmt.Errorf("%w: key %q of subject %q leads to %q", ErrDamaged, key, name, of)
			}
		}
		listed += len(ring.Keys)
	}
	if err != nil {
		return err
	}
	n, err := tx.count(keyTable)
	if err == nil && n != listed {
		err = fmt.Errorf("%w: there are %d keys, and the subjects list %d", ErrDamaged, n, listed)
	}
	return err
}

// checkAlerts refuses numbers beyond the last alert's.
func checkAlerts(tx *tx, last uint64) (err error) {
	for k := range tx.table(alertTable).descend(&err, nil) {
		if !numbered(k, 1, last) {
			return fmt.Errorf("%w: alert %x beyond the last, %d", ErrDamaged, k, last)
		}
		break
	}
	for k, v := range tx.table(alertIDTable).ascend(&err, nil) {
		if !numbered(v, 1, last) {
			return fmt.Errorf("%w: alert %q is said to be %x, the last is %d", ErrDamaged, k, v, last)
		}
	}
	if err != nil {
		return err
	}
	return checkAlertLanes(tx)
}

func checkDirty(tx *tx) error {
	newest, err := tx.table(stateTable).number(generationKey)
	if err != nil {
		return err
	}
	for k, v := range tx.table(dirtyTable).ascend(&err, nil) {
		generation, _, err := splitMark(k, v)
		if err != nil {
			return err
		}
		if generation == 0 || generation > newest {
			return fmt.Errorf("%w: subject %q has generation %d, the newest is %d", ErrDamaged, k, generation, newest)
		}
	}
	return err
}

// loadCursors returns how far each sink has come. The numbers that a sink keeps have
// to lie between its cursor and the last alert.
func loadCursors(tx *tx, last uint64) (map[string]cursor, error) {
	cursors := map[string]cursor{}
	err := tx.eachSink(func(name string, s *sinkStore) error {
		c, err := s.load(tx, name)
		if err != nil {
			return err
		}
		cursors[name] = c
		if c.next < 1 || c.next > last+1 {
			return fmt.Errorf("%w: the cursor of sink %q is %d, the last alert is %d", ErrDamaged, name, c.next, last)
		}
		for _, t := range []struct {
			table
			name string
			low  uint64
		}{{s.done, doneTable, c.next + 1}, {s.attempts, attemptsTable, c.next}, {s.dead, deadTable, 1}, {s.deliveries, deliveryTable, 1}} {
			for k := range t.ascend(&err, nil) {
				if !numbered(k, t.low, last) {
					return fmt.Errorf("%w: sink %q: %s of alert %x, the cursor is %d and the last alert %d", ErrDamaged, name, t.name, k, c.next, last)
				}
			}
			if err != nil {
				return err
			}
		}
		for k, v := range s.refs.ascend(&err, nil) {
			if !json.Valid(v) {
				return damagedEntry(k)
			}
		}
		return err
	})
	return cursors, err
}
