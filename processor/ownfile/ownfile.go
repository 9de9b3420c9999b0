// Package ownfile opens files of the service: those that hold raw records for their
// owner alone, and never through a symbolic link to nothing, which another user may
// have laid; those that are read in full only if they end.
package ownfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
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

// OpenRegular opens a regular file for reading. It refuses a named pipe, to which no
// program may ever write, and a device, which may never end, without waiting.
func OpenRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("it is %s; want a regular file", kind(info.Mode()))}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	}
	return "a device"
}

// ReadRegular reads a regular file of at most limit bytes.
func ReadRegular(path string, limit int64) ([]byte, error) {
	f, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f, limit)
}

// ReadAll reads at most limit bytes, which have to be all.
func ReadAll(r io.Reader, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(text)) > limit {
		return nil, fmt.Errorf("it has more than %d bytes", limit)
	}
	return text, err
}
