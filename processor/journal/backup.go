package journal

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Backup writes the journal, as it is at one moment, to w while it is in use. A
// slow w delays no commit, since it is sent a copy beside the journal, which is
// removed. A second backup meanwhile fails with ErrBackup: copies must not fill the
// disk that the journal needs.
func (j *Journal) Backup(w io.Writer) (err error) {
	if !j.backup.TryLock() {
		return ErrBackup
	}
	defer j.backup.Unlock()
	copied, err := os.CreateTemp(filepath.Dir(j.path), filepath.Base(j.path)+".backup-*")
	if err != nil {
		return fmt.Errorf("copy the journal: %w", err)
	}
	nameless := os.Remove(copied.Name()) == nil // nothing is left after a kill; not on Windows
	defer func() {
		err = errors.Join(err, copied.Close())
		if !nameless {
			err = errors.Join(err, os.Remove(copied.Name()))
		}
	}()
	err = explain(guard(func() error {
		j.file.RLock()
		defer j.file.RUnlock()
		if j.db == nil {
			return j.noFile
		}
		return j.db.View(func(t *bolt.Tx) error {
			_, err := t.WriteTo(copied)
			return err
		})
	}))
	if err == nil {
		_, err = copied.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("copy the journal: %w", err)
	}
	_, err = io.Copy(w, copied)
	return err
}

// Verify reads the journal at path in full, and changes nothing. It returns an
// error if it is damaged, of an unknown format or in use.
func Verify(path string) error {
	j := &Journal{
		log:         slog.New(slog.DiscardHandler),
		metrics:     newMetrics(nil),
		retention:   defaultRetention,
		cache:       newCache(defaultCacheBytes),
		cursors:     map[string]*cursor{},
		path:        path,
		lockTimeout: time.Second,
	}
	if _, err := os.Stat(path); err != nil {
		return err
	}
	err := j.verify()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, berrors.ErrTimeout):
		err = ErrInUse
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return fmt.Errorf("verify journal %s: %w", path, err)
}
