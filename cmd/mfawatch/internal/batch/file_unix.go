//go:build unix

package batch

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
)

// A file is a regular file that is opened and closed with one system call each. An
// os.File asks for more, since it might be a pipe.
type file struct {
	fd   int
	path string
}

func openFile(path string) (io.ReadCloser, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err == nil {
			return &file{fd, path}, nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

func (f *file) Read(b []byte) (int, error) {
	for {
		n, err := syscall.Read(f.fd, b[:min(len(b), 1<<30)])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 0, &fs.PathError{Op: "read", Path: f.path, Err: err}
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

func (f *file) Close() error { return syscall.Close(f.fd) }
