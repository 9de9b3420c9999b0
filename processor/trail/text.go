package trail

import (
	"unsafe"
)

// wordBytes are letters and digits.
var wordBytes = func() (is [256]bool) {
	for c := range is {
		is[c] = '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	return is
}()

// inRun are letters, digits and the backslash.
var inRun = func() (is [256]bool) {
	is = wordBytes
	is['\\'] = true
	return is
}()

func skipSpace(w []byte, i int) int {
	for i < len(w) && isSpace(w[i]) {
		i++
	}
	return i
}

// spaceBefore is i less the white space before w[i].
func spaceBefore(w []byte, i int) int {
	for i > 0 && isSpace(w[i-1]) {
		i--
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

func opens(c byte) bool  { return c == '{' || c == '[' }
func closes(c byte) bool { return c == '}' || c == ']' }

// view returns b as a string that shares its memory: for look-ups that keep
// nothing.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
