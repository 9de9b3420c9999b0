package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// Open opens the journal in the file path, or makes a new one where there is
// no file. It reads the whole file once and refuses one that is damaged, of a
// format it does not know, or open in another process; it never changes a file
// that it refuses. The errors say what to do.
func Open(path string, o Options) (*Journal, error) {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.LockTimeout = cmp.Or(o.LockTimeout, defaultLockTimeout)
	o.Retention = cmp.Or(o.Retention, defaultRetention)
	o.CacheBytes = cmp.Or(o.CacheBytes, defaultCacheBytes)
	j := &Journal{
		log:       o.Logger,
		metrics:   newMetrics(o.Registerer),
		retention: o.Retention,
		cache:     newCache(o.CacheBytes),
		places:    map[string]*place{},

		path:        path,
		lockTimeout: o.LockTimeout,
	}
	j.update = func(f func(*bolt.Tx) error) error { return j.db.Update(f) }
	if err := j.openFile(path, o); err != nil {
		err = hint(err)
		if who := holder(path); who != "" && errors.Is(err, ErrInUse) {
			return nil, fmt.Errorf("open journal %s: %s holds it: %w", path, who, err)
		}
		return nil, fmt.Errorf("open journal %s: %w", path, err)
	}
	return j, nil
}

func (j *Journal) openFile(path string, o Options) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	before, err := os.Stat(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	if err == nil && before.Size() == 0 {
		o.Logger.Warn("the journal file is empty: starting a new journal in it", "path", path)
	}
	// A file cut short makes reads of its memory map fault; here that has to be
	// an error and not the end of the process.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	if j.db, err = openStore(path, o.LockTimeout, os.O_RDWR|os.O_CREATE); err != nil {
		return err
	}
	err = guard(func() error {
		found, err := j.verify()
		if err != nil {
			return err
		}
		return j.start(found)
	})
	if err != nil {
		return errors.Join(err, j.db.Close())
	}
	if isNew {
		return syncDir(dir)
	}
	return nil
}

func openStore(path string, timeout time.Duration, flag int) (db *bolt.DB, err error) {
	err = guard(func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout:      timeout,
			FreelistType: bolt.FreelistMapType,
			OpenFile:     func(name string, _ int, mode os.FileMode) (*os.File, error) { return os.OpenFile(name, flag, mode) },
		})
		return err
	})
	return db, err
}

// start makes what is missing in a new file, upgrades an old one, and loads what
// is held in memory.
func (j *Journal) start(found int) error {
	if found > 0 {
		if err := j.upgrade(found); err != nil {
			return err
		}
		return j.db.View(j.load)
	}
	err := j.db.Update(func(tx *bolt.Tx) error {
		for _, name := range topBuckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(metaBucket).Put(formatKey, format(version))
	})
	if err != nil {
		return err
	}
	return j.db.View(j.load)
}

// load takes from the file what is held in memory besides the cache.
func (j *Journal) load(tx *bolt.Tx) error {
	open := map[string][]exposure.Open{}
	err := tx.Bucket(accountBucket).ForEach(func(k, v []byte) error {
		r, err := decodeRecord(k, v)
		if err == nil && len(r.Open) > 0 {
			open[string(k)] = r.Open
		}
		return err
	})
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open, j.last = open, tx.Bucket(alertsBucket).Sequence()
	for name, p := range j.places {
		if b := sinkBucket(tx, name); b != nil {
			if *p, err = placeOf(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// hint adds what to do to an error of Open.
func hint(err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%w: stop the other mfawatch, or give this one a journal of its own", ErrInUse)
	case errors.Is(err, ErrFormat):
		return fmt.Errorf("%w: start the mfawatch that wrote it, or name another file as the journal", err)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
		fallthrough
	case errors.Is(err, ErrDamaged):
		return fmt.Errorf("%w: nothing was changed; put a backup in its place, or move it away to start a new journal"+
			" (what it held and was not told yet is then only in CloudTrail: have its last days read again)", err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: mount it for writing, or name a file elsewhere as the journal", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: let the user that mfawatch runs as read and write the file and its folder", err)
	}
	return err
}

// syncDir makes the name of a new file durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
