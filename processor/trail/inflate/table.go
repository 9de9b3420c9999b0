package inflate

import "math/bits"

// An entry says what a code stands for:
//
//	bits 31–30  number of literals: none, one or two
//	bits 29–14  value: the literals, the base of a length or of a distance, or
//	            where a subtable begins
//	bit 11      exception: the end of the block, or no code at all if the value
//	            is not zero
//	bit 10      subtable
//	bits 9–6    length of the code, of the first one where there are two, or the
//	            number of bits that index the subtable
//	bits 5–0    number of bits to consume: codes and extra bits
//
// A code longer than the root consumes the root's bits with the entry that
// leads to the subtable, and the others with the entry in there.
type entry uint32

const (
	literal   entry = 1 << 30 // one; an entry that is no less is of literals
	exception entry = 1 << 11
	subtable  entry = 1 << 10

	valueAt = 14
	codeAt  = 6
	codeBit = 1<<codeAt + 1 // a bit more in the code

	noCode = exception | 1<<valueAt
)

func (e entry) literals() int { return int(e >> 30) }
func (e entry) value() int    { return int(e >> valueAt & 0xffff) }
func (e entry) code() uint    { return uint(e>>codeAt) & 15 }
func (e entry) used() uint    { return uint(e) & 63 }

const (
	maxCode = 15 // bits

	literalRoot  = 11
	distanceRoot = 9
	lengthRoot   = 7

	// The roots and their subtables take 2,342 and 594 entries at most, as the
	// program enough of zlib counts for 288 and 32 symbols; build checks it. The
	// sizes are powers of two so that a mask bounds every index.
	literalSize  = 4096
	distanceSize = 1024
	lengthSize   = 1 << lengthRoot

	endOfBlock   = 256
	maxLiterals  = 286 // codes that a block may define
	maxDistances = 30
)

// The entries of all symbols, yet without their codes.
var (
	literalSymbols  = makeLiterals()
	distanceSymbols = makeDistances()
	lengthSymbols   = makeLengths()
)

func makeLiterals() (s [288]entry) {
	for i := range endOfBlock {
		s[i] = literal | entry(i)<<valueAt
	}
	s[endOfBlock] = exception
	base := 3
	for i := range 28 {
		extra := max(i/4-1, 0)
		s[257+i] = entry(base)<<valueAt | entry(extra)
		base += 1 << extra
	}
	s[285] = 258 << valueAt
	s[286], s[287] = noCode, noCode
	return s
}

func makeDistances() (s [32]entry) {
	base := 1
	for i := range maxDistances {
		extra := max(i/2-1, 0)
		s[i] = entry(base)<<valueAt | entry(extra)
		base += 1 << extra
	}
	s[30], s[31] = noCode, noCode
	return s
}

func makeLengths() (s [19]entry) {
	for i := range s {
		s[i] = entry(i) << valueAt
	}
	return s
}

// build fills table, whose root is indexed by root bits, with the canonical
// code that has these lengths. It reports whether that is a code that
// compress/flate accepts.
//
// The root grows with the length of the codes: with each bit it is doubled, so
// that a code is written once and copied with all others. Codes are counted up
// from their highest bit but looked up by their lowest: code holds them
// mirrored.
func build(table []entry, root uint, lengths []uint8, symbols []entry) bool {
	var count, next [maxCode + 1]uint16
	for _, n := range lengths {
		count[n&maxCode]++
	}
	used := len(lengths) - int(count[0])
	count[0] = 0
	space := 1
	for n := 1; n <= maxCode; n++ {
		next[n] = next[n-1] + count[n-1]
		space = space<<1 - int(count[n])
		if space < 0 {
			return false // more codes than there is space for
		}
	}
	if space > 0 && (used > 1 || used == 1 && count[1] == 0) {
		return false // some bits stand for no code
	}
	var sorted [288]uint16
	for symbol, n := range lengths {
		if n != 0 {
			sorted[next[n&maxCode]%288] = uint16(symbol)
			next[n&maxCode]++
		}
	}
	if space > 0 {
		fill := noCode + entry(used)
		for i := range table[:1<<root] {
			table[i] = fill
		}
		if used == 1 {
			for i := 0; i < 1<<root; i += 2 {
				table[i] = symbols[sorted[0]] + codeBit
			}
		}
		return true
	}

	code, i := uint(0), 0
	for n := uint(1); n <= root; n++ {
		if n > 1 {
			copy(table[1<<(n-1):1<<n], table)
		}
		for range count[n] {
			table[code] = symbols[sorted[i]] + entry(n)*codeBit
			i++
			code = after(code, n)
		}
	}
	if i == used {
		return true
	}
	return subtables(table, root, code, sorted[i:used], &count, symbols)
}

// subtables goes on for the codes longer than root, of which code is the first.
func subtables(table []entry, root, code uint, sorted []uint16, count *[maxCode + 1]uint16, symbols []entry) bool {
	end, begin, width, prefix := 1<<root, 0, uint(0), ^uint(0)
	n := root + 1
	for _, symbol := range sorted {
		for count[n] == 0 {
			n++
		}
		if p := code & (1<<root - 1); p != prefix {
			prefix, begin, width = p, end, subtableWidth(root, n, count)
			end += 1 << width
			if end > len(table) {
				return false
			}
			table[p] = entry(begin)<<valueAt | subtable | entry(width)<<codeAt | entry(root)
		}
		e := symbols[symbol] + entry(n-root)*codeBit
		for j := code >> root; j < 1<<width; j += 1 << (n - root) {
			table[begin+int(j)] = e
		}
		count[n]--
		code = after(code, n)
	}
	return true
}

// subtableWidth is how many bits index the subtable that begins with a code of
// n bits: as many as its longest code has behind the root.
func subtableWidth(root, n uint, count *[maxCode + 1]uint16) uint {
	width := n - root
	space := 1 << width
	for {
		space -= int(count[root+width])
		if space <= 0 || root+width == maxCode {
			return width
		}
		width++
		space <<= 1
	}
}

// after is the mirrored code of n bits that follows code: its highest bit that
// is zero is set, and those above are cleared. Behind the last code of all it
// is that code.
func after(code, n uint) uint {
	zeros := ^code & (1<<n - 1)
	if zeros == 0 {
		return code
	}
	bit := uint(1) << (bits.Len(zeros) - 1)
	return code&(bit-1) | bit
}

// pair lets one entry of the root stand for two literals wherever their codes
// fit into it: text that does not repeat is decoded with half the look-ups.
func pair(table *[literalSize]entry) {
	// Downwards: what remains of an index behind a code of one bit or more is
	// below it, except for the index 0, whose remainder is 0.
	for i := 1<<literalRoot - 1; i >= 0; i-- {
		first := table[i]
		if first < literal {
			continue
		}
		second := table[i>>first.code()]
		if second < literal || first.code()+second.code() > literalRoot {
			continue
		}
		both := entry(first.value() | second.value()<<8)
		table[i] = 2*literal | both<<valueAt | entry(first.code())<<codeAt | entry(first.code()+second.code())
	}
}
