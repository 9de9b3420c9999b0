package trail

import (
	"bytes"
	"strings"
)

// A Form is the form of a document, as far as its first bytes show. A name says
// nothing: a .gz may arrive inflated.
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
	FormBase64 // of compressed data or of JSON
)

// Sniff returns the form of a document that begins with head. Compression shows in
// the first bytes (2 for gzip and zlib, 4 for zstd and zip); the other forms may
// stand behind a byte order mark and white space.
func Sniff(head []byte) Form {
	if f := compression(head); f != FormUnknown {
		return f
	}
	switch head = trimHead(head); {
	case len(head) == 0:
		return FormEmpty
	case opens(head[0]):
		return FormJSON
	case head[0] == '"', bytes.HasPrefix(head, []byte("null")), bytes.HasPrefix(head, validation):
		return FormText
	case isBase64(head):
		return FormBase64
	}
	return FormUnknown
}

// Compressed reports whether a document of this form has to be decompressed.
func (f Form) Compressed() bool { return f >= FormGzip && f <= FormZip }

// compression returns the form of what is compressed, FormUnknown for all else.
func compression(head []byte) Form {
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return FormGzip
	case len(head) >= 2 && head[0] == 0x78 && (int(head[0])<<8|int(head[1]))%31 == 0:
		return FormZlib
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		return FormZstd
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return FormZip
	}
	return FormUnknown
}

// trimHead returns head without its byte order mark and leading white space.
func trimHead(head []byte) []byte {
	head = bytes.TrimPrefix(head, bom)
	return head[skipSpace(head, 0):]
}

// isBase64 reports whether b begins like compressed data or JSON in base64: with the
// magic of gzip, zstd or zip, a head of zlib, or a brace or a bracket with what may
// follow it.
func isBase64(b []byte) bool {
	switch {
	case len(b) < 2:
		return false
	case b[0] == 'e':
		return strings.IndexByte("ywAFJN", b[1]) >= 0
	case b[0] == 'W':
		return strings.IndexByte("3yw", b[1]) >= 0
	}
	return bytes.HasPrefix(b, []byte("H4sI")) || bytes.HasPrefix(b, []byte("KLUv/")) || bytes.HasPrefix(b, []byte("UEsDB"))
}
