package trail

import (
	"bytes"

	"github.com/mfawatch/mfawatch/processor/trail/escape"
	"github.com/mfawatch/mfawatch/processor/trail/vector"
)

// A walk is one forward pass over a document. It knows which objects are open
// at its position, and so whether that position lies within a record. It goes
// only as far as it is asked to, and never back.
//
// Braces alone carry the structure that matters: lists, keys and values are
// stepped over. The bytes beside most braces show whether they stand in
// a string, because in JSON a quote is followed by a comma, a colon, a closing
// bracket or white space exactly if it closes a string, with the exception of
// strings that begin with such a byte. Where the neighbours do not decide, the
// strings are walked one by one from the last place known to be outside of one.
// Right behind a brace the walk goes in blocks, if the processor can.
type walk struct {
	position
	pos  int // everything before w[pos] is walked
	sure int // w[sure] is outside of strings; sure <= pos
	// The string walked into last, and where the search for its end goes on.
	// Its end is -1 as long as the window ends in it.
	open, end, seek int
	shut            int                // the last closing brace outside of strings
	walked          int64              // bytes looked at, as a measure of the work
	masks           *[256]vector.Block // of blocks
}

// reset readies the walk for the start of a document.
func (k *walk) reset() {
	k.position.reset()
	k.pos, k.sure, k.open, k.end, k.shut, k.walked = 0, 0, -1, -1, -1, 0
}

// drop follows the window as its first n bytes go.
func (k *walk) drop(n int) {
	k.position.drop(n)
	k.pos -= n
	k.sure -= n
	k.shut -= n
	k.seek -= n
	k.open -= n
	if k.end >= 0 {
		k.end = max(0, k.end-n)
	}
}

// copy makes k stand where from stands.
func (k *walk) copy(from *walk) {
	stack, found := k.stack, k.found
	*k = *from
	k.stack = append(stack[:0], from.stack...)
	k.found, k.ready = found[:0], 0
	for i := range k.stack {
		k.stack[i].mark, k.stack[i].watched = 0, false
	}
}

// started reports whether the walk has left the start of the document.
func (k *walk) started() bool { return k.walked > 0 }

// cut reports whether the window ends in the string that the walk is in.
func (k *walk) cut() bool { return k.open >= k.sure && k.end < 0 }

// before marks the bytes that stand before a string and never at the end of
// one; behind marks the bytes that follow one.
var before, behind = tableOf("{[,: \t\r\n"), tableOf("}],: \t\r\n")

func tableOf(s string) (is [256]bool) {
	for _, c := range []byte(s) {
		is[c] = true
	}
	return is
}

// to walks to w[to:]; in a string it may stop short of that or beyond. Behind
// w[to:] there are two bytes more, or the document ends.
func (k *walk) to(w []byte, to int, final bool) {
	if k.cut() {
		k.text(w, final)
	}
	if to <= k.pos || k.cut() {
		return
	}
	k.walked += int64(to - k.pos)
	pos, next := k.pos, k.pos
	open, shut := pos-1, pos-1
	for pos < to {
		if k.sure == pos && pos >= next {
			pos = k.blocks(w, pos, to)
			next = pos + afterBlocks
		}
		if open < pos {
			open = indexByte(w, '{', pos, to)
		}
		if shut < pos {
			shut = indexByte(w, '}', pos, to)
		}
		i := min(open, shut)
		if i >= to {
			break
		}
		var place place
		if i == open {
			place = opening(w, i)
		} else {
			place = k.closing(w, i)
		}
		if place == unknown {
			if place = k.strings(w, i, final); place == unknown {
				return // cut
			}
		}
		pos = i + 1
		switch {
		case place == pair:
			pos++
			continue
		case place == inside:
			pos = max(pos, k.sure)
			continue
		case i == open:
			k.opened(w, i)
		default:
			k.closed(w, i)
			k.shut = i
		}
		k.sure = pos
	}
	k.pos = max(pos, to)
}

func indexByte(w []byte, c byte, from, to int) int {
	if n := bytes.IndexByte(w[from:to], c); n >= 0 {
		return from + n
	}
	return to
}

// A place is where a brace stands.
type place uint8

const (
	unknown place = iota
	outside       // of strings
	inside        // a string
	pair          // {}: without effect, wherever it stands
)

// opening returns the place of the brace at w[i], by the bytes behind it.
func opening(w []byte, i int) place {
	if i+2 >= len(w) {
		return unknown
	}
	switch w[i+1] {
	case '"':
		if behind[w[i+2]] {
			return unknown
		}
		return outside // the quote opens a string
	case '\n', '\r', '\t':
		return outside // strings hold no raw control bytes
	case ' ':
		return unknown
	case '}':
		return pair
	}
	return inside
}

