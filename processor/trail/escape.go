package trail

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
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

// spell appends src to dst with the \u00xx escapes replaced by their bytes,
// however often the backslash itself is escaped. dst may be src[:0].
func spell(dst, src []byte) []byte {
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

// unescape appends what the JSON string src means to dst.
func unescape(dst, src []byte) []byte {
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
