package journal

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// maxBookmarks bounds the cursors of one source.
const maxBookmarks = 100_000

// bookmarkStep is how many of them one transaction changes.
const bookmarkStep = 1000

// Offsets returns the cursors that a source has kept, by name.
func (j *Journal) Offsets(source string) (map[string][]byte, error) {
	cursors := map[string][]byte{}
	err := j.view(func(tx *tx) (err error) {
		if !tx.hasSource(source) {
			return nil
		}
		for k, v := range tx.table(sourceTables, string(nameKey(source))).ascend(&err, nil) {
			cursors[string(k)] = append([]byte(nil), v...)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the cursors of source %s: %w", source, err)
	}
	return cursors, nil
}

func (t *tx) hasSource(source string) bool {
	return t.Bucket([]byte(sourceTables)).Bucket(nameKey(source)) != nil
}

func (t *tx) makeSource(source string) error {
	_, err := t.Bucket([]byte(sourceTables)).CreateBucketIfNotExists(nameKey(source))
	return err
}

// KeepOffsets keeps cursors by name, and drops the names in forget. A name has
// at most 256 bytes. After an error some may be kept and others not. A source
// has at most 100,000; KeepOffsets leaves out those beyond.
func (j *Journal) KeepOffsets(ctx context.Context, source string, keep map[string][]byte, forget []string) error {
	left := 0
	for names := range slices.Chunk(forget, bookmarkStep) {
		if err := j.changeCursors(ctx, source, func(t table, _ int) error { return dropCursors(t, names) }); err != nil {
			return err
		}
	}
	for names := range slices.Chunk(slices.Sorted(maps.Keys(keep)), bookmarkStep) {
		over := 0
		err := j.changeCursors(ctx, source, func(t table, count int) (err error) {
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
func (j *Journal) changeCursors(ctx context.Context, source string, f func(t table, count int) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name := string(nameKey(source))
	err := j.commit(change{
		do: func(tx *tx) error {
			if err := tx.makeSource(source); err != nil {
				return err
			}
			count, err := tx.count(sourceTables, name)
			if err != nil {
				return err
			}
			return f(tx.table(sourceTables, name), count)
		},
		done: func() {},
	})
	if err != nil {
		return fmt.Errorf("keep the cursors of source %s: %w", source, err)
	}
	return nil
}

func dropCursors(t table, names []string) error {
	for _, name := range names {
		if err := t.delete(nameKey(name)); err != nil {
			return err
		}
	}
	return nil
}

// putCursors returns how many exceeded the bound.
func putCursors(t table, count int, names []string, values map[string][]byte) (over int, err error) {
	for _, name := range names {
		k := nameKey(name)
		if !t.has(k) {
			if count >= maxBookmarks {
				over++
				continue
			}
			count++
		}
		if err := t.put(k, values[name]); err != nil {
			return 0, err
		}
	}
	return over, nil
}
