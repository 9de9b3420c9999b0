package trail

import (
	"bytes"
	"errors"
	"fmt"
)

var (
	errTooInflated = errors.New("it inflates to more than is read of one object: a gzip bomb?")
	errCutDocument = errors.New("the JSON document ends before its end")
	bom            = []byte("\xEF\xBB\xBF")
)

// A format is how bytes are compressed.
type format int

const (
	plain format = iota
	gzipped
	zlibbed
)

// compression tells by the first bytes; a name says nothing (a .gz may arrive
// inflated).
func compression(head []byte) format {
	switch {
	case len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b:
		return gzipped
	case len(head) >= 2 && head[0] == 0x78 && (int(head[0])<<8|int(head[1]))%31 == 0:
		return zlibbed
	}
	return plain
}

// isBase64 reports whether a whole document looks like JSON or gzip in base64.
func isBase64(b []byte) bool {
	for _, start := range base64Starts {
		if bytes.HasPrefix(b, start[1:]) {
			return true
		}
	}
	return false
}

// formats are those that are told by name, so that it is clear what to do.
var formats = []struct{ magic, name string }{
	{"PK\x03\x04", "a zip archive: unpack it first"},
	{"\x28\xb5\x2f\xfd", "zstd: decompress it first"},
	{"BZh", "bzip2: decompress it first"},
	{"\xfd7zXZ", "xz: decompress it first"},
	{"PAR1", "Parquet: mfawatch reads CloudTrail's JSON"},
	{"Obj\x01", "Avro: mfawatch reads CloudTrail's JSON"},
	{"\xff\xfe", "UTF-16: convert it to UTF-8 first"},
	{"\xfe\xff", "UTF-16: convert it to UTF-8 first"},
}

// looksLikeJSON reports whether w begins like a JSON document that may hold
// records, and tells of it if not. What is known to be no record and no harm
// is passed over (R36).
func (s *Scanner) looksLikeJSON(w []byte) bool {
	t := bytes.TrimPrefix(w, bom)
	t = t[skipSpace(t, 0):]
	switch {
	case len(t) == 0, bytes.HasPrefix(t, []byte("CloudTrail validation message.")), string(t) == "null":
		return false
	case opens(t[0]), t[0] == '"':
		return true
	}
	err := fmt.Errorf("neither JSON nor gzip: it begins with %q", t[:min(len(t), 16)])
	for _, f := range formats {
		if bytes.HasPrefix(w, []byte(f.magic)) {
			err = errors.New(f.name)
		}
	}
	s.unreadable(0, ReasonFormat, err, nil)
	return false
}

// A head is how a document begins, as far as its end has to fit it.
type head struct {
	opener byte
	list   bool // an object whose first member is a list: {"Records":[
}

func headOf(w []byte) head {
	w = bytes.TrimPrefix(w, bom)
	i := skipSpace(w, 0)
	if i == len(w) {
		return head{}
	}
	h := head{opener: w[i]}
	if i = skipSpace(w, i+1); h.opener != '{' || i == len(w) || w[i] != '"' {
		return h
	}
	if i = stringEnd(w, i+1); i < 0 {
		return h
	}
	if i = skipSpace(w, i+1); i == len(w) || w[i] != ':' {
		return h
	}
	i = skipSpace(w, i+1)
	h.list = i < len(w) && w[i] == '['
	return h
}

// checkEnd tells of a document that was cut off: w is its last window. It looks
// back only where the end does not fit the head, as where the last thing in a
// list of records is a record.
func (s *Scanner) checkEnd(w []byte, h head) {
	end := spaceBefore(w, len(w))
	if s.cut || end == 0 {
		return
	}
	before := spaceBefore(w, end-1)
	switch last := w[end-1]; {
	case last == '}' && h.opener == '{' && (!h.list || before > 0 && w[before-1] == ']'),
		last == ']' && h.opener == '[',
		last == '"' && h.opener == '"':
		return
	case closes(last):
		at, ok := s.openerBefore(w, end-1, end-maxRecord, -1)
		if !ok && (at > 0 || s.dropped) {
			return // too long to look at: taken at its word
		}
		if ok {
			if before = spaceBefore(w, at); before == 0 || closes(w[before-1]) || bytes.HasSuffix(w[:before], bom) {
				return
			}
		}
	}
	s.unreadable(end, ReasonTruncated, errCutDocument, nil)
}
