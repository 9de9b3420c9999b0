package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/mfawatch/mfawatch/processor/safetext"
)

// WriteFields writes the fields of one item, and a text of several lines at the
// end, without control characters.
func WriteFields(w io.Writer, fields [][2]string, last string, text []byte) error {
	var b strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&b, "%-9s %s\n", f[0], safetext.Clean(f[1], 1000))
	}
	b.WriteString(last + "\n")
	for l := range bytes.Lines(text) {
		l = bytes.TrimRight(l, "\r\n")
		fmt.Fprintf(&b, "  %s\n", safetext.Clean(string(l), 1<<20))
	}
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}

// WriteJSONLine writes v as one line of JSON.
func WriteJSONLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
