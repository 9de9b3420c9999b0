// Package escape reads the escapes of JSON strings that hold JSON, which may be escaped
// any number of times. Text is not validated: each input has a result.
package escape

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// Escaped reports whether the byte at w[i] is escaped: an odd number of
// backslashes before it.
func Escaped(w []byte, i int) bool {
	odd := false
	for i > 0 && w[i-1] == '\\' {
		odd = !odd
		i--
	}
	return odd
}

// StringEnd is the closing quote of the string whose text begins at w[i], -1
// if w ends in it.
func StringEnd(w []byte, i int) int {
	from := i
	for i < len(w) {
		n := bytes.IndexByte(w[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		if !Escaped(w[from:], i-from) {
			return i
		}
		i++
	}
	return -1
}

// Spell appends src to dst with the \u00xx escapes replaced by their bytes,
// however often the backslash itself is escaped. dst may be src[:0].
func Spell(dst, src []byte) []byte {
	for i := 0; i < len(src); {
		j := i
		for j < len(src) && src[j] == '\\' {
			j++
		}
		if j > i && j+5 <= len(src) && string(src[j:j+3]) == "u00" && isHex(src[j+3]) && isHex(src[j+4]) {
			dst = append(dst, unhex(src[j+3])<<4|unhex(src[j+4]))
			i = j + 5
			continue
		}
		j = max(j, i+1)
		dst = append(dst, src[i:j]...)
		i = j
	}
	return dst
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0
}

// Value reads the escaped form of `": "value"` at the beginning of b:
// the value up to its end, nil if b is nothing of the kind. It is not sure where
// escapes hide something or b ends in it.
func Value(b []byte) (value []byte, sure bool) {
	var seen [3]byte // quote, colon, quote
	n, i := 0, 0
	for i < len(b) && n < len(seen) {
		c, size := unescapeAny(b[i:])
		switch c {
		case ' ', '\t', '\n', '\r':
		case '"', ':':
			seen[n] = c
			n++
		default:
			if b[i] == '\\' {
				return b[:0], false // an escape that hides something
			}
			return nil, true
		}
		i += size
	}
	if n < len(seen) {
		return b[:0], false
	}
	if string(seen[:]) != `":"` {
		return nil, true
	}
	for j := i; j < len(b); j++ {
		if b[j] == '"' {
			return nil, true // the string itself ends here
		}
		if b[j] == '\\' {
			c, size := unescapeAny(b[j:])
			return b[i:j], size > 0 && c == '"'
		}
	}
	return b[i:], false
}

// unescapeAny reads one character at the beginning of b, however often it is
// escaped; size 0 says that b ends in it.
func unescapeAny(b []byte) (c byte, size int) {
	i := 0
	for i < len(b) && b[i] == '\\' {
		i++
	}
	if i == len(b) {
		return 0, 0
	}
	if i == 0 {
		return b[0], 1
	}
	switch b[i] {
	case 'n':
		return '\n', i + 1
	case 't':
		return '\t', i + 1
	case 'r':
		return '\r', i + 1
	case 'u':
		if i+5 > len(b) {
			return 0, 0
		}
		if b[i+1] != '0' || b[i+2] != '0' || !isHex(b[i+3]) || !isHex(b[i+4]) {
			return 0, i + 5
		}
		return unhex(b[i+3])<<4 | unhex(b[i+4]), i + 5
	}
	return b[i], i + 1
}

// Append appends the text of the JSON string src, without its quotes, to dst.
func Append(dst, src []byte) []byte {
	for len(src) > 0 {
		n := bytes.IndexByte(src, '\\')
		if n < 0 || n+1 == len(src) {
			return append(dst, src...)
		}
		dst = append(dst, src[:n]...)
		c := src[n+1]
		src = src[n+2:]
		switch c {
		case 'n':
			dst = append(dst, '\n')
		case 't':
			dst = append(dst, '\t')
		case 'r':
			dst = append(dst, '\r')
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'u':
			r, size := unescapeRune(src)
			dst = utf8.AppendRune(dst, r)
			src = src[size:]
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// unescapeRune reads the hex digits behind a \u, and the second half of a pair.
func unescapeRune(b []byte) (r rune, size int) {
	if len(b) < 4 {
		return utf8.RuneError, len(b)
	}
	r = hex4(b)
	if utf16.IsSurrogate(r) {
		if len(b) >= 10 && b[4] == '\\' && b[5] == 'u' {
			if pair := utf16.DecodeRune(r, hex4(b[6:])); pair != utf8.RuneError {
				return pair, 10
			}
		}
		return utf8.RuneError, 4
	}
	return r, 4
}

func hex4(b []byte) rune {
	return rune(unhex(b[0]))<<12 | rune(unhex(b[1]))<<8 | rune(unhex(b[2]))<<4 | rune(unhex(b[3]))
}
