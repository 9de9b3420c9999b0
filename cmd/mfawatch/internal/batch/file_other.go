//go:build !unix

package batch

import (
	"io"
	"os"
)

func openFile(path string, _ int64) (io.ReadCloser, error) { return os.Open(path) }
