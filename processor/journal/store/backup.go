package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Backup writes the file, as it is at one moment, to w while it is in use. A
// slow w delays no commit, since it is sent a copy beside it, which is removed. A
// second backup meanwhile fails with ErrBackup: copies must not fill the disk that
// the journal needs.
func (s *Store) Backup(w io.Writer) (err error) {
	if !s.backup.TryLock() {
		return ErrBackup
	}
	defer s.backup.Unlock()
	copied, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".backup-*")
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
		s.file.RLock()
		defer s.file.RUnlock()
		if s.db == nil {
			return s.noFile
		}
		return s.db.View(func(t *bolt.Tx) error {
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

// Verify reads the file at path in full, and changes nothing. It returns an error
// if it is damaged, of an unknown format or in use, or if load refuses it.
func Verify(path string, schema Schema, load func(tx *Tx) error) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	err := newStore(path, Options{Schema: schema, Load: load}).verify()
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
