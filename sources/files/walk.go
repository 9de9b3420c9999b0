package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/mfawatch/mfawatch/processor/ownfile"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// stdinOrigin is the origin of standard input.
const stdinOrigin = "stdin"

// A File is one that Walk found.
type File struct {
	Path    string // to open it by; Stdin for standard input
	Regular bool   // no pipe or terminal, which may be silent for long
}

// Place returns the origin of the file: its path with forward slashes.
func (f File) Place() string {
	if f.Path == Stdin {
		return stdinOrigin
	}
	return filepath.ToSlash(f.Path)
}

// Walk lists the files of paths, in the order of paths, and those of a folder in the
// order of their names, folders within it included. It yields an error for a path that
// cannot be read, and continues.
//
// A path that is a file is listed under any name. In a folder, Walk lists the files that
// end in .json, .jsonl, .ndjson, .log, .gz, .zst or .zip, and others that begin as JSON,
// gzip or zstd. It skips names that begin with a dot. It follows a link to a file, and a
// link to a folder only if that is one of paths, so that it never goes in circles.
func Walk(paths []string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for _, path := range paths {
			if !walk(path, yield) {
				return
			}
		}
	}
}

func walk(path string, yield func(File, error) bool) bool {
	if path == Stdin {
		return yield(File{Path: Stdin}, nil)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return yield(File{Path: path}, unreadable(path, err))
	case info.IsDir():
		return walkFolder(path, yield)
	}
	return yield(File{path, info.Mode().IsRegular()}, nil)
}

func walkFolder(path string, yield func(File, error) bool) bool {
	entries, err := os.ReadDir(path) // sorted; some, where an error comes halfway
	if err != nil && !yield(File{Path: path}, unreadable(path, err)) {
		return false
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if e.IsDir() {
			if !walkFolder(name, yield) {
				return false
			}
			continue
		}
		f, listed, err := fileIn(name, e)
		if (listed || err != nil) && !yield(f, err) {
			return false
		}
	}
	return true
}

// fileIn reports whether an entry of a folder is listed. The folder says what most
// entries are, so they cost no system call.
func fileIn(path string, e fs.DirEntry) (f File, listed bool, err error) {
	kind := e.Type()
	if kind&fs.ModeSymlink != 0 {
		info, err := os.Stat(path)
		if err != nil {
			return File{Path: path}, false, unreadable(path, err)
		}
		kind = info.Mode()
	}
	if f = (File{path, kind.IsRegular()}); !f.Regular {
		return f, false, nil
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".json", ".jsonl", ".ndjson", ".log", ".gz", ".zst", ".zip":
		return f, true, nil
	}
	listed, err = looksReadable(path)
	if err != nil {
		err = unreadable(path, err)
	}
	return f, listed, err
}

// looksReadable reports whether a file begins as JSON, gzip, zstd or zip do.
func looksReadable(path string) (bool, error) {
	file, err := ownfile.OpenRegular(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return false, err
	}
	form := trail.Sniff(head[:n])
	return form == trail.FormGzip || form == trail.FormZstd || form == trail.FormJSON, nil
}

// unreadable returns err with the name of its file, once.
func unreadable(path string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	hint := ""
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = "; let the user that mfawatch runs as read it"
	case errors.Is(err, fs.ErrNotExist):
		hint = "; check the path"
	}
	return fmt.Errorf("cannot read %q: %w%s", path, err, hint)
}
