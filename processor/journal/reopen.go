package journal

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
)

// reopen follows a commit that failed: whether it reached the disk is for the
// file to say, and what bbolt holds in memory is not to be trusted any more. It
// makes no file where there is none. While it fails, so does every call but
// Close; each commit tries again. The caller holds j.write.
func (j *Journal) reopen() error {
	err := j.openAgain()
	if err != nil {
		return hint(err)
	}
	// Who waits for something may have it, or has to try again.
	j.appended.fire()
	j.alerted.fire()
	j.moved.fire()
	return nil
}

func (j *Journal) openAgain() (err error) {
	j.file.Lock()
	defer j.file.Unlock()
	if j.closed {
		return ErrClosed
	}
	if j.db != nil {
		err = j.db.Close()
		j.db = nil
	}
	defer func() {
		if err != nil {
			j.noFile = fmt.Errorf("the file could not be opened again: %w", err)
		}
	}()
	if err != nil {
		return err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	db, err := openStore(j.path, j.lockTimeout, os.O_RDWR)
	if err != nil {
		return err
	}
	err = guard(func() error { return db.View(j.compare) })
	if err != nil {
		return errors.Join(err, db.Close())
	}
	j.db = db
	return nil
}

// compare takes over what the file has that memory does not know of.
func (j *Journal) compare(tx *bolt.Tx) error {
	if err := checkSize(tx, j.path); err != nil {
		return err
	}
	if found, err := checkFormat(tx); err != nil || found != version {
		return errors.Join(err, fmt.Errorf("%w: it is another file than before", ErrDamaged))
	}
	if tx.ID() < j.txid {
		return nil // nothing of the commit that failed is there
	}
	j.cache.clear()
	return j.load(tx)
}
