package inflate

import "errors"

const (
	history = 32 << 10 // how far back a distance reaches

	// reserve is how much input a core asks for unless there is no more: the
	// definition of a block's codes has 4,551 bits at most, and a member's
	// fields of fixed size have fewer.
	reserve = 1 << 10

	// pairAfter is how much a block inflates to before its literals are paired:
	// a short block is over before that pays.
	pairAfter = 16 << 10
)

var (
	errInput  = errors.New("more input is needed")
	errOutput = errors.New("more room is needed")
)

// A state is where in the DEFLATE data a core stands.
type state uint8

const (
	beforeBlock state = iota
	inStored
	inCodes
	afterLast
)

// A core decodes DEFLATE data, from in to out. It stops where either ends
// and goes on where it stopped once its owner has changed them.
type core struct {
	in   []byte
	at   int  // what stands before it in in has been read
	last bool // nothing follows in

	out   []byte
	n     int // out[:n] is inflated
	pause int // stop when n has come so far, rather than fill out to its end
	base  int // where in out the earliest byte stands that a distance may reach

	bits  uint64 // read from in and not used yet, the lowest first; zeros above
	nbits uint   // their number; fewer than 8 when the core stops

	state    state
	final    bool // the block is the last one
	paired   bool // the table of literals is paired
	fixed    bool // the tables are those of the fixed codes
	careful  bool // never run the fast loop
	stored   int  // bytes left of a stored block
	length   int  // bytes left of a copy
	distance int  // its distance

	literals  [literalSize]entry
	distances [distanceSize]entry
	precode   [lengthSize]entry
	lengths   [maxLiterals + maxDistances]uint8
}

// restart prepares for the next DEFLATE data; in and out stay as they are.
func (c *core) restart() {
	c.bits, c.nbits, c.state, c.final, c.length = 0, 0, beforeBlock, false, 0
	c.base = c.n
}

// inflate decodes until the data ends, with nil, or until it must stop.
func (c *core) inflate() error {
	for {
		var err error
		switch c.state {
		case beforeBlock:
			err = c.block()
		case inStored:
			err = c.copyStored()
		case inCodes:
			err = c.codes()
		default:
			c.unread()
			return nil
		}
		if err != nil {
			c.unread()
			return err
		}
	}
}

// fill reads input until there are 56 bits or more, if it has so many.
func (c *core) fill() {
	for c.nbits < 56 && c.at < len(c.in) {
		c.bits |= uint64(c.in[c.at]) << c.nbits
		c.at++
		c.nbits += 8
	}
}

// unread gives whole bytes back to the input.
func (c *core) unread() {
	c.at -= int(c.nbits >> 3)
	c.nbits &= 7
	c.bits &= 1<<c.nbits - 1
}

// use drops n bits, of which there are as many.
func (c *core) use(n uint) {
	c.bits >>= n
	c.nbits -= n
}

// short is the error where the input ends in the middle.
func (c *core) short() error {
	if c.last {
		return ErrTruncated
	}
	return errInput
}

// low reports whether there may be too little input to go on, and more to come.
func (c *core) low() bool { return !c.last && len(c.in)-c.at < reserve }

// block reads the header of a block.
func (c *core) block() error {
	if c.low() {
		return errInput
	}
	c.fill()
	if c.nbits < 3 {
		return ErrTruncated
	}
	c.final = c.bits&1 != 0
	kind := c.bits >> 1 & 3
	c.use(3)
	switch kind {
	case 0:
		return c.storedBlock()
	case 1:
		c.fixedCodes()
	case 2:
		c.fixed = false
		if err := c.dynamicCodes(); err != nil {
			return err
		}
	default:
		return ErrCorrupt
	}
	c.state = inCodes
	return nil
}

// ended leaves a block.
func (c *core) ended() {
	c.state = beforeBlock
	if c.final {
		c.state = afterLast
	}
}

func (c *core) storedBlock() error {
	c.use(c.nbits & 7)
	c.fill()
	if c.nbits < 32 {
		return ErrTruncated
	}
	n, inverse := uint16(c.bits), uint16(c.bits>>16)
	c.use(32)
	if n != ^inverse {
		return ErrCorrupt
	}
	c.unread()
	c.stored, c.state = int(n), inStored
	return nil
}

func (c *core) copyStored() error {
	n := copy(c.out[c.n:], c.in[c.at:min(c.at+c.stored, len(c.in))])
	c.at += n
	c.n += n
	c.stored -= n
	switch {
	case c.stored == 0:
		c.ended()
		return nil
	case c.n == len(c.out):
		return errOutput
	}
	return c.short()
}

func (c *core) fixedCodes() {
	if c.fixed {
		return
	}
	var lengths [288]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	build(c.literals[:], literalRoot, lengths[:], literalSymbols[:])
	for i := range 32 {
		lengths[i] = 5
	}
	build(c.distances[:], distanceRoot, lengths[:32], distanceSymbols[:])
	c.paired, c.fixed = false, true
}

// order is in which order the lengths of the precode are stored.
var order = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamicCodes reads the codes that a block defines.
func (c *core) dynamicCodes() error {
	c.fill()
	if c.nbits < 14 {
		return ErrTruncated
	}
	literals := int(c.bits&31) + 257
	distances := int(c.bits>>5&31) + 1
	precodes := int(c.bits>>10&15) + 4
	c.use(14)
	if literals > maxLiterals || distances > maxDistances {
		return ErrCorrupt
	}
	var precode [19]uint8
	for _, symbol := range order[:precodes] {
		if c.nbits < 3 {
			if c.fill(); c.nbits < 3 {
				return ErrTruncated
			}
		}
		precode[symbol] = uint8(c.bits & 7)
		c.use(3)
	}
	if !build(c.precode[:], lengthRoot, precode[:], lengthSymbols[:]) {
		return ErrCorrupt
	}
	lengths := c.lengths[:literals+distances]
	if err := c.readLengths(lengths); err != nil {
		return err
	}
	c.paired = false
	if !build(c.literals[:], literalRoot, lengths[:literals], literalSymbols[:]) ||
		!build(c.distances[:], distanceRoot, lengths[literals:], distanceSymbols[:]) {
		return ErrCorrupt
	}
	return nil
}

// readLengths reads the lengths of a block's codes, which are run-length coded.
func (c *core) readLengths(lengths []uint8) error {
	for i := 0; i < len(lengths); {
		if c.nbits < 7+7 {
			c.fill()
		}
		e := c.precode[c.bits&(1<<lengthRoot-1)]
		if e.used() > c.nbits {
			return ErrTruncated
		}
		if e&exception != 0 {
			return ErrCorrupt
		}
		c.use(e.used())
		symbol := e.value()
		if symbol < 16 {
			lengths[i] = uint8(symbol)
			i++
			continue
		}
		value, least, extra := uint8(0), 3, uint(2)
		switch symbol {
		case 16:
			if i == 0 {
				return ErrCorrupt
			}
			value = lengths[i-1]
		case 17:
			extra = 3
		default:
			least, extra = 11, 7
		}
		if extra > c.nbits {
			return ErrTruncated
		}
		n := least + int(c.bits&(1<<extra-1))
		c.use(extra)
		if n > len(lengths)-i {
			return ErrCorrupt
		}
		for range n {
			lengths[i] = value
			i++
		}
	}
	return nil
}
