package trail

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/mfawatch/mfawatch/processor/trail/escape"
)

var (
	errTooInflated = errors.New("it inflates to more than is read of one object: a gzip bomb?")
	errCutDocument = errors.New("the JSON document ends before its end")
	bom            = []byte("\xEF\xBB\xBF")
	validation     = []byte("CloudTrail validation message.")
)

// formats are those reported by name, with the next step.
var formats = []struct{ magic, name string }{
	{"BZh", "bzip2: decompress it first"},
	{"\xfd7zXZ", "xz: decompress it first"},
	{"PAR1", "Parquet: mfawatch reads CloudTrail's JSON"},
	{"Obj\x01", "Avro: mfawatch reads CloudTrail's JSON"},
	{"\xff\xfe", "UTF-16: convert it to UTF-8 first"},
	{"\xfe\xff", "UTF-16: convert it to UTF-8 first"},
}

// looksLikeJSON reports whether w begins like a JSON document that may hold
// records, and reports it if not. Known messages without records are passed over
// (R36).
func (s *Scanner) looksLikeJSON(w []byte) bool {
	t := trimHead(w)
	switch {
	case len(t) == 0, bytes.Equal(bytes.TrimSpace(t), validation), string(t) == "null":
		return false
	case opens(t[0]), t[0] == '"':
		return true
	}
	err := fmt.Errorf("neither JSON nor a compression that is read: it begins with %q", t[:min(len(t), 16)])
	for _, f := range formats {
		if bytes.HasPrefix(w, []byte(f.magic)) {
			err = errors.New(f.name)
		}
	}
	var raw []byte
	if len(w) < block { // so w is all of it
		raw = ifWatched(w)
	}
	s.unreadable(0, ReasonFormat, err, raw)
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
	if i = escape.StringEnd(w, i+1); i < 0 {
		return h
	}
	if i = skipSpace(w, i+1); i == len(w) || w[i] != ':' {
		return h
	}
	i = skipSpace(w, i+1)
	h.list = i < len(w) && w[i] == '['
	return h
}

// fits reports whether the document whose end is w, without white space behind,
// may be whole: a look at its first and its last bytes.
func (h head) fits(w []byte) bool {
	before := spaceBefore(w, len(w)-1)
	switch w[len(w)-1] {
	case '}':
		return h.opener == '{' && (!h.list || before > 0 && w[before-1] == ']')
	case ']':
		return h.opener == '['
	}
	return w[len(w)-1] == '"' && h.opener == '"'
}
