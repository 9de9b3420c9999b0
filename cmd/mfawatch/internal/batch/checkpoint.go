package batch

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/ownfile"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// A Checkpoint records the progress of a scan in a file, so that an interrupted scan
// can continue. The file is JSON lines: the command line of the scan, then one line
// for each input that was read to its end, with its findings. A line that a kill or
// a full disk cut off is removed, and its input read again. A nil Checkpoint records
// nothing.
type Checkpoint struct {
	Found // by earlier runs
	file  *os.File

	mu      sync.Mutex // guards what follows
	done    map[inputID]bool
	lines   bytes.Buffer // not written yet
	written time.Time
	err     error // the first in writing
}

type inputID [16]byte

func idOf(i input) inputID {
	sum := sha256.Sum256([]byte(i.id))
	return inputID(sum[:])
}

const checkpointSchema = "mfawatch.scan/v1"

// checkpointEvery bounds the progress lost when the process is killed.
const checkpointEvery = time.Second

// CheckpointHead is the first line: the command line of the scan.
type CheckpointHead struct {
	Schema  string   `json:"schema"`
	Version string   `json:"version"` // of mfawatch: another may find more
	Paths   []string `json:"paths"`
	Range
	// The range of the flags when the scan was started; it stays the same.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

func (h *CheckpointHead) same(o *CheckpointHead) bool {
	return h.Version == o.Version && slices.Equal(h.Paths, o.Paths) && h.Since == o.Since && h.Until == o.Until &&
		slices.Equal(h.Accounts, o.Accounts) && slices.Equal(h.Regions, o.Regions)
}

// checkpointInput is a line of an input that was read.
type checkpointInput struct {
	ID         []byte         `json:"id"`
	Stats      trail.Stats    `json:"stats"`
	Events     []*trail.Event `json:"events,omitempty"`
	Unreadable []string       `json:"unreadable,omitempty"`
	Total      int64          `json:"total,omitempty"` // of what was unreadable
}

// OpenCheckpoint opens the checkpoint of a scan, or starts one. It returns the range
// that the scan had when it was started. The error says what to do.
func OpenCheckpoint(path string, head CheckpointHead, w bucket.Wanted) (*Checkpoint, bucket.Wanted, error) {
	head.Schema, head.From, head.To = checkpointSchema, w.Since, w.Until
	file, err := ownfile.Open(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, w, fmt.Errorf("--resume: cannot open %q: %w", path, config.WithoutPath(err))
	}
	k := &Checkpoint{file: file, done: map[inputID]bool{}}
	old, good, err := k.load()
	if err == nil && (old == nil || old.Schema == checkpointSchema) {
		err = ownfile.Restrict(file)
	}
	switch {
	case err != nil:
		err = fmt.Errorf("--resume: cannot read %q: %w", path, config.WithoutPath(err))
	case old == nil:
		err = k.startAt(0)
		k.note(head)
		err = errors.Join(err, k.flush())
	case old.Schema != checkpointSchema:
		err = fmt.Errorf("--resume: %q is not what a scan noted; name another file", path)
	case !old.same(&head):
		err = fmt.Errorf("--resume: %q is of another scan: %s; repeat that one, or name another file", path, old)
	default:
		w.Since, w.Until = old.From, old.To
		err = k.startAt(good)
	}
	if err != nil {
		return nil, w, errors.Join(err, file.Close())
	}
	return k, w, nil
}

// startAt truncates the file after its last whole line.
func (k *Checkpoint) startAt(good int64) error {
	_, err := k.file.Seek(good, io.SeekStart)
	return errors.Join(err, k.file.Truncate(good))
}

// String returns the command line of the scan.
func (h *CheckpointHead) String() string {
	text := "mfawatch " + config.Clean(h.Version) + " scan"
	for _, f := range []struct {
		name   string
		values []string
	}{{"since", []string{h.Since}}, {"until", []string{h.Until}}, {"accounts", h.Accounts}, {"regions", h.Regions}} {
		for _, v := range f.values {
			if v != "" {
				text += " --" + f.name + " " + config.Clean(v)
			}
		}
	}
	for _, p := range h.Paths {
		text += " " + config.Clean(p)
	}
	return text
}

// load reads the checkpoint. head is nil if it is empty; good is the length of its
// whole lines.
func (k *Checkpoint) load() (head *CheckpointHead, good int64, err error) {
	r := bufio.NewReaderSize(k.file, 1<<20)
	for {
		line, err := r.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF):
			if head == nil && len(line) > 0 && !bytes.HasPrefix([]byte(`{"schema":"`+checkpointSchema), line[:min(len(line), 10)]) {
				head = &CheckpointHead{} // another program's file
			}
			return head, good, nil
		case err != nil:
			return head, good, err
		case head == nil:
			head = new(CheckpointHead)
			if json.Unmarshal(line, head) != nil {
				return &CheckpointHead{}, 0, nil
			}
		default:
			var in checkpointInput
			if json.Unmarshal(line, &in) != nil || len(in.ID) != len(inputID{}) {
				return head, good, nil
			}
			k.done[inputID(in.ID)] = true
			one := Found{Files: 1, Stats: in.Stats, Events: in.Events, Unreadable: Faults{in.Total, in.Unreadable}}
			k.merge(&one)
		}
		good += int64(len(line))
	}
}

// has reports whether the input was read before.
func (k *Checkpoint) has(i input) bool {
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.done[idOf(i)]
}

// add records an input that was read to its end.
func (k *Checkpoint) add(i input, f *Found) {
	if k == nil || i.id == "" {
		return
	}
	id := idOf(i)
	in := checkpointInput{ID: id[:], Stats: f.Stats, Events: f.Events, Unreadable: f.Unreadable.first, Total: f.Unreadable.Total}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.note(in)
	if time.Since(k.written) > checkpointEvery || k.lines.Len() > 1<<20 {
		_ = k.flush() // Close reports it
	}
}

// note adds a line. An input that JSON cannot encode is left out, and read again.
func (k *Checkpoint) note(line any) {
	before := k.lines.Len()
	e := json.NewEncoder(&k.lines)
	e.SetEscapeHTML(false)
	if e.Encode(line) != nil {
		k.lines.Truncate(before)
	}
}

func (k *Checkpoint) flush() error {
	k.written = time.Now()
	if k.err == nil {
		_, k.err = k.file.Write(k.lines.Bytes())
	}
	k.lines.Reset()
	return k.err
}

// Close writes the pending lines. After an error the checkpoint lacks some inputs;
// its other lines are valid.
func (k *Checkpoint) Close() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.flush()
	if err == nil {
		err = k.file.Sync()
	}
	if err = errors.Join(err, k.file.Close()); err != nil {
		return fmt.Errorf("--resume: cannot note what was read in %q; what is missing there is read again: %w", k.file.Name(), config.WithoutPath(err))
	}
	return nil
}
