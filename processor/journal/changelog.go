package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// A ChangeLog is the durable copy of a journal outside its file. The file of a
// journal with a change log is a cache of it.
type ChangeLog interface {
	// Commit makes the batch durable, all of it or nothing, and returns the
	// position after it. After ErrRefused nothing of it is there. Any other error
	// does not say which: the journal is restored.
	Commit(b Batch) (position []byte, err error)
	// Restore calls apply with all writes after a position, in the order of their
	// commits, and with the position after them; nil is the start. It returns
	// ErrPosition if the log does not have the position (any more).
	Restore(position []byte, apply func(writes []Write, position []byte) error) error
}

// A Batch holds the changes of one transaction of the journal.
type Batch struct {
	Writes   []Write
	Messages []any          // Result.Message of the results that the transaction records
	Events   []*trail.Event // derived events of lanes that are not Options.Local
}

// A Write is an entry as it is from now on. Key holds its table and its key, so it
// is unique in the journal. Value holds a checksum of both; nil deletes the entry.
type Write struct{ Key, Value []byte }

var (
	// ErrLost is returned after a commit whose outcome is unknown, until the
	// journal was closed and opened, which restores it from its change log.
	ErrLost = errors.New("the outcome of a commit is unknown: the journal is restored from its change log")
	// ErrRefused is returned by a ChangeLog that made nothing of a batch durable.
	ErrRefused = errors.New("the change log refused the commit")
	// ErrPosition is returned by a ChangeLog that does not have a position.
	ErrPosition = errors.New("the change log does not have this position")
)

// beginStep is how many entries of a journal that begins one commit has. It is an
// empty one, or Merge made it.
const beginStep = 5000

// positionKey is the entry of metaTable that says how far the file follows the
// change log. It has a checksum.
var positionKey = []byte("position")

func writeKey(path string, key []byte) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(len(path)))) + path + string(key)
}

func splitWriteKey(b []byte) (path string, key []byte, err error) {
	if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
		return "", nil, damagedEntry(b)
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	return string(b[2:n]), b[n:], nil
}

// batch returns what the transaction changes.
func (t *tx) batch() Batch {
	b := Batch{Messages: t.messages, Events: t.events}
	for _, key := range slices.Sorted(maps.Keys(t.writes)) {
		b.Writes = append(b.Writes, Write{[]byte(key), t.writes[key]})
	}
	return b
}

// logChanges commits the transaction to the change log, just before it is
// committed to the file.
func (j *Journal) logChanges(tx *tx) error {
	if j.changeLog == nil || len(tx.writes) == 0 && len(tx.messages) == 0 && len(tx.events) == 0 {
		return nil
	}
	position, err := j.changeLog.Commit(tx.batch())
	if err != nil {
		return err
	}
	return putPosition(tx.Tx, position)
}

func putPosition(t *bolt.Tx, position []byte) error {
	return t.Bucket([]byte(metaTable)).Put(positionKey, seal(seedOf(metaTable), positionKey, position))
}

// lose ends the use of the file after a commit whose outcome is unknown. The
// caller holds j.write.
func (j *Journal) lose(cause error) error {
	j.file.Lock()
	defer j.file.Unlock()
	if j.closed {
		return ErrClosed
	}
	if j.db != nil {
		cause = errors.Join(cause, j.db.Close())
		j.db, j.noFile = nil, fmt.Errorf("%w: %w", ErrLost, cause)
		close(j.lost)
	}
	return j.noFile
}

// Lost returns a channel that is closed when every method fails with ErrLost. Only
// a journal with a change log gets lost.
func (j *Journal) Lost() <-chan struct{} { return j.lost }

// openCache opens the file after it has caught up with the change log. A file that
// cannot is discarded and made from the whole change log.
func (j *Journal) openCache() error {
	err := j.catchUp()
	if !errors.Is(err, ErrPosition) && !errors.Is(err, ErrFormat) && !damages(err) {
		return err
	}
	j.log.Warn("the cache of the journal is discarded; it is restored from the change log", "path", j.path, "err", err)
	for _, path := range []string{j.path, j.path + ".new"} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return j.catchUp()
}

