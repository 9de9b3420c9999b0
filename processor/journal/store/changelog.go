package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// A ChangeLog is the durable copy of a store outside its file. The file of a store
// with a change log is a cache of it.
type ChangeLog interface {
	// Commit makes the batch durable, all of it or nothing, and returns the
	// position after it. After ErrRefused nothing of it is there. Any other error
	// does not say which: the store is restored.
	Commit(b Batch) (position []byte, err error)
	// Restore calls apply with all writes after a position, in the order of their
	// commits, and with the position after them; nil is the start. It returns
	// ErrPosition if the log does not have the position (any more).
	Restore(position []byte, apply func(writes []Write, position []byte) error) error
}

// A Batch holds the changes of one transaction.
type Batch struct {
	Writes   []Write
	Messages []any          // that the change log sends with it
	Events   []*trail.Event // of lanes that other journals fold
}

// A Write is an entry as it is from now on. Key holds its table and its key, so it
// is unique in the store. Value holds a checksum of both; nil deletes the entry.
type Write struct{ Key, Value []byte }

var (
	// ErrLost is returned after a commit whose outcome is unknown, until the
	// store was closed and opened, which restores it from its change log.
	ErrLost = errors.New("the outcome of a commit is unknown: the journal is restored from its change log")
	// ErrRefused is returned by a ChangeLog that made nothing of a batch durable.
	ErrRefused = errors.New("the change log refused the commit")
	// ErrContents is an ErrRefused for what the batch holds: another one may pass.
	ErrContents = fmt.Errorf("%w for its contents", ErrRefused)
	// ErrRejected is an ErrContents that a retry does not mend.
	ErrRejected = fmt.Errorf("%w permanently", ErrContents)
	// ErrPosition is returned by a ChangeLog that does not have a position.
	ErrPosition = errors.New("the change log does not have this position")
)

// writeSize is about what a Write takes in memory beside its key and its value.
const writeSize = 512

// WriteKey returns the key of a Write: the table at a path, and the key in it.
func WriteKey(path string, key []byte) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(len(path)))) + path + string(key)
}

func splitKey(b []byte) (path string, key []byte, err error) {
	if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
		return "", nil, Damaged(b)
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	return string(b[2:n]), b[n:], nil
}

// batch returns what the transaction changes.
func (t *Tx) batch() Batch {
	b := Batch{Messages: t.Messages, Events: t.Events}
	for _, key := range slices.Sorted(maps.Keys(t.writes)) {
		b.Writes = append(b.Writes, Write{[]byte(key), t.writes[key]})
	}
	return b
}

// logChanges commits the transaction to the change log, just before it is
// committed to the file.
func (s *Store) logChanges(tx *Tx) error {
	started := time.Now()
	defer func() { s.logTime = time.Since(started) }()
	if s.o.ChangeLog == nil || len(tx.writes) == 0 && len(tx.Messages) == 0 && len(tx.Events) == 0 {
		return nil
	}
	position, err := s.o.ChangeLog.Commit(tx.batch())
	if err != nil {
		return err
	}
	return putPosition(tx.Tx, position)
}

func putPosition(t *bolt.Tx, position []byte) error {
	return t.Bucket([]byte(metaTable)).Put(positionKey, Seal(metaTable, positionKey, position))
}

// lose ends the use of the file after a commit whose outcome is unknown. The
// caller holds s.write.
func (s *Store) lose(cause error) error {
	s.file.Lock()
	defer s.file.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.db != nil {
		cause = errors.Join(cause, s.db.Close())
		s.db, s.noFile = nil, fmt.Errorf("%w: %w", ErrLost, cause)
		close(s.lost)
	}
	return s.noFile
}

// Lost returns a channel that is closed when every method fails with ErrLost. Only
// a journal with a change log gets lost.
func (s *Store) Lost() <-chan struct{} { return s.lost }

