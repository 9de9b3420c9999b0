package files

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"

	"github.com/mfawatch/mfawatch/processor/ownfile"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A fileOffset is how far a file was acknowledged.
type fileOffset struct {
	Offset int64  `json:"offset"`         // all before is done with
	Size   int64  `json:"size"`           // of the file when it was read last
	Time   int64  `json:"time"`           // and its mtime, in nanoseconds
	Hash   string `json:"hash,omitempty"` // of its first bytes and of those before Offset: a file that is overwritten, or a new one with the old one's identity, has others
	Length int64  `json:"length"`         // of the first ones
}

// headLength is how many bytes are hashed at the start of a file, and before the offset.
// The start alone does not tell files apart: records of one session begin alike. The end
// of a record has its ID.
const headLength = 512

func (p fileOffset) text() []byte {
	b, _ := json.Marshal(p) // which cannot fail
	return b
}

// parseOffset returns the zero offset for a text that is invalid.
func parseOffset(text []byte) (p fileOffset) {
	if json.Unmarshal(text, &p) != nil || p.Offset < 0 || p.Length < 0 || p.Length > headLength {
		return fileOffset{}
	}
	return p
}

// hashOf is the hash of a file that was read up to p.
func (p fileOffset) hashOf(r io.ReaderAt) (string, error) {
	last := min(headLength, p.Offset)
	b := make([]byte, p.Length+last)
	_, err := io.ReadFull(io.NewSectionReader(r, 0, p.Length), b[:p.Length])
	if err == nil {
		_, err = io.ReadFull(io.NewSectionReader(r, p.Offset-last, last), b[p.Length:])
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:16]), err
}

// readOn reads the new part of a file, as far as its documents are complete.
func (w *follower) readOn(t *followed) error {
	t.more = false
	file := t.file
	if file == nil {
		var err error
		if file, err = ownfile.OpenRegular(t.path); err != nil {
			return err
		}
	}
	info, err := file.Stat()
	if err == nil && identity(t.path, info) != t.id {
		err = os.ErrNotExist // another one has its name by now
	}
	t.file = file
	if err != nil {
		w.closeFile(t)
		return err
	}
	t.update(info, time.Now())
	if err := w.readOpen(t, info.Size()); err != nil {
		w.closeFile(t)
		return err
	}
	w.hold(t)
	t.readErr.Set(nil)
	if t.met = true; t.waits == 0 {
		t.offset.Time = info.ModTime().UnixNano()
	}
	return nil
}

// readOpen reads a file that is open and has so many bytes.
func (w *follower) readOpen(t *followed, size int64) error {
	if err := t.recognise(size); err != nil {
		return err
	}
	if size == 0 {
		t.offset, t.waits = fileOffset{}, 0
		return nil
	}
	head := make([]byte, 4)
	n, err := t.file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if t.whole = trail.Sniff(head[:n]).Compressed(); t.whole {
		err = w.readWhole(t, size)
	} else {
		err = w.readLines(t, size)
	}
	t.offset.Length = min(headLength, size)
	hash, unread := t.offset.hashOf(t.file)
	if unread == nil {
		t.offset.Hash = hash // else the file is read from its start again
	}
	return cmp.Or(err, unread)
}

// recognise reads a file from its start again if it was cut off or overwritten.
func (t *followed) recognise(size int64) error {
	p := t.offset
	if p.Length == 0 {
		return nil
	}
	same := size >= max(p.Size, p.Length, p.Offset)
	if same {
		hash, err := p.hashOf(t.file)
		if err != nil {
			return err
		}
		same = hash == p.Hash
	}
	if !same {
		t.offset, t.long = fileOffset{}, search{}
	}
	return nil
}

// mustSettle reports whether a file has been unchanged for less than d.
func (t *followed) mustSettle(d time.Duration) bool {
	t.waits = 0
	if time.Since(t.changed) < d {
		t.waits = d
	}
	return t.waits > 0
}

// readWhole delivers a compressed file from its start, once it has settled.
func (w *follower) readWhole(t *followed, size int64) error {
	if t.offset.Offset == size && t.offset.Time == t.mtime.UnixNano() {
		t.offset.Size, t.waits = size, 0
		return nil
	}
	if t.mustSettle(w.f.settle) {
		return nil
	}
	if err := w.stream(t, trail.Place(File{Path: t.path}.Place()), func() io.Reader { return io.NewSectionReader(t.file, 0, size) }); err != nil {
		return err
	}
	t.offset.Offset, t.offset.Size = size, size
	return nil
}

// stream delivers a part that is read as it is handled, until it is acknowledged. Its
// error says that the part cannot be read.
func (w *follower) stream(t *followed, origin trail.Origin, open func() io.Reader) error {
	acked, unread := w.f.offer(w.ctx, t.path, origin, w.handle, func() (io.ReadCloser, error) { return io.NopCloser(open()), nil })
	if !acked {
		return w.ctx.Err()
	}
	return unread
}