func (j *Journal) catchUp() error {
	if err := j.makeFile(); err != nil {
		return err
	}
	db, _, err := openStore(j.path, j.lockTimeout, os.O_RDWR)
	if err != nil {
		return err
	}
	db.NoSync = true
	err = guard(func() error { return j.restore(db) })
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	return j.openFile()
}

// restore applies the changes after the file's position. If there are none at all,
// the journal begins: its first entries go to the change log.
func (j *Journal) restore(db *bolt.DB) error {
	var position []byte
	err := db.View(func(t *bolt.Tx) error {
		meta := t.Bucket([]byte(metaTable))
		if meta == nil || string(meta.Get(formatKey)) != format {
			return fmt.Errorf("%w of the cache", ErrFormat)
		}
		sealed := meta.Get(positionKey)
		if sealed == nil {
			return nil
		}
		v, err := unseal(seedOf(metaTable), positionKey, sealed)
		position = bytes.Clone(v)
		return err
	})
	if err != nil {
		return err
	}
	begun := position != nil
	err = j.changeLog.Restore(position, func(writes []Write, position []byte) error {
		begun = true
		return db.Update(func(t *bolt.Tx) error {
			for _, w := range writes {
				if err := apply(t, w); err != nil {
					return err
				}
			}
			return putPosition(t, position)
		})
	})
	if err != nil || begun {
		return err
	}
	return db.Update(func(t *bolt.Tx) (err error) {
		for writes := range slices.Chunk(entries(t), beginStep) {
			if position, err = j.changeLog.Commit(Batch{Writes: writes}); err != nil {
				return err
			}
		}
		return putPosition(t, position)
	})
}

// apply repeats a write. It trusts nothing: Open checks the file afterwards.
func apply(t *bolt.Tx, w Write) error {
	path, key, err := splitWriteKey(w.Key)
	if err != nil {
		return err
	}
	if path == metaTable && string(w.Value) != format {
		return fmt.Errorf("%w %.50q of the change log, want %q: run the same version on every replica", ErrFormat, w.Value, format)
	}
	names := strings.Split(path, "\x00")
	b, err := t.CreateBucketIfNotExists([]byte(names[0]))
	for _, name := range names[1:] {
		if err == nil {
			b, err = b.CreateBucketIfNotExists([]byte(name))
		}
	}
	if err == nil && names[0] == sinkTables && len(names) == 3 {
		err = makeSinkTables(t, names[1])
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: table %.100q: %w", ErrDamaged, path, err)
	case w.Value == nil:
		return b.Delete(key)
	}
	return b.Put(key, w.Value)
}

// makeSinkTables makes the tables of a sink that have no entry.
func makeSinkTables(t *bolt.Tx, sink string) error {
	b, err := t.Bucket([]byte(sinkTables)).CreateBucketIfNotExists([]byte(sink))
	for _, table := range tablesOfSink {
		if err == nil {
			_, err = b.CreateBucketIfNotExists([]byte(table))
		}
	}
	return err
}

// entries returns all entries of the file, except its position.
func entries(t *bolt.Tx) (writes []Write) {
	var walk func(path string, b *bolt.Bucket)
	walk = func(path string, b *bolt.Bucket) {
		_ = b.ForEach(func(k, v []byte) error {
			switch {
			case v == nil:
				walk(path+"\x00"+string(k), b.Bucket(k))
			case path != metaTable || !bytes.Equal(k, positionKey):
				writes = append(writes, Write{[]byte(writeKey(path, k)), bytes.Clone(v)})
			}
			return nil
		})
	}
	_ = t.ForEach(func(name []byte, b *bolt.Bucket) error {
		walk(string(name), b)
		return nil
	})
	return writes
}

// EncodeEvent returns the event as the journal keeps it, for DecodeEvent.
func EncodeEvent(e *trail.Event) ([]byte, error) {
	entry, err := newEntry(e)
	return entry.value, err
}

// DecodeEvent returns the event that was encoded. It refuses what is no event.
func DecodeEvent(value []byte) (*trail.Event, error) {
	e := new(trail.Event)
	if err := json.Unmarshal(value, e); err != nil {
		return nil, fmt.Errorf("not an event: %w", err)
	}
	if e.ID == "" || e.Name == "" || e.Account == "" {
		return nil, errors.New("not an event: no id, name or account")
	}
	return e, nil
}
