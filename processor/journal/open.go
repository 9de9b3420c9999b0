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

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// format names what the file holds and the version of how.
const format = "mfawatch.journal/1"

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
		retention: o.Retention,
		cache:     newCache(o.CacheBytes),
		places:    map[string]*place{},
	}
	if err := j.openFile(path, o); err != nil {
		return nil, fmt.Errorf("open journal %s: %w", path, hint(err))
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
	err = guard(func() (err error) {
		j.db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: o.LockTimeout, FreelistType: bolt.FreelistMapType})
		return err
	})
	if err != nil {
		return err
	}
	j.update = j.db.Update
	err = guard(func() error {
		if err := j.verify(path); err != nil {
			return err
		}
		return j.start()
	})
	if err != nil {
		return errors.Join(err, j.db.Close())
	}
	if isNew {
		return syncDir(dir)
	}
	return nil
}

// verify reads all there is, and changes nothing.
func (j *Journal) verify(path string) error {
	return j.db.View(func(tx *bolt.Tx) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Size() < tx.Size() {
			return fmt.Errorf("%w: %d bytes long where %d are in use", ErrDamaged, info.Size(), tx.Size())
		}
		if err := checkFormat(tx); err != nil {
			return err
		}
		var first error
		for err := range tx.Check() { // to its end, or it would hang
			first = cmp.Or(first, err)
		}
		if first != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, first)
		}
		return checkSeals(tx)
	})
}

// checkFormat accepts this version's format, and a store with nothing in it.
func checkFormat(tx *bolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		if name, _ := tx.Cursor().First(); name != nil {
			return fmt.Errorf("%w: a store of something else than mfawatch", ErrFormat)
		}
		return nil
	}
	if got := string(meta.Get(formatKey)); got != format {
		return fmt.Errorf("%w %q, want %q", ErrFormat, got, format)
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

// start makes what is missing in a new file, and loads what is held in memory.
func (j *Journal) start() error {
	isNew := false
	err := j.db.View(func(tx *bolt.Tx) error {
		isNew = tx.Bucket(metaBucket) == nil
		return nil
	})
	if err != nil {
		return err
	}
	if isNew {
		err := j.db.Update(func(tx *bolt.Tx) error {
			for _, name := range topBuckets {
				if _, err := tx.CreateBucket(name); err != nil {
					return err
				}
			}
			return tx.Bucket(metaBucket).Put(formatKey, []byte(format))
		})
		if err != nil {
			return err
		}
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
