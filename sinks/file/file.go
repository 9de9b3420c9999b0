package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/ownfile"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
)

// Config configures a file as a sink.
type Config struct {
	Path string `koanf:"path"` // of the file; made if it is not there
}

// Validate reports a mistake in c in the form "field: problem". It does not open the
// file, so that checking a configuration creates nothing.
func (c Config) Validate() error {
	if c.Path == "" {
		return errors.New("path: missing; want the path of a file, such as alerts.jsonl")
	}
	return nil
}

// Sink writes alerts as lines of JSON, whole lines with each write to the end
// of the file, and on disk before Send returns. A line may be there twice, with
// the same id, after a crash or a write that failed.
type Sink struct {
	path string

	mu   sync.Mutex
	f    *os.File
	torn bool // the last write failed and may have left part of a line
}

// New opens the file, and sets its mode to 0600. The part of a
// line that a crash left at its end is cut off; a file that ends in the middle
// of something else is refused. Lines keep the order of the journal when
// alerts are sent one at a time: see dispatch.DeliveryConfig.Concurrency.
func New(cfg Config) (*Sink, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	f, err := openLines(cfg.Path)
	if err != nil {
		return nil, err
	}
	return &Sink{path: cfg.Path, f: f}, nil
}

var _ sinks.BatchSender = (*Sink)(nil)

// Send writes the alert. It has no use for a ref.
func (s *Sink) Send(ctx context.Context, a *processor.Alert, _ string) (string, error) {
	return "", s.SendBatch(ctx, []*processor.Alert{a})
}

// SendBatch writes the alerts with one write and one fsync.
func (s *Sink) SendBatch(_ context.Context, alerts []*processor.Alert) error {
	var lines []byte
	for _, a := range alerts {
		line, err := message.JSON(a)
		if err != nil {
			return sinks.Permanent(fmt.Errorf("encode alert %s: %w", a.ID, err))
		}
		lines = append(lines, line...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		return fmt.Errorf("write %s: %w", s.path, os.ErrClosed)
	}
	if s.torn {
		if err := mend(s.f); err != nil {
			return err
		}
	}
	s.torn = true
	if _, err := s.f.Write(lines); err != nil {
		return fmt.Errorf("write alerts to file (is there space left?): %w", err)
	}
	s.torn = false
	if err := flush(s.f); err != nil {
		return fmt.Errorf("write alerts to file: %w", err)
	}
	return nil
}

// Reopen opens the path again after the file was moved away to rotate it. On
// an error the old file stays in use.
func (s *Sink) Reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		return fmt.Errorf("reopen %s: %w", s.path, os.ErrClosed)
	}
	f, err := openLines(s.path)
	if err != nil {
		return fmt.Errorf("reopen: %w", err)
	}
	old := s.f
	s.f, s.torn = f, false
	if err := old.Close(); err != nil {
		return fmt.Errorf("close the old file: %w", err)
	}
	return nil
}

// Close closes the file. A Send that follows is an error.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		return nil
	}
	f := s.f
	s.f = nil
	return f.Close()
}

func openLines(path string) (*os.File, error) {
	f, err := ownfile.Open(path, os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return nil, fmt.Errorf("open alert file: %w", err)
	}
	err = mend(f)
	if err == nil {
		err = ownfile.Restrict(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// flush brings what was written to disk, if the file is on one.
func flush(f *os.File) error {
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	return f.Sync()
}

// lineStart begins each of our lines.
const lineStart = `{"schema":"mfawatch.alert/`

// mend cuts the torn line off the file's end, if it has one and it is ours.
func mend(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open alert file: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return nil
	}
	end, err := lineEnd(f, info.Size())
	if err != nil {
		return fmt.Errorf("read the end of alert file %s: %w", f.Name(), err)
	}
	if end == info.Size() {
		return nil
	}
	start := make([]byte, min(int64(len(lineStart)), info.Size()-end))
	if _, err := f.ReadAt(start, end); err != nil {
		return fmt.Errorf("read the end of alert file %s: %w", f.Name(), err)
	}
	if !bytes.HasPrefix([]byte(lineStart), start) {
		return fmt.Errorf("alert file %s does not end in an alert: name another file, or end its last line", f.Name())
	}
	if err := f.Truncate(end); err != nil {
		return fmt.Errorf("cut the torn last line off alert file %s: %w", f.Name(), err)
	}
	return nil
}

// lineEnd finds the end of the last whole line.
func lineEnd(f io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for size > 0 {
		n := min(int64(len(buf)), size)
		if _, err := f.ReadAt(buf[:n], size-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return size - n + int64(i) + 1, nil
		}
		size -= n
	}
	return 0, nil
}
