// Package inflate decompresses DEFLATE (RFC 1951), alone or within gzip (RFC
// 1952) or zlib (RFC 1950), at about the speed of the fastest C libraries and
// without cgo.
//
// It has two forms, which share one decoder and agree on every input:
//
//   - [Decoder.Append] inflates bytes in memory into a buffer of the caller, up
//     to a limit of the caller.
//   - [Reader] inflates an [io.Reader] through a window of fixed size, however
//     much comes out.
//
// # Contract
//
// Any input is safe: no byte outside of the given slices is read or written,
// the time is linear in input and output, and memory is bounded by the limit or
// by the window. Exactly those codes are accepted that compress/flate accepts:
// complete ones, one code of one bit, and the empty code until it is used.
//
// Everything that can be decoded before a defect is returned together with the
// error: after each error the bytes inflated so far are true, except that
// [ErrChecksum] says that the last member is not what was compressed.
//
// A gzip input is a sequence of members; their contents are concatenated. Every
// header field is read, and the CRC-16 of the header, the CRC-32 and the length
// of the contents are checked. Zlib and raw inputs are one stream; a zlib stream
// that needs a preset dictionary is refused. No byte of the input is passed
// over: bytes behind the end are [ErrGarbage], zeros included.
//
// Decoder and Reader allocate when they are first used (some 30 KB; a Reader 350
// KB more) and reuse that memory for every later input. Their zero values are
// ready. One goroutine may use one at a time.
//
// # Speed
//
// The inner loop (fast.go) runs on amd64 and arm64 while input and output are
// far from their ends, without checks that its margins make needless. Near the
// ends, and on other architectures, each symbol is decoded with every check
// (careful.go).
package inflate

import (
	"errors"
	"fmt"
	"io"
)

// Errors of [Decoder.Append] and [Reader]; each may be wrapped with a detail.
var (
	// ErrCorrupt reports input that no compressor writes.
	ErrCorrupt = errors.New("inflate: corrupt data")
	// ErrTruncated reports input that ends before its end. It matches
	// [io.ErrUnexpectedEOF].
	ErrTruncated = fmt.Errorf("inflate: truncated data: %w", io.ErrUnexpectedEOF)
	// ErrChecksum reports a member whose checksum or length differs from its
	// contents.
	ErrChecksum = errors.New("inflate: checksum mismatch")
	// ErrGarbage reports bytes behind the end that begin no further member.
	ErrGarbage = errors.New("inflate: garbage behind the end")
	// ErrTooLarge reports input that inflates to more than the limit.
	ErrTooLarge = errors.New("inflate: larger than the limit")
)

// Format names the wrapping of the DEFLATE data.
type Format uint8

// The formats.
const (
	Raw  Format = iota // nothing
	Gzip               // RFC 1952, any number of members
	Zlib               // RFC 1950
)