// readLines delivers the complete documents: lines, or JSON values.
func (w *follower) readLines(t *followed, size int64) error {
	t.waits = 0
	if t.long.at > 0 {
		return w.readLong(t, size)
	}
	end := min(size, t.offset.Offset+turnBytes)
	buf := make([]byte, 0, min(size-t.offset.Offset, batchBytes)+1)
	for t.offset.Offset < size && w.ctx.Err() == nil {
		if t.offset.Offset >= end {
			t.more = true
			break
		}
		docs, rest, err := w.nextDocuments(t, size, buf)
		if err != nil {
			return err
		}
		if len(docs.ends) > 0 {
			if !w.acked(t, docs) {
				return w.ctx.Err()
			}
			t.offset.Offset += int64(docs.ends[len(docs.ends)-1])
			t.offset.Size = max(t.offset.Size, t.offset.Offset)
			continue
		}
		if rest == nil {
			return w.readLong(t, size)
		}
		return w.readRest(t, size, docs.b, *rest)
	}
	if t.offset.Offset >= size {
		t.offset.Size = size
	}
	return w.ctx.Err()
}

// docs are documents in memory.
type docs struct {
	b    []byte
	ends []int
}

// acked delivers the documents after a file's offset until they are acknowledged. It
// returns false once the context is done.
func (w *follower) acked(t *followed, d docs) bool {
	return w.f.retryUntilAcked(w.ctx, t.path, func() error {
		return w.f.deliver(context.WithoutCancel(w.ctx), w.handle, documents(File{Path: t.path}.Place(), t.offset.Offset, d.b, d.ends))
	})
}

// nextDocuments reads the complete documents after a file's offset. If there is none,
// rest is the splitter at the file's end, nil if the document is too long for memory.
func (w *follower) nextDocuments(t *followed, size int64, buf []byte) (d docs, rest *splitter, err error) {
	var s splitter
	d.b = buf[:0]
	for seen := 0; len(d.ends) == 0; {
		from := t.offset.Offset + int64(len(d.b))
		n := int(min(size-from, batchBytes))
		if n == 0 {
			return d, &s, nil
		}
		if len(d.b) >= documentBytes {
			return d, nil, nil
		}
		d.b = append(d.b, make([]byte, n)...)
		if _, err := io.ReadFull(io.NewSectionReader(t.file, from, int64(n)), d.b[len(d.b)-n:]); err != nil {
			return d, nil, err // it was cut off just now
		}
		for seen < len(d.b) {
			m, ended := s.next(d.b[seen:])
			if seen += m; ended {
				d.ends = append(d.ends, seen)
			}
		}
	}
	return d, nil, nil
}

// readRest handles a last document without a line end: it may grow, or be the whole
// file, as in CloudTrail's own.
func (w *follower) readRest(t *followed, size int64, b []byte, s splitter) error {
	whole := s.begun && !s.text && !s.inString && s.depth == 0
	switch {
	case !s.begun:
		if bytes.IndexByte(b, 0) < 0 { // else it is a hole that may yet be filled
			t.offset.Offset = size
		}
	case t.offset.Size == size: // reported before, as one that is cut off
	case whole && t.mustSettle(w.f.settle), !whole && t.mustSettle(w.f.cutFor):
		return nil
	default:
		if !w.acked(t, docs{b, []int{len(b)}}) {
			return w.ctx.Err()
		}
		if whole {
			t.offset.Offset = size
		} // else it is read again if it goes on
	}
	t.offset.Size = size
	return nil
}

// readLong streams a document that is too long for memory, once its end is there or the
// file has settled.
func (w *follower) readLong(t *followed, size int64) error {
	if t.offset.Size == size {
		return nil // reported before, as one that is cut off
	}
	ended, err := t.findEnd(size)
	switch {
	case err != nil || t.more:
		return err
	case !t.long.begun && !ended: // a hole that may yet be filled
		t.long, t.offset.Size = search{}, size
		return nil
	case !ended && t.mustSettle(w.f.settle):
		return nil
	}
	at, end := t.offset.Offset, t.long.at
	err = w.stream(t, trail.At(File{Path: t.path}.Place(), at), func() io.Reader { return io.NewSectionReader(t.file, at, end-at) })
	if err != nil {
		return err
	}
	if ended || !t.long.inString && t.long.depth == 0 { // else it is read again if it goes on
		t.offset.Offset, t.long = end, search{}
	}
	t.offset.Size = max(t.offset.Size, t.offset.Offset)
	if t.more = t.offset.Offset < size && ended; !t.more {
		t.offset.Size = size
	}
	return nil
}

// A search is the search for the end of a long document, which goes on as its file grows.
type search struct {
	splitter
	at int64 // all before was looked at; 0 before the first look
}

// findEnd looks for the end of the document at the offset, for one turn. An offset before
// a hole is moved behind it: a log has one that was cut off while its writer went on at
// its own place.
func (t *followed) findEnd(size int64) (ended bool, err error) {
	s := &t.long
	s.at = max(s.at, t.offset.Offset)
	turn := min(size, s.at+turnBytes)
	for buf := make([]byte, batchBytes); s.at < turn && !ended; {
		b := buf[:min(batchBytes, turn-s.at)]
		if _, err := io.ReadFull(io.NewSectionReader(t.file, s.at, int64(len(b))), b); err != nil {
			return false, err // it was cut off just now
		}
		if !s.begun {
			if bytes.Count(b, []byte{0}) == len(b) { // which is faster
				s.at += int64(len(b))
				continue
			}
			rest := bytes.TrimLeft(b, " \t\r\n\x00")
			if start := s.at + int64(len(b)-len(rest)); len(rest) > 0 && start > t.offset.Offset {
				t.offset.Offset, t.long, t.more = start, search{}, true
				return false, nil
			}
		}
		var n int
		n, ended = s.next(b)
		s.at += int64(n)
	}
	t.more = s.at < size && !ended
	return ended, nil
}
