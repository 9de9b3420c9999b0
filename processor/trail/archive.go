package trail

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mfawatch/mfawatch/processor/trail/inflate"
)

const (
	// maxArchive is how long a zip archive may be, which is read into memory as a
	// whole: its directory stands at its end. One within another may have half.
	maxArchive = 16 << 20
	// maxEntries is how many files it may hold.
	maxEntries = 10_000
)

var (
	errArchive   = fmt.Errorf("a zip archive over %d MiB: unpack it first", maxArchive>>20)
	errEntries   = fmt.Errorf("a zip archive of more than %d files: unpack it first", maxEntries)
	errEncrypted = errors.New("a file in the zip archive is encrypted: unpack it first")
)

// readArchive scans the files of the zip archive that r holds.
func (s *Scanner) readArchive(r io.Reader) {
	b, err := io.ReadAll(io.LimitReader(r, maxArchive>>s.depth+1))
	switch {
	case s.input.err != nil: // it will be offered again
	case err != nil:
		s.unreadable(0, inflateReason(err), err, nil)
	default:
		s.archive(b)
	}
}

// archive scans the files of the zip archive b, each a document of its own.
func (s *Scanner) archive(b []byte) {
	if len(b) > maxArchive>>s.depth {
		s.unreadable(0, ReasonTooLarge, errArchive, nil)
		return
	}
	if bytes.Count(b, []byte("PK\x01\x02")) > maxEntries {
		s.unreadable(0, ReasonTooLarge, errEntries, nil)
		return
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		s.unreadable(0, ReasonCorrupt, fmt.Errorf("cannot read the zip archive: %w", err), nil)
		return
	}
	z.RegisterDecompressor(zip.Deflate, func(r io.Reader) io.ReadCloser {
		return io.NopCloser(inflate.NewReader(r, inflate.Raw))
	})
	for _, f := range z.File {
		if f.FileInfo().IsDir() || strings.HasPrefix(f.Name, "__MACOSX/") {
			continue
		}
		if err := s.entry(f); errors.Is(err, errTooInflated) {
			return
		}
	}
}

// entry scans one file of a zip archive, and returns why it could not be read.
func (s *Scanner) entry(f *zip.File) error {
	const encrypted = 1
	if f.Flags&encrypted != 0 {
		s.unreadable(0, ReasonFormat, errEncrypted, nil)
		return errEncrypted
	}
	r, err := f.Open()
	if err != nil {
		reason := ReasonCorrupt
		if errors.Is(err, zip.ErrAlgorithm) {
			reason = ReasonFormat
		}
		s.unreadable(0, reason, fmt.Errorf("a file in the zip archive: %w", err), nil)
		return err
	}
	defer r.Close()
	in := s.enter(0, s.budget)
	if in == nil {
		return errTooWrapped
	}
	content := bufio.NewReader(r)
	head, _ := content.Peek(4) // an error comes again with the next read
	err = in.inflate(content, compression(head))
	s.records += s.leave(in)
	s.inflated += in.inflated
	return err
}
