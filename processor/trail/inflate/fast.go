//go:build amd64 || arm64

package inflate

import "unsafe"

const (
	haveFast = true

	// inputMargin is how much input has to follow at the beginning of a round.
	// A round loads 8 bytes twice, the second time 7 bytes further on at most.
	inputMargin = 15
	// outputMargin is how much room a round needs: three times two literals, a
	// copy of 258 bytes, and what a copy may write behind its end.
	outputMargin = 6 + 258 + 32

	_ = uint(Slack - outputMargin) // the room that callers leave is enough
)

// The loop reads and writes through these four, which do not check bounds. It
// runs on little-endian architectures that load unaligned words.
func load64(p unsafe.Pointer, at int) uint64     { return *(*uint64)(unsafe.Add(p, at)) }
func store16(p unsafe.Pointer, at int, v uint16) { *(*uint16)(unsafe.Add(p, at)) = v }
func copy8(p unsafe.Pointer, to, from int) {
	*(*[8]byte)(unsafe.Add(p, to)) = *(*[8]byte)(unsafe.Add(p, from))
}
func copy16(p unsafe.Pointer, to, from int) {
	*(*[16]byte)(unsafe.Add(p, to)) = *(*[16]byte)(unsafe.Add(p, from))
}

// fast decodes symbols until the block ends, the output comes to stop, or the
// margins are used up. When it is called, 8 bytes more than the margin have to be
// in the input, so that at least one round runs.
//
// Every round begins with
//
//	0 ≤ i ≤ len(in)-inputMargin, 0 ≤ n ≤ len(out)-outputMargin
//
// and with 56 bits or more. That proves all that is not checked:
//
//   - A round refills twice at most. The first loads in[i:i+8] and moves i by 7
//     at most; the second loads 8 bytes that end at i+15 or before.
//   - A round writes three entries of one or two literals at most (6 bytes, and
//     the second byte of a single one is written too), then one copy: 258 bytes
//     and 31 behind them.
//   - A copy reads from n-distance on, where base ≤ n-distance is checked, and
//     never reads behind what it writes.
//   - Three entries of the root take 33 of the 56 bits. Behind one or two of
//     them the bits are refilled; a length and a distance take 48 at most. An
//     entry with a subtable takes 15 with it.
//
// Bits above nbits mirror the input at i and are read again. In the loop nbits is
// counted modulo 64, so that a whole entry, whose lowest six bits count, can be
// taken from it.
func (c *core) fast(stop int) (err error) {
	in, out := unsafe.Pointer(unsafe.SliceData(c.in)), unsafe.Pointer(unsafe.SliceData(c.out))
	inEnd, outEnd := len(c.in)-inputMargin, min(stop-1, len(c.out)-outputMargin)
	i, n, base := c.at, c.n, c.base
	bits, nbits := c.bits, c.nbits
	literals, distances := &c.literals, &c.distances

	bits |= load64(in, i) << (nbits & 63)
	i += int(7 - nbits>>3&7)
	nbits |= 56
	e := literals[bits&(1<<literalRoot-1)]
	for i <= inEnd && n <= outEnd {
		if e >= literal {
			bits >>= e.used()
			nbits -= uint(e)
			store16(out, n, uint16(e>>valueAt))
			n += e.literals()
			e = literals[bits&(1<<literalRoot-1)]
			if e >= literal {
				bits >>= e.used()
				nbits -= uint(e)
				store16(out, n, uint16(e>>valueAt))
				n += e.literals()
				e = literals[bits&(1<<literalRoot-1)]
				if e >= literal {
					bits >>= e.used()
					nbits -= uint(e)
					store16(out, n, uint16(e>>valueAt))
					n += e.literals()
					bits |= load64(in, i) << (nbits & 63)
					i += int(7 - nbits>>3&7)
					nbits |= 56
					e = literals[bits&(1<<literalRoot-1)]
					continue
				}
			}
			bits |= load64(in, i) << (nbits & 63)
			i += int(7 - nbits>>3&7)
			nbits |= 56
		}
		if e&(subtable|exception) != 0 {
			if e&subtable != 0 {
				bits >>= literalRoot
				nbits -= literalRoot
				e = literals[(uint(e>>valueAt)+uint(bits&(1<<e.code()-1)))%literalSize]
				if e >= literal {
					bits >>= e.used()
					nbits -= uint(e)
					store16(out, n, uint16(e>>valueAt))
					n++
					bits |= load64(in, i) << (nbits & 63)
					i += int(7 - nbits>>3&7)
					nbits |= 56
					e = literals[bits&(1<<literalRoot-1)]
					continue
				}
			}
			if e&exception != 0 {
				if e.value() != 0 {
					err = ErrCorrupt
					break
				}
				bits >>= e.used()
				nbits -= uint(e)
				c.ended()
				break
			}
		}
		saved := bits
		bits >>= e.used()
		nbits -= uint(e)
		length := int(e>>valueAt) + int(saved&(1<<e.used()-1)>>e.code())

		e = distances[bits&(1<<distanceRoot-1)]
		if e&subtable != 0 {
			bits >>= distanceRoot
			nbits -= distanceRoot
			e = distances[(uint(e>>valueAt)+uint(bits&(1<<e.code()-1)))%distanceSize]
		}
		saved = bits
		bits >>= e.used()
		nbits -= uint(e)
		distance := int(e>>valueAt) + int(saved&(1<<e.used()-1)>>e.code())
		if e&exception != 0 || distance > n-base {
			err = ErrCorrupt
			break
		}
		// The next look-up waits for memory while this one's bytes are copied.
		bits |= load64(in, i) << (nbits & 63)
		i += int(7 - nbits>>3&7)
		nbits |= 56
		e = literals[bits&(1<<literalRoot-1)]

		from, to := n-distance, n
		n += length
		switch {
		case distance >= 16:
			copy16(out, to, from)
			copy16(out, to+16, from+16)
			for length > 32 {
				to += 32
				from += 32
				copy16(out, to, from)
				copy16(out, to+16, from+16)
				length -= 32
			}
		case distance >= 8:
			copy8(out, to, from)
			for length > 8 {
				to += 8
				from += 8
				copy8(out, to, from)
				length -= 8
			}
		default:
			// Of each 8 bytes as many are right as the distance has, which the
			// next 8 begin behind.
			for to < n {
				copy8(out, to, from)
				to += distance
				from += distance
			}
		}
	}
	c.at, c.n = i, n
	c.bits, c.nbits = bits, nbits&63
	c.unread()
	return err
}
