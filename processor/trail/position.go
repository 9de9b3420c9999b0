package trail

import "slices"

const (
	// maxRecord is how long a record may be. CloudTrail writes at most 256 KB,
	// Lake 1 MB.
	maxRecord = 1 << 20
	// maxQuoted is how long a string that holds records may be in a stream. A string
	// may hold a batch of records, whose callers choose how much of it is escaped.
	maxQuoted = maxWindow - 1<<20
	// maxNesting is how deep objects, and the lists of a record, may be nested.
	maxNesting = 256
)

// A position is which objects are open at a place in a document, and what was
// found in them. An object is a record by its own members alone, and whatever a
// record holds was written by its caller: findings wait until each object
// around them is known to be none.
type position struct {
	stack []object // open objects, outermost first; of those within a record none
	// within counts open objects that are not on the stack: those inside the
	// record on its top, or nested over the bound.
	within int
	record bool // the top of the stack is a record
	// wrappers counts the objects, from the outermost, that are known to be no
	// records.
	wrappers int
	// read counts the objects, from the outermost, whose members are read up to
	// the object inside: those that hold a watched name or more.
	read  int
	found []finding
	ready int // findings that wait for nothing
	// holder is the last record that had watched names within, if it was one: in a
	// damaged document it may have swallowed records.
	holder    finding
	loose     bool // a brace closed what was not open
	listed    bool // the outermost object met last is an element or a member
	restarted bool // a document began before the one before it had ended
}

// An object is open at the position. Its members count as far as they stand in
// the first maxRecord bytes: a longer object is no record.
type object struct {
	start   int
	next    int // its own members are read up to here
	mark    int // findings that are older than it
	has     traits
	watched bool // its own eventName is a watched one
	holds   bool // it is a record, and there is a watched name within
	// mapped says that it has a marker, or is a mapped record that holds a finding.
	mapped bool
	// reported says that it, or a name in it, is over a bound.
	reported bool
}

// A finding is a part of the window to be scanned or reported.
type finding struct {
	kind       kind
	start, end int
}

type kind uint8

const (
	isWatched    kind = iota // an object with the members of a record, and a watched name
	isText                   // a string that may hold a document
	isMappedText             // a string that may hold a mapped record
	isCoded                  // one in base64
	isSourceless             // an object with a watched name, dated as a record is, without eventSource
	isLong                   // a watched record over the bound
	isDeep                   // a watched name nested over the bound
	isCut                    // a watched record that the document ends in
	isCutText                // a string with a watched name that the document ends in
	isLongText               // one that is longer than the window
	isMapped                 // a mapped record
	isCutMapped              // one that the document ends in
	isLost                   // a watched name whose place in the document is unknown
)

func (p *position) reset() {
	*p = position{stack: p.stack[:0], found: p.found[:0], holder: finding{kind: isCut, end: -1}}
}

func (p *position) drop(n int) {
	for i := range p.stack {
		p.stack[i].start -= n
		p.stack[i].next -= n
	}
	p.holder.start -= n
	p.holder.end = max(-1, p.holder.end-n)
	for i := range p.found {
		p.found[i].start -= n
		p.found[i].end -= n
	}
}

// opened enters the object that opens at w[i].
func (p *position) opened(w []byte, i int) {
	n := len(p.stack)
	if n > p.read && n > 1 && n < cap(p.stack) && n < maxNesting && w[i-1] != '\n' {
		p.push(i) // nothing watched in the objects around
		return
	}
	if n == 0 {
		j := spaceBefore(w, i)
		p.listed = j > 0 && (w[j-1] == ',' || w[j-1] == ':' || w[j-1] == '[')
	} else if i > 0 && w[i-1] == '\n' && p.begins(w, i) {
		p.close(i)
		p.restarted, n = true, 0
	}
	if p.record || n == maxNesting {
		p.within++
		return
	}
	if n > 0 && (p.read == n || n == 1 && p.isFirst(i)) && p.wrappers < n {
		p.read = n
		if p.inspect(w, n-1, i) {
			p.within++
			return
		}
	}
	if n == cap(p.stack) {
		p.stack = slices.Grow(p.stack, n+16)
	}
	p.push(i)
}

