package inflate

// codes decodes the symbols of a block: by the fast loop where that may run,
// else one by one.
func (c *core) codes() error {
	for c.state == inCodes {
		if c.length > 0 {
			if c.copy(); c.length > 0 {
				return errOutput
			}
		}
		if c.n >= c.pause {
			return errOutput
		}
		var err error
		if haveFast && !c.careful && c.at <= len(c.in)-inputMargin-8 && c.n <= len(c.out)-outputMargin {
			err = c.run()
		} else if c.low() {
			err = errInput
		} else {
			err = c.symbol()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// run runs the fast loop as far as that goes, and pairs the literals of a block
// that turns out to be long.
func (c *core) run() error {
	stop := c.pause
	if !c.paired {
		stop = min(stop, c.n+pairAfter)
	}
	if err := c.fast(stop); err != nil {
		return err
	}
	if !c.paired && c.state == inCodes && c.n >= stop {
		pair(&c.literals)
		c.paired = true
	}
	return nil
}

// symbol decodes one literal, one copy or the end of the block. It uses no bit
// unless the input has the whole symbol and the output has room for a literal.
func (c *core) symbol() error {
	c.fill()
	bits, left := c.bits, c.nbits
	e := c.literals[bits&(1<<literalRoot-1)]
	if e&subtable != 0 {
		if left < literalRoot {
			return c.short()
		}
		bits >>= literalRoot
		left -= literalRoot
		e = c.literals[(e.value()+int(bits&(1<<e.code()-1)))%literalSize]
	}
	if e >= literal {
		switch n := e.code(); { // also of two literals only the first
		case n > left:
			return c.short()
		case c.n == len(c.out):
			return errOutput
		default:
			c.out[c.n] = byte(e.value())
			c.n++
			c.bits, c.nbits = bits>>n, left-n
			return nil
		}
	}
	if e.used() > left {
		return c.short()
	}
	if e&exception != 0 {
		if e.value() != 0 {
			return ErrCorrupt
		}
		c.bits, c.nbits = bits>>e.used(), left-e.used()
		c.ended()
		return nil
	}
	length := e.value() + int(bits&(1<<e.used()-1)>>e.code())
	bits >>= e.used()
	left -= e.used()

	e = c.distances[bits&(1<<distanceRoot-1)]
	if e&subtable != 0 {
		if left < distanceRoot {
			return c.short()
		}
		bits >>= distanceRoot
		left -= distanceRoot
		e = c.distances[(e.value()+int(bits&(1<<e.code()-1)))%distanceSize]
	}
	if e.used() > left {
		return c.short()
	}
	distance := e.value() + int(bits&(1<<e.used()-1)>>e.code())
	if e&exception != 0 || distance > c.n-c.base {
		return ErrCorrupt
	}
	c.bits, c.nbits = bits>>e.used(), left-e.used()
	c.length, c.distance = length, distance
	return nil
}

// copy copies as much of a repetition as the output has room for.
func (c *core) copy() {
	for c.length > 0 && c.n < len(c.out) {
		n := copy(c.out[c.n:], c.out[c.n-c.distance : c.n][:min(c.length, c.distance)])
		c.n += n
		c.length -= n
	}
}
