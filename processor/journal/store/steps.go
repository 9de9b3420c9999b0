package store

import (
	"context"
	"slices"
)

// Bounds on the calls of a Finder of which one transaction of Prune removes the
// entries, and one search finds any.
const (
	pruneStep   = 1000
	pruneSearch = 100_000
)

// A Finder calls add with each entry to remove. One transaction removes all entries
// of a call.
type Finder func(tx *Tx, add func(...Removal)) error

// A Removal is a key to delete, in the table at the path.
type Removal struct {
	path []string
	key  []byte
}

// Remove returns the removal of a copy of the key.
func Remove(key []byte, path ...string) Removal { return Removal{path, slices.Clone(key)} }

// Prune removes the entries that find finds, in transactions of a bounded size.
func (s *Store) Prune(ctx context.Context, find Finder) error {
	var found [][]Removal
	err := s.View(func(tx *Tx) error {
		return find(tx, func(together ...Removal) {
			if len(found) < pruneSearch {
				found = append(found, together)
			}
		})
	})
	if err != nil {
		return err
	}
	for step := range slices.Chunk(found, pruneStep) {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.Commit(Change{Do: func(tx *Tx) error {
			for _, r := range slices.Concat(step...) {
				if err := tx.Table(r.path...).Delete(r.key); err != nil {
					return err
				}
			}
			return nil
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// stepBytes bounds a transaction of Steps.
const stepBytes = 4 << 20

// Steps collects many writes and commits them in transactions of a bounded size.
type Steps struct {
	to    *Store
	steps []func(tx *Tx) error
	size  int
}

// Steps returns an empty collection of writes.
func (s *Store) Steps() *Steps { return &Steps{to: s} }

// Put adds an entry, if it is not there, to a table that is.
func (s *Steps) Put(key, value []byte, path ...string) error {
	key, value = slices.Clone(key), slices.Clone(value)
	return s.Add(len(key)+len(value), func(tx *Tx) error {
		if t := tx.Table(path...); !t.Has(key) {
			return t.Put(key, value)
		}
		return nil
	})
}

// Add adds a write of about size bytes.
func (s *Steps) Add(size int, do func(tx *Tx) error) error {
	s.steps, s.size = append(s.steps, do), s.size+size
	if s.size < stepBytes {
		return nil
	}
	return s.Flush()
}

// Flush commits the writes that are not committed yet.
func (s *Steps) Flush() error {
	steps := s.steps
	s.steps, s.size = nil, 0
	return s.to.Commit(Change{Do: func(tx *Tx) error {
		for _, do := range steps {
			if err := do(tx); err != nil {
				return err
			}
		}
		return nil
	}})
}