func (p *position) push(i int) {
	n := len(p.stack)
	p.stack = p.stack[:n+1]
	o := &p.stack[n]
	o.start, o.next, o.mark, o.has, o.watched, o.holds, o.mapped, o.reported = i, i+1, len(p.found), 0, false, false, false, false
}

// begins reports whether the object at w[i], on a line of its own, comes after
// a value and no comma: it begins a document.
func (p *position) begins(w []byte, i int) bool {
	j := spaceBefore(w, i)
	return j > 0 && w[j-1] != ',' && w[j-1] != ':' && w[j-1] != '['
}

// isFirst reports whether w[i] is near to the start of the outermost object:
// so it is where an envelope begins with its list.
func (p *position) isFirst(i int) bool {
	const near = 64
	o := &p.stack[0]
	return o.next == o.start+1 && i-o.start < near
}

// closed leaves the object that closes at w[i].
func (p *position) closed(w []byte, i int) {
	if p.within > 0 {
		p.within--
		return
	}
	n := len(p.stack) - 1
	if n < 0 {
		p.loose = true
		return
	}
	if n < p.read {
		o := &p.stack[n]
		if !p.record && n >= p.wrappers {
			p.inspect(w, n, i)
		}
		p.settle(o, i+1)
		p.read, p.record = n, false
		p.wrappers = min(p.wrappers, n)
		if n > 0 {
			p.stack[n-1].next = i + 1
		}
	}
	p.stack = p.stack[:n]
	if len(p.found) > p.ready {
		p.release(i + 1)
	}
}

// settle turns the object that ended at w[end], all of whose members are read,
// into what was found of it.
func (p *position) settle(o *object, end int) {
	switch {
	case p.record && !o.has.ofRecord():
		if o.mapped || o.holds || o.watched {
			p.found = append(p.found, finding{isMapped, o.start, end})
		}
	case p.record:
		if o.holds {
			p.holder.start, p.holder.end = o.start, end
		}
		if o.watched && !o.reported {
			kind := isWatched
			if end-o.start > maxRecord {
				kind = isLong
			}
			p.found = append(p.found, finding{kind, o.start, end})
		}
	case o.watched && len(p.found) == o.mark && o.has&(hasDate|hasS3|hasSource|hasOther) == hasDate:
		p.found = append(p.found, finding{isSourceless, o.start, end})
	}
}

// inspect reads the own members of stack[n] up to w[limit], and reports whether
// that showed it to be a record: so it becomes the top of the stack.
func (p *position) inspect(w []byte, n, limit int) bool {
	o := &p.stack[n]
	if far := o.start + maxRecord; limit <= far {
		o.read(w, limit)
	} else if o.next < far {
		o.read(w, far)
		o.next = limit
	}
	switch {
	case o.has&hasList != 0:
		if p.wrappers == n {
			p.wrappers++
		}
	case o.has.ofRecord() || o.has.ofMapped():
		o.mapped = o.mapped || len(p.found) > o.mark
		p.found = p.found[:o.mark]
		p.within += len(p.stack) - 1 - n
		p.stack, p.record, p.read = p.stack[:n+1], true, n+1
		return true
	}
	return false
}

// catchUp reads the members of all open objects up to w[i], which stands in the
// innermost one.
func (p *position) catchUp(w []byte, i int) {
	for n := max(0, p.read-1); n < len(p.stack) && !p.record; n++ {
		limit := i
		if n+1 < len(p.stack) {
			limit = p.stack[n+1].start
		} else if p.within > 0 {
			limit = p.stack[n].next // objects over the bound are not read
		}
		p.read = n + 1
		if n >= p.wrappers {
			p.inspect(w, n, limit)
		}
	}
}

// release readies the findings if no open object can be a record around them.
func (p *position) release(i int) {
	for p.wrappers < p.read && !(p.record && p.wrappers == len(p.stack)-1) {
		if o := &p.stack[p.wrappers]; o.has&hasList == 0 && i-o.start <= maxRecord {
			break
		}
		p.wrappers++
	}
	if p.wrappers == len(p.stack) {
		p.ready = len(p.found)
	}
}

