package journal

import (
	"context"
	"fmt"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// bookmarksBucket holds a bucket for each source that keeps its place here: name
// → value, sealed. It is made with the first of them, and a journal without it is
// none the worse. The sequence of a source's bucket is how many it holds.
var bookmarksBucket = []byte("bookmarks")

// maxBookmarks bounds those of one source.
const maxBookmarks = 100_000

// bookmarkStep is how many of them one transaction changes.
const bookmarkStep = 1000

// Bookmarks returns what a source has kept of where it is, by name. One that is
// damaged is left out: what it was about is then read again.
func (j *Journal) Bookmarks(source string) (map[string][]byte, error) {
	marks := map[string][]byte{}
	err := j.view(func(tx *bolt.Tx) error {
		all := tx.Bucket(bookmarksBucket)
		if all == nil || all.Bucket(nameKey(source)) == nil {
			return nil
		}
		return all.Bucket(nameKey(source)).ForEach(func(k, sealed []byte) error {
			if v, err := unseal(k, sealed); err == nil {
				marks[string(k)] = append([]byte(nil), v...)
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the places of source %s: %w", source, err)
	}
	return marks, nil
}

// KeepBookmarks keeps values by name, and forgets names. Names are at most 256
// bytes long. On an error some may be kept and others not. A source keeps 100,000;
// those over it are not kept.
func (j *Journal) KeepBookmarks(ctx context.Context, source string, keep map[string][]byte, forget []string) error {
	left := 0
	for names := range slices.Chunk(forget, bookmarkStep) {
		if err := j.bookmark(ctx, source, func(b *bolt.Bucket) error { return dropBookmarks(b, names) }); err != nil {
			return err
		}
	}
	for names := range slices.Chunk(slices.Sorted(maps.Keys(keep)), bookmarkStep) {
		over := 0
		err := j.bookmark(ctx, source, func(b *bolt.Bucket) (err error) {
			over, err = putBookmarks(b, names, keep)
			return err
		})
		if err != nil {
			return err
		}
		left += over
	}
	if left > 0 {
		j.log.Warn("no room to keep more places of a source; what they are about is read again after a restart, which does no harm", "source", source, "left_out", left)
	}
	return nil
}

// bookmark changes a source's bucket in a transaction.
func (j *Journal) bookmark(ctx context.Context, source string, f func(b *bolt.Bucket) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := j.commit(change{
		do: func(tx *bolt.Tx) error {
			all, err := tx.CreateBucketIfNotExists(bookmarksBucket)
			if err != nil {
				return err
			}
			b, err := all.CreateBucketIfNotExists(nameKey(source))
			if err != nil {
				return err
			}
			return f(b)
		},
		done: func() {},
	})
	if err != nil {
		return fmt.Errorf("keep the places of source %s: %w", source, err)
	}
	return nil
}

func dropBookmarks(b *bolt.Bucket, names []string) error {
	kept := b.Sequence()
	for _, name := range names {
		k := nameKey(name)
		if b.Get(k) == nil {
			continue
		}
		if err := b.Delete(k); err != nil {
			return err
		}
		kept--
	}
	return b.SetSequence(kept)
}

// putBookmarks returns how many there was no room for.
func putBookmarks(b *bolt.Bucket, names []string, values map[string][]byte) (over int, err error) {
	kept := b.Sequence()
	for _, name := range names {
		k := nameKey(name)
		if b.Get(k) == nil {
			if kept >= maxBookmarks {
				over++
				continue
			}
			kept++
		}
		if err := b.Put(k, seal(k, values[name])); err != nil {
			return 0, err
		}
	}
	return over, b.SetSequence(kept)
}
