package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// verify reads all there is, changes nothing, and returns the version of the
// format. However large the file is, little of it is held in memory at a time.
func (j *Journal) verify() (found int, err error) {
	if err := readAhead(j.path); err != nil {
		return 0, err
	}
	err = j.db.View(func(tx *bolt.Tx) error {
		if err := checkSize(tx, j.path); err != nil {
			return err
		}
		if found, err = checkFormat(tx); err != nil {
			return err
		}
		defer releasing(j.db, tx.Size())()
		var first error
		for err := range tx.Check() { // to its end, or it would hang
			first = cmp.Or(first, err)
		}
		if first != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, first)
		}
		return checkSeals(tx)
	})
	return found, err
}

// readAhead reads the file from begin to end, so that it is in the system's
// cache: faulted in through the map, page by page, it would take a disk many
// times as long.
func readAhead(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, 1<<20))
	return errors.Join(err, f.Close())
}

// releasing releases the memory of the map again and again, until the returned
// function is called.
func releasing(db *bolt.DB, size int64) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(500 * time.Microsecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				release(db, size)
				return
			case <-tick.C:
				release(db, size)
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

func checkSize(tx *bolt.Tx, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return fmt.Errorf("%w: %d bytes long where %d are in use", ErrDamaged, info.Size(), tx.Size())
	}
	return nil
}

func checkSeals(tx *bolt.Tx) error {
	check := func(b *bolt.Bucket) error {
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			_, err := unseal(k, v)
			return err
		})
	}
	for _, name := range sealedBuckets {
		if err := check(tx.Bucket(name)); err != nil {
			return err
		}
	}
	if sinks := tx.Bucket(sinksBucket); sinks != nil {
		return sinks.ForEachBucket(func(k []byte) error {
			return check(sinks.Bucket(k).Bucket(deadBucket))
		})
	}
	return nil
}
