package dispatch

import (
	"container/heap"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal"
)

// A line is the alerts of one exposure that a sink has still to be told, in
// their order. At most one of them is being sent.
type line struct {
	name  string
	queue []journal.Pending

	attempts int       // at the head of the queue
	perhaps  bool      // one of them may have arrived
	first    time.Time // attempt at it
	due      time.Time // not to be sent before; zero: now

	running bool
	ref     string // what the sink gave last, which the journal may not have yet
	hasRef  bool
	unnoted int // alerts that the journal does not yet know to be done
	routed
}

// A lineHeap is a heap of lines by less.
type lineHeap struct {
	lines []*line
	less  func(a, b *line) bool
}

// byTurn puts the line in front whose head was journalled first.
func byTurn(a, b *line) bool { return a.queue[0].Number < b.queue[0].Number }

// byDue puts the line in front that may be sent first.
func byDue(a, b *line) bool { return a.due.Before(b.due) }

func (h *lineHeap) Len() int           { return len(h.lines) }
func (h *lineHeap) Less(i, k int) bool { return h.less(h.lines[i], h.lines[k]) }
func (h *lineHeap) Swap(i, k int)      { h.lines[i], h.lines[k] = h.lines[k], h.lines[i] }
func (h *lineHeap) Push(l any)         { h.lines = append(h.lines, l.(*line)) }
func (h *lineHeap) Pop() any {
	n := len(h.lines) - 1
	l := h.lines[n]
	h.lines[n] = nil
	h.lines = h.lines[:n]
	return l
}

func (h *lineHeap) add(l *line)  { heap.Push(h, l) }
func (h *lineHeap) take() *line  { return heap.Pop(h).(*line) }
func (h *lineHeap) first() *line { return h.lines[0] }
func (h *lineHeap) empty() bool  { return len(h.lines) == 0 }
