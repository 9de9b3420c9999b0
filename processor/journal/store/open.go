package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/mfawatch/mfawatch/processor/ownfile"
)

// minSize is that of an empty store, with the smallest pages.
const minSize = 4 * 4096

// Open opens the file, or creates one where there is none. It reads the
// whole file once and refuses one that is damaged, that Options.Load refuses, that
// has a format it does not know, or that is open in another process. It never
// changes a file that it refuses. The errors name the next step.
func (s *Store) Open() error {
	// A file cut short makes reads of its memory map fault: that has to be an
	// error and not the end of the process.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	if s.o.ChangeLog != nil {
		if err := s.openCache(); err != nil {
			return fmt.Errorf("open the cache of the journal %s: %w", s.path, err)
		}
		return nil
	}
	err := s.makeFile()
	if err == nil {
		err = s.openFile()
	}
	if err != nil {
		return fmt.Errorf("open journal %s: %w", s.path, hint(err))
	}
	return nil
}

// makeFile makes a new file where there is no file.
func (s *Store) makeFile() error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return err
	}
	_, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, link := os.Lstat(s.path); link == nil {
			return errors.New("it is a symbolic link that leads nowhere: remove the link, or name the file itself as the journal")
		}
		err = s.create()
	}
	return err
}

// openFile verifies the file and opens it.
func (s *Store) openFile() error {
	if err := s.verify(); err != nil {
		return err
	}
	db, opened, err := openStore(s.path, s.o.LockTimeout, os.O_RDWR)
	if err != nil {
		return err
	}
	err = db.View(func(t *bolt.Tx) error {
		if t.ID() != s.txid {
			return fmt.Errorf("%w, which wrote to it meanwhile", ErrInUse)
		}
		return nil
	})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	// The change log is the durable copy.
	db.NoSync = s.o.ChangeLog != nil
	s.db = db
	s.opened.Store(&opened)
	return nil
}

// openStore opens the file with flag, and returns which file that was. The store
// is read-only without os.O_RDWR.
func openStore(path string, timeout time.Duration, flag int) (db *bolt.DB, info fs.FileInfo, err error) {
	err = guard(func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout:      timeout,
			ReadOnly:     flag&os.O_RDWR == 0,
			FreelistType: bolt.FreelistMapType,
			OpenFile: func(name string, _ int, _ os.FileMode) (*os.File, error) {
				f, err := ownfile.Open(name, flag)
				if err != nil {
					return nil, err
				}
				if info, err = f.Stat(); err == nil && info.IsDir() {
					err = errors.New("it is a folder; want the file of a journal")
				} else if err == nil && flag&os.O_CREATE == 0 {
					err = checkLength(info.Size()) // bbolt would make a store of an empty file
				}
				if err == nil && flag&os.O_RDWR != 0 {
					err = ownfile.Restrict(f)
				}
				if err != nil {
					return nil, errors.Join(err, f.Close())
				}
				return f, nil
			},
		})
		return err
	})
	return db, info, err
}

func checkLength(size int64) error {
	switch {
	case size == 0:
		return fmt.Errorf("%w: the file is empty", ErrDamaged)
	case size < minSize:
		return fmt.Errorf("%w: the file is %d bytes long, less than an empty journal", ErrDamaged, size)
	}
	return nil
}

// create makes a new file beside the path and renames it when it is whole, so
// that the file at the path never is half a store.
func (s *Store) create() error {
	unfinished := s.path + ".new"
	db, _, err := openStore(unfinished, s.o.LockTimeout, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	err = guard(func() error { return db.Update(s.o.Schema.create) })
	if _, exists := os.Stat(s.path); exists == nil { // another process came first
		return errors.Join(err, db.Close())
	}
	if err != nil {
		return errors.Join(err, db.Close())
	}
	if err := os.Rename(unfinished, s.path); err != nil {
		return errors.Join(err, db.Close())
	}
	return errors.Join(db.Close(), syncDir(filepath.Dir(s.path)))
}

// create makes the tables of a file, unless an attempt that was killed before the
// rename has made them.
func (c Schema) create(t *bolt.Tx) error {
	if t.Bucket([]byte(metaTable)) != nil {
		return nil
	}
	for _, name := range c.tables() {
		if _, err := t.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	if err := t.Bucket([]byte(metaTable)).Put(formatKey, []byte(c.Format)); err != nil {
		return err
	}
	tx := NewTx(t)
	if err := tx.Table(StateTable).Put(idKey, []byte(rand.Text())); err != nil {
		return err
	}
	return tx.Flush()
}

// hint adds the next step to an error of Open.
func hint(err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%w: stop the other mfawatch, or give this one a journal of its own", ErrInUse)
	case errors.Is(err, ErrFormat):
		return fmt.Errorf("%w: start the mfawatch that wrote it, or name another file as the journal", err)
	case damages(err):
		if !errors.Is(err, ErrDamaged) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return fmt.Errorf("%w: nothing was changed; put a backup in its place, or move it away to start a new journal"+
			" (alerts that were not delivered yet are then only in CloudTrail: have its last days read again)", err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: mount it for writing, or name a file elsewhere as the journal", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: let the user that mfawatch runs as read and write the file and its folder", err)
	}
	return err
}

// damages reports whether the file is not as it was written.
func damages(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrChecksum) || errors.Is(err, berrors.ErrVersionMismatch)
}

// syncDir makes the name of a new file durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
