package sources

import "bytes"

// Form is the format of a stream, as far as its first bytes show.
type Form int

// The forms. Only FormUnknown holds no records.
const (
	FormUnknown Form = iota
	FormEmpty        // nothing, or white space alone
	FormGzip
	FormZlib
	FormZstd
	FormZip
	FormJSON   // an object or a list
	FormText   // a JSON text or null, or CloudTrail's validation message
	FormBase64 // of gzip or of JSON
)

// prefixes lists the fixed texts that identify a form.
var prefixes = []struct {
	text string
	form Form
}{
	{"{", FormJSON}, {"[", FormJSON},
	{`"`, FormText}, {"null", FormText}, {"CloudTrail validation message.", FormText},
	{"H4sI", FormBase64}, {"ey", FormBase64}, {"ew", FormBase64}, {"W3", FormBase64}, {"Wy", FormBase64}, {"Ww", FormBase64},
}

// Sniff returns the form of a stream that begins with head. Compression shows in the
// first bytes (2 for gzip and zlib, 4 for zstd and zip); the other forms may stand
// behind a byte order mark and white space.
func Sniff(head []byte) Form {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return FormGzip
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return FormZstd
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return FormZip
	case len(head) >= 2 && head[0] == 0x78 && (int(head[0])<<8|int(head[1]))%31 == 0:
		return FormZlib
	}
	head = TrimHead(head)
	if len(head) == 0 {
		return FormEmpty
	}
	for _, p := range prefixes {
		if bytes.HasPrefix(head, []byte(p.text)) {
			return p.form
		}
	}
	return FormUnknown
}

// TrimHead returns head without its byte order mark and leading white space.
func TrimHead(head []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
}