// closing returns the place of the brace at w[i], by the bytes around it.
func (k *walk) closing(w []byte, i int) place {
	if i+1 < len(w) {
		switch w[i+1] {
		case ',', '}', ']', ' ', '\n', '\r', '\t':
		case '{':
			return unknown
		default:
			return inside
		}
	}
	j := i - 1
	if j >= 0 && w[j] == ']' {
		j--
	}
	if j < 2 {
		return unknown
	}
	if j == k.shut {
		return outside
	}
	low := max(2, j-64)
	switch c := w[j]; {
	case c == '"':
		return behindQuote(w, j)
	case wordBytes[c]: // a number, true, false or null
		for j > low && wordBytes[w[j]] {
			j--
		}
		if w[j] == ':' && w[j-1] == '"' && behindQuote(w, j-1) == outside {
			return outside
		}
	case isSpace(c):
		for j > low && w[j] == ' ' {
			j--
		}
		if isSpace(w[j]) && w[j] != ' ' {
			return outside // strings hold no raw control bytes
		}
	}
	return unknown
}

// behindQuote returns the place of the closing bracket behind the quote at w[j].
func behindQuote(w []byte, j int) place {
	switch b := w[j-1]; {
	case b == '\\' && w[j-2] != '\\':
		return inside // the quote is escaped
	case b == '\\' || before[b]:
		return unknown
	}
	return outside // the quote closes a string
}

// strings walks string by string from k.sure to w[i], which is the place it
// returns: unknown if the window ends in the string. A string around w[i] is
// walked to its end.
func (k *walk) strings(w []byte, i int, final bool) place {
	for k.sure <= i {
		open := indexByte(w, '"', k.sure, i)
		k.walked += int64(open - k.sure)
		if open == i {
			k.sure = i
			return outside
		}
		k.open, k.end, k.seek = open, -1, open+1
		if !k.text(w, final) {
			return unknown
		}
	}
	return inside
}

// text walks to the end of the string it is in.
func (k *walk) text(w []byte, final bool) bool {
	end := escape.StringEnd(w, k.seek)
	if end < 0 {
		rest := w[k.seek:]
		k.walked += int64(len(rest))
		k.seek = len(w)
		if !final && escape.Escaped(rest, len(rest)) {
			k.seek-- // the byte behind the window is escaped
		}
		k.pos = k.seek
		return false
	}
	k.walked += int64(end - k.seek)
	k.end = end
	k.sure, k.pos = end+1, max(k.pos, end+1)
	return true
}

// around walks to the string that w[i] stands in, and to its end. It reports
// where that opens, which may be before the window, and where it closes: -1 if
// the window ends in it. ok says whether w[i] stands in a string at all.
func (k *walk) around(w []byte, i int, final bool) (open, end int, ok bool) {
	k.to(w, i, final)
	if !k.cut() && k.sure <= i {
		k.strings(w, i, final)
	}
	return k.open, k.end, k.cut() || k.open < i && i < k.end
}

// key walks to the key that opens at w[q], the eventName of a watched event.
func (k *walk) key(w []byte, q int) {
	k.to(w, q, false)
	if k.cut() || k.sure > q {
		// In JSON a quote before a letter opens a string, wherever it stands.
		k.open, k.end, k.pos = -1, -1, q
		k.lost(q)
	}
	k.sure = q
	k.named(w, q)
}

// marker walks to the key that opens at w[q], the marker of a mapped record.
func (k *walk) marker(w []byte, q int) {
	if k.to(w, q, false); k.cut() || k.sure > q {
		return // the structure is not right
	}
	k.sure = q
	k.marked(w, q)
}

// skip steps over what ends before w[to], which is outside of strings.
func (k *walk) skip(to int) { k.pos, k.sure = max(k.pos, to), to }

// finish walks to the end of the document, and reports whether that leaves an
// object or a string open.
func (k *walk) finish(w []byte) (open bool) {
	k.to(w, len(w), true)
	end := len(w)
	if k.cut() {
		end = k.open
	}
	k.catchUp(w, end)
	return k.close(len(w)) || k.cut()
}

// needs walks to w[to:] and returns the first byte of the window that may be
// needed from there on.
func (k *walk) needs(w []byte, to int) int {
	if k.to(w, to, false); !k.cut() {
		k.strings(w, k.pos, false)
	}
	if !k.cut() {
		k.catchUp(w, k.pos)
		return min(k.position.needs(k.pos), k.sure)
	}
	k.catchUp(w, k.open)
	if len(w)-k.open > maxQuoted {
		return k.position.needs(k.seek)
	}
	return min(k.position.needs(k.open), k.sure)
}
