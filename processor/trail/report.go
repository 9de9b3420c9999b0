package trail

import (
	"bytes"
	"errors"

	"github.com/mfawatch/mfawatch/processor/trail/escape"
)

var (
	errRecordTooLarge = errors.New("the record is longer than 1 MiB")
	errTooDeep        = errors.New("nested deeper than 256 levels")
	errCutRecord      = errors.New("the record is cut off")
	errNoSource       = errors.New("the record has no eventSource")
	errStructure      = errors.New("the document's braces and quotes do not match")
	errTextTooLarge   = errors.New("a string that holds records is longer than 3 MiB")
	errCutText        = errors.New("a string that holds records is cut off")
)

// report looks into the findings of k that wait for nothing.
func (s *Scanner) report(w []byte, k *walk) {
	if k.ready == 0 {
		return
	}
	for _, f := range k.found[:k.ready] {
		switch f.kind {
		case isWatched:
			if f.start < 0 { // its name stands doubled behind what was dropped
				s.unreadable(0, ReasonTooLarge, errRecordTooLarge, w[:max(0, f.end)])
				continue
			}
			s.record(w[f.start:f.end], f.start)
		case isText:
			s.text = escape.Append(s.text[:0], w[f.start+1:f.end-1])
			s.within(s.text, f.start) // its names are counted as they are met
		case isMappedText:
			s.text = escape.Append(s.text[:0], w[f.start+1:f.end-1])
			s.decoded += s.within(s.text, f.start)
		case isCoded:
			if doc, ok := s.base64(w[f.start+1 : f.end-1]); ok {
				s.decoded += s.within(doc, f.start)
			}
		case isMapped:
			switch {
			case f.start < 0 || f.end-f.start > maxRecord:
				s.unreadable(f.start, ReasonTooLarge, errRecordTooLarge, ifWatched(w[max(0, f.start):max(0, f.end)]))
			case k == &s.walk:
				s.original(w[f.start:f.end], f.start)
			default:
				s.mapped(w[f.start:f.end], f.start)
			}
		case isCutMapped:
			if s.input.err == nil {
				s.cut = true
				s.unreadable(f.start, ReasonTruncated, errCutRecord, ifWatched(w[max(0, f.start):]))
			}
		case isSourceless:
			s.unreadable(f.start, ReasonRecord, errNoSource, w[f.start:f.end])
		case isLong:
			s.unreadable(f.start, ReasonTooLarge, errRecordTooLarge, w[max(0, f.start):])
		case isDeep:
			s.unreadable(f.start, ReasonTooDeep, errTooDeep, around(w, f.start))
		case isCut:
			if s.input.err == nil { // else it will be offered again
				s.cut = true
				s.unreadable(f.start, ReasonTruncated, errCutRecord, w[max(0, f.start):f.end])
			}
		case isCutText:
			if s.input.err == nil {
				s.cut = true
				s.unreadable(f.start, ReasonTruncated, errCutText, w[f.start:])
			}
		case isLongText:
			s.unreadable(f.start, ReasonTooLarge, errTextTooLarge, nil)
		case isLost:
			s.unreadable(f.start, ReasonStructure, errStructure, around(w, f.start))
		}
	}
	k.take()
}

// around returns the bytes around w[i], for a person to look at.
func around(w []byte, i int) []byte {
	const near = 2 << 10
	return w[max(0, i-near):min(len(w), max(0, i)+near)]
}

// finish ends the document whose last window is w. It reports a document that
// was cut off, or whose braces do not match.
func (s *Scanner) finish(w []byte, h head) {
	end := spaceBefore(w, len(w))
	if end == 0 {
		return
	}
	k := &s.walk
	last := w[end-1]
	fits := h.fits(w[:end])
	open := false
	if k.started() || !fits && closes(last) {
		open = k.finish(w)
		s.report(w, k)
		s.walked += k.walked
	}
	s.walked += s.hidden.walked
	if s.damaged || s.cut {
		return
	}
	switch {
	case open:
		s.unreadable(end, ReasonTruncated, errCutDocument, nil)
	case k.loose || k.restarted:
		s.unreadable(end, ReasonStructure, errStructure, nil)
	case !fits && !(last == ']' || last == '}' && !k.listed):
		s.unreadable(end, ReasonTruncated, errCutDocument, nil)
	}
}

// unreadable reports a part of the window that could not be read. raw is kept if
// it is a watched record.
func (s *Scanner) unreadable(at int, reason Reason, err error, raw []byte) {
	u := Unreadable{Origin: s.origin, Offset: max(0, s.offset+s.base+int64(at)), Reason: reason, Err: err}
	if raw != nil {
		u.Watched = true
		u.Raw = bytes.Clone(raw[:min(len(raw), 64<<10, s.raw)])
		s.raw -= len(u.Raw)
	}
	s.visitor.Unreadable(u)
}
