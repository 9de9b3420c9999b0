package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/mfawatch/mfawatch/processor/journal/boltfile"
)

// verify reads the whole file, changes nothing, and has its owner load it.
// However large the file is, verify holds little of it in memory at a time, and
// its own map of the file goes with it.
func (s *Store) verify() (err error) {
	db, _, err := openStore(s.path, s.o.LockTimeout, os.O_RDONLY) // holds the lock, and knows the size of pages
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	f, err := os.Open(s.path)
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
	c := checks{schema: s.o.Schema, buckets: map[string]bool{}, found: map[string]*tally{}, stored: map[string]tally{}}
	w := &boltfile.Walk{File: f, PageSize: db.Info().PageSize, Bucket: func(path string) { c.buckets[path] = true }, Entry: c.entry}
	if err := w.Check(size, head); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := c.verdict(); err != nil {
		return err
	}
	s.txid = int(head.TxID)
	return guard(func() error { return db.View(func(t *bolt.Tx) error { return s.load(NewTx(t)) }) })
}

// checks compares the seal of each entry and the tally of each table.
type checks struct {
	schema  Schema
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
			c.damage = cmp.Or(c.damage, Damaged(key))
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
	case c.format != c.schema.Format:
		return fmt.Errorf("%w %.50q, want %q", ErrFormat, c.format, c.schema.Format)
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
	want := c.schema.tables()
	for path := range c.buckets {
		if names := strings.Split(path, "\x00"); len(names) == 2 {
			for _, name := range c.schema.Groups[names[0]] {
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

func checkSize(tx *Tx, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return fmt.Errorf("%w: %d bytes long where %d are in use", ErrDamaged, info.Size(), tx.Size())
	}
	return nil
}

// load reads the file's identity, and has its owner read the rest.
func (s *Store) load(tx *Tx) error {
	id, err := tx.Table(StateTable).Get(idKey)
	if err != nil {
		return err
	}
	s.id = string(id)
	return s.o.Load(tx)
}