// openCache opens the file after it has caught up with the change log. A file that
// cannot is discarded and made from the whole change log.
func (s *Store) openCache() error {
	err := s.catchUp()
	if !errors.Is(err, ErrPosition) && !errors.Is(err, ErrFormat) && !damages(err) {
		return err
	}
	s.o.Logger.Warn("the cache of the journal is discarded; it is restored from the change log", "path", s.path, "err", err)
	for _, path := range []string{s.path, s.path + ".new"} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return s.catchUp()
}

func (s *Store) catchUp() error {
	if err := s.makeFile(); err != nil {
		return err
	}
	db, _, err := openStore(s.path, s.o.LockTimeout, os.O_RDWR)
	if err != nil {
		return err
	}
	db.NoSync = true
	err = guard(func() error { return s.restore(db) })
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	return s.openFile()
}

// restore applies the changes after the file's position. If there are none at all,
// the journal begins: its first entries go to the change log.
func (s *Store) restore(db *bolt.DB) error {
	var position []byte
	err := db.View(func(t *bolt.Tx) error {
		meta := t.Bucket([]byte(metaTable))
		if meta == nil || string(meta.Get(formatKey)) != s.o.Schema.Format {
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
	err = s.o.ChangeLog.Restore(position, func(writes []Write, position []byte) error {
		begun = true
		return db.Update(func(t *bolt.Tx) error {
			for _, w := range writes {
				if err := s.o.Schema.apply(t, w); err != nil {
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
		var writes []Write
		size := 0
		commit := func() {
			if err == nil && len(writes) > 0 {
				position, err = s.o.ChangeLog.Commit(Batch{Writes: writes})
			}
			writes, size = nil, 0
		}
		for w := range Entries(t) {
			writes, size = append(writes, w), size+len(w.Key)+len(w.Value)+writeSize
			if size >= stepBytes {
				commit()
			}
			if err != nil {
				return err
			}
		}
		if commit(); err != nil {
			return err
		}
		return putPosition(t, position)
	})
}

// apply repeats a write. It trusts nothing: Open checks the file afterwards.
func (c Schema) apply(t *bolt.Tx, w Write) error {
	path, key, err := splitKey(w.Key)
	if err != nil {
		return err
	}
	if path == metaTable && string(w.Value) != c.Format {
		return fmt.Errorf("%w %.50q of the change log, want %q: run the same version on every replica", ErrFormat, w.Value, c.Format)
	}
	names := strings.Split(path, "\x00")
	b, err := t.CreateBucketIfNotExists([]byte(names[0]))
	for _, name := range names[1:] {
		if err == nil {
			b, err = b.CreateBucketIfNotExists([]byte(name))
		}
	}
	if err == nil && len(names) == 3 { // a member's tables may have no entry
		err = makeMember(t, names[0], names[1], c.Groups[names[0]])
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: table %.100q: %w", ErrDamaged, path, err)
	case w.Value == nil:
		return b.Delete(key)
	}
	return b.Put(key, w.Value)
}

// Entries yields all entries of the file, except its position.
func Entries(t *bolt.Tx) iter.Seq[Write] {
	return func(yield func(Write) bool) {
		var walk func(path string, c *bolt.Cursor, in func(name []byte) *bolt.Bucket) bool
		walk = func(path string, c *bolt.Cursor, in func(name []byte) *bolt.Bucket) bool {
			for k, v := c.First(); k != nil; k, v = c.Next() {
				more := true
				switch {
				case v == nil:
					b := in(k)
					more = walk(strings.TrimPrefix(path+"\x00"+string(k), "\x00"), b.Cursor(), b.Bucket)
				case path != metaTable || !bytes.Equal(k, positionKey):
					more = yield(Write{[]byte(WriteKey(path, k)), bytes.Clone(v)})
				}
				if !more {
					return false
				}
			}
			return true
		}
		walk("", t.Cursor(), t.Bucket)
	}
}
