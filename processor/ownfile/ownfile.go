// Package ownfile opens the files that hold raw records: for their owner alone, and
// never through a symbolic link to nothing, which another user may have laid.
package ownfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Open is os.OpenFile with mode 0600, except that it makes no file where a link
// leads.
func Open(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag&^os.O_CREATE, 0)
	if errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0 {
		f, err = os.OpenFile(path, flag|os.O_EXCL, 0o600)
		if _, link := os.Readlink(path); errors.Is(err, fs.ErrExist) && link == nil {
			err = fmt.Errorf("%s is a symbolic link that leads nowhere: remove the link, or name the file itself", path)
		}
	}
	return f, err
}

// Restrict sets the mode of a regular file to 0600, once the caller knows that the
// file is its own.
func Restrict(f *os.File) error {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() == 0o600 {
		return err
	}
	if err := f.Chmod(0o600); err != nil {
		return fmt.Errorf("set the mode of %s to 0600, since it holds raw records: %w", f.Name(), err)
	}
	return nil
}