// add notes what was found in the innermost object, unless that is a record or
// within one.
func (p *position) add(w []byte, kind kind, start, end int) {
	p.catchUp(w, start)
	if p.record {
		p.stack[len(p.stack)-1].mapped = true
		return
	}
	if p.within > 0 {
		o := &p.stack[len(p.stack)-1]
		if o.reported {
			return
		}
		o.reported, kind = true, isDeep
	}
	p.found = append(p.found, finding{kind, start, end})
	p.release(start)
}

// lost notes that the structure before w[i] cannot be right.
func (p *position) lost(i int) {
	p.found = append(p.found, finding{isLost, i, i})
	p.release(i)
}

// named notes that the own eventName of the innermost object, whose key opens
// at w[q], is a watched one.
func (p *position) named(w []byte, q int) {
	p.catchUp(w, q)
	if len(p.stack) == 0 {
		p.lost(q)
		return
	}
	o := &p.stack[len(p.stack)-1]
	switch {
	case p.record && p.within > 0: // the caller's own, if the record ends
		o.holds = true
	case p.record, p.within == 0 && q-o.start <= maxRecord:
		o.watched = true
	case p.within > 0:
		p.add(w, isDeep, q, q)
	case !o.reported:
		o.reported = true
		p.add(w, isLong, q, q)
	}
}

// marked notes that the innermost object has the marker whose key opens at w[q].
func (p *position) marked(w []byte, q int) {
	p.catchUp(w, q)
	if n := len(p.stack); n > 0 && p.within == 0 {
		p.stack[n-1].mapped = true
	}
}

// close ends the document at w[end], and reports whether that left objects open.
// Content of an object that looks like part of a record cannot be proven,
// and is reported.
func (p *position) close(end int) (open bool) {
	if open = len(p.stack) > 0; open && p.holder.end >= 0 {
		p.found = append(p.found, p.holder)
		p.holder.end = -1
	}
	for n := p.wrappers; n < len(p.stack); n++ {
		o := &p.stack[n]
		inside := p.found[min(o.mark, len(p.found)):]
		if (o.watched || o.holds) && !o.reported {
			p.found = append(p.found[:len(p.found)-len(inside)], finding{isCut, o.start, end})
			break
		}
		if o.mapped && o.has.ofMapped() {
			p.found = append(p.found[:len(p.found)-len(inside)], finding{isCutMapped, o.start, end})
			break
		}
		if o.has&hasAny != 0 || o.has&hasTimestamp != 0 && o.has&(hasEvent|hasAWS) != 0 || o.has&hasClass != 0 {
			for i := range inside {
				inside[i].kind = isLost
			}
		}
	}
	p.ready = len(p.found)
	p.stack, p.within, p.record, p.wrappers, p.read = p.stack[:0], 0, false, 0, 0
	return open
}

// take forgets the findings that are ready, once they have been looked into.
func (p *position) take() {
	for i := range p.stack {
		p.stack[i].mark = max(0, p.stack[i].mark-p.ready)
	}
	p.found = p.found[:copy(p.found, p.found[p.ready:])]
	p.ready = 0
}

// needs is the first byte of the window that may yet be needed.
func (p *position) needs(i int) int {
	p.release(i)
	need := i
	if len(p.found) > 0 {
		need = min(need, p.found[0].start)
	}
	if p.wrappers < len(p.stack) {
		o := &p.stack[p.wrappers]
		switch {
		case p.record && i-o.start > maxRecord && p.wrappers == len(p.stack)-1:
			if o.watched && !o.reported {
				o.reported = true
				p.found = append(p.found, finding{isLong, o.start, i})
				p.ready = len(p.found)
			}
		case p.record && !o.watched && !(o.mapped && !o.has.ofRecord()) && p.wrappers == len(p.stack)-1: // not needed whole
		default:
			need = min(need, o.start)
		}
	}
	return max(0, need)
}
