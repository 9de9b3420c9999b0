package journal

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/mfawatch/mfawatch/processor/journal/store"
)

// maxBookmarks bounds the cursors of one source.
const maxBookmarks = 100_000

// cursorStep is how many of them one transaction changes.
const cursorStep = 1000

// Offsets returns the cursors that a source has kept, by name.
func (j *Journal) Offsets(source string) (map[string][]byte, error) {
	cursors := map[string][]byte{}
	err := j.store.View(func(tx *store.Tx) (err error) {
		if !tx.HasMember(sourceTables, string(store.NameKey(source))) {
			return nil
		}
		for k, v := range tx.Table(sourceTables, string(store.NameKey(source))).Ascend(&err, nil) {
			cursors[string(k)] = append([]byte(nil), v...)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the cursors of source %s: %w", source, err)
	}
	return cursors, nil
}

// KeepOffsets keeps cursors by name, and drops the names in forget. A name has
// at most 256 bytes. After an error some may be kept and others not. A source
// has at most 100,000; KeepOffsets leaves out those beyond.
func (j *Journal) KeepOffsets(ctx context.Context, source string, keep map[string][]byte, forget []string) error {
	left := 0
	for names := range slices.Chunk(forget, cursorStep) {
		if err := j.changeCursors(ctx, source, func(t store.Table, _ int) error { return dropCursors(t, names) }); err != nil {
			return err
		}
	}
	for names := range slices.Chunk(slices.Sorted(maps.Keys(keep)), cursorStep) {
		over := 0
		err := j.changeCursors(ctx, source, func(t store.Table, count int) (err error) {
			over, err = putCursors(t, count, names, keep)
			return err
		})
		if err != nil {
			return err
		}
		left += over
	}
	if left > 0 {
		j.log.Warn("a source has too many cursors to keep all; after a restart it reads those parts again, which does no harm", "source", source, "left_out", left)
	}
	return nil
}

// changeCursors calls f with a source's table and the count of its entries, in a
// transaction.
func (j *Journal) changeCursors(ctx context.Context, source string, f func(t store.Table, count int) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name := string(store.NameKey(source))
	err := j.store.Commit(store.Change{
		Do: func(tx *store.Tx) error {
			if err := tx.MakeMember(sourceTables, name); err != nil {
				return err
			}
			count, err := tx.Count(sourceTables, name)
			if err != nil {
				return err
			}
			return f(tx.Table(sourceTables, name), count)
		},
	})
	if err != nil {
		return fmt.Errorf("keep the cursors of source %s: %w", source, err)
	}
	return nil
}

func dropCursors(t store.Table, names []string) error {
	for _, name := range names {
		if err := t.Delete(store.NameKey(name)); err != nil {
			return err
		}
	}
	return nil
}

// putCursors returns how many exceeded the bound.
func putCursors(t store.Table, count int, names []string, values map[string][]byte) (over int, err error) {
	for _, name := range names {
		k := store.NameKey(name)
		if !t.Has(k) {
			if count >= maxBookmarks {
				over++
				continue
			}
			count++
		}
		if err := t.Put(k, values[name]); err != nil {
			return 0, err
		}
	}
	return over, nil
}
