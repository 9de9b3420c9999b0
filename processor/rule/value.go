package rule

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// value is the right side of a comparison with text: a pattern, or a network of
// addresses.
type value struct {
	pattern string       // in lower case; * matches any text, ? any one character
	network netip.Prefix // if valid, it replaces the pattern
}

// valueOf parses a value of a field.
func valueOf(field, text string) (value, error) {
	switch {
	case text == "":
		return value{}, errors.New(`want text; what is not known is {not: "?*"}`)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return value{}, errors.New("want text that can be printed")
	}
	if field != sourceIP || strings.Trim(text, "0123456789abcdefABCDEF.:/*?") != "" {
		return value{pattern: strings.ToLower(text)}, nil
	}
	if address, ok := parseAddress(text); ok {
		return value{network: netip.PrefixFrom(address, address.BitLen())}, nil
	}
	network, err := netip.ParsePrefix(text)
	switch {
	case err != nil && strings.Trim(text, "*") == "":
		return value{pattern: text}, nil
	case err != nil:
		return value{}, fmt.Errorf("want an address, a network such as 203.0.113.0/24, or the name of a service, got %q", text)
	case network != network.Masked():
		return value{}, fmt.Errorf("want a network with zeros behind its bits, such as %s, got %q", network.Masked(), text)
	case network.Addr().Is4In6():
		return value{}, fmt.Errorf("want an IPv4 network as such, as in 203.0.113.0/24, got %q", text)
	}
	return value{network: network}, nil
}

// String returns the value as a configuration may have it.
func (v value) String() string {
	if v.network.IsValid() {
		if v.network.IsSingleIP() {
			return v.network.Addr().String()
		}
		return v.network.String()
	}
	return v.pattern
}

// match reports whether v matches text, which is address if that is valid.
func (v value) match(text string, address netip.Addr) bool {
	if v.network.IsValid() {
		return v.network.Contains(address)
	}
	return glob(v.pattern, text)
}

// parseAddress parses an address. An IPv4 address in IPv6 form is the IPv4
// address. It does not allocate for the texts of sourceIPAddress.
func parseAddress(text string) (netip.Addr, bool) {
	letters := "0123456789."
	if strings.IndexByte(text, ':') >= 0 {
		letters = "0123456789abcdefABCDEF.:"
	}
	for i := range len(text) {
		if strings.IndexByte(letters, text[i]) < 0 {
			return netip.Addr{}, false
		}
	}
	if text == "" {
		return netip.Addr{}, false
	}
	address, err := netip.ParseAddr(text)
	return address.Unmap(), err == nil
}

// glob reports whether the pattern, in lower case, matches text in any case, as
// user names compare (R12).
func glob(pattern, text string) bool {
	star, from := -1, 0 // the last star, and where the text stood behind what it took
	p, t := 0, 0
	for t < len(text) {
		r, n := lower(text[t:])
		if p < len(pattern) {
			want, m := utf8.DecodeRuneInString(pattern[p:])
			if want == '*' {
				star, from = p, t
				p++
				continue
			}
			if want == '?' || want == r {
				p += m
				t += n
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, n = lower(text[from:])
		from += n
		p, t = star+1, from
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// lower returns the first character of s in lower case, and its length in s.
func lower(s string) (rune, int) {
	if c := s[0]; c < utf8.RuneSelf {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		return rune(c), 1
	}
	r, n := utf8.DecodeRuneInString(s)
	return unicode.ToLower(r), n
}

// any reports whether v matches all text.
func (v value) any() bool { return v.pattern != "" && strings.Trim(v.pattern, "*") == "" }

// literal reports whether v matches one text only.
func (v value) literal() bool { return v.pattern != "" && !strings.ContainsAny(v.pattern, "*?") }

// covers reports whether v certainly matches everything that w matches.
func (v value) covers(w value) bool {
	switch {
	case v.any():
		return true
	case v.network.IsValid() && w.network.IsValid():
		return v.network.Bits() <= w.network.Bits() && v.network.Contains(w.network.Addr())
	case v.network.IsValid(), w.network.IsValid():
		return false
	}
	return globCovers(v.pattern, w.pattern)
}

// globCovers matches one pattern with another: each wildcard of narrow has to
// meet one that accepts the same or more in wide.
func globCovers(wide, narrow string) bool {
	a, b := []rune(wide), []rune(narrow)
	ends := make([]bool, len(b)+1) // whether the rest of a covers the rest of b from there
	ends[len(b)] = true
	for i := len(a) - 1; i >= 0; i-- {
		next := make([]bool, len(b)+1)
		for j := len(b); j >= 0; j-- {
			switch {
			case a[i] == '*':
				next[j] = ends[j] || j < len(b) && next[j+1]
			case j == len(b), b[j] == '*':
			case a[i] == '?', a[i] == b[j]:
				next[j] = ends[j+1]
			}
		}
		ends = next
	}
	return ends[0]
}

// apart reports whether v and w certainly match nothing in common.
func (v value) apart(w value) bool {
	switch {
	case v.network.IsValid() && w.network.IsValid():
		return !v.network.Overlaps(w.network)
	case v.network.IsValid():
		return w.literal() // and no address, or it would be a network
	case w.network.IsValid():
		return v.literal()
	}
	return !globsMeet(v.pattern, w.pattern)
}

// globsMeet reports whether some text matches both patterns.
func globsMeet(x, y string) bool {
	a, b := []rune(x), []rune(y)
	meet := make([]bool, len(b)+1) // of the rests of a and b
	for i := len(a); i >= 0; i-- {
		next := make([]bool, len(b)+1)
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				next[j] = true
			case i < len(a) && a[i] == '*':
				next[j] = meet[j] || j < len(b) && next[j+1]
			case j < len(b) && b[j] == '*':
				next[j] = next[j+1] || i < len(a) && meet[j]
			case i < len(a) && j < len(b) && (a[i] == '?' || b[j] == '?' || a[i] == b[j]):
				next[j] = meet[j+1]
			}
		}
		meet = next
	}
	return meet[0]
}
