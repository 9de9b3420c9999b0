package route

import (
	"cmp"
	"container/heap"
	"math"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// worst is the level of the worst queued alert.
func (l *lane) worst() int {
	for i := len(l.counts) - 1; i > 0; i-- {
		if l.counts[i] > 0 {
			return i
		}
	}
	return 0
}

// urgent reports whether the lane holds a critical alert.
func (l *lane) urgent() bool { return l.counts[level(exposure.Critical)] > 0 }

func level(s exposure.Severity) int { return max(0, s.Level()) }

// byTurn orders lanes by their worst alert, then by their shares, then by their head.
func byTurn(a, b *lane) int { return turn(a).compare(turn(b)) }

// A place is where a lane stands in a heap. It holds what the heap compares, so
// that a comparison reads no lane: with many lanes that costs more than the rest.
type place struct {
	major int64
	minor uint64
	lane  *lane
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.major, o.major), cmp.Compare(p.minor, o.minor))
}

// fairShare is after how many alerts a lane lets others go first whose worst alert is
// as severe, as if its own were fairDelay alerts newer: who makes one exposure change
// without end delays no other one, nor delays it without end who makes others.
const (
	fairShare = 32
	fairDelay = 1 << 16
)

// turn is the place of a lane to be decided: by its worst alert, then by its shares,
// then by its head.
func turn(l *lane) place {
	return place{int64(-l.worst()), uint64(l.served/fairShare)*fairDelay + l.Queue[l.taken].Number, l}
}

// An order is that of the lanes to be decided.
type order int

const (
	byTurns     order = iota
	leastFailed       // for a channel that is down
	graveFirst        // the same, after those with an alert of at least high severity that was not attempted
	urgentFirst       // the same, after those with such a critical alert
)

// place returns the place of a lane in the order.
func (o order) place(l *lane) place {
	p := turn(l)
	if o != byTurns {
		p.major += int64(l.attempts) * int64(len(l.counts))
	}
	if o > leastFailed && o.includes(l) {
		p.major -= math.MaxInt64 / 2
	}
	return p
}

// includes reports whether a lane is among those that a probe in this order may send.
func (o order) includes(l *lane) bool {
	switch o {
	case graveFirst:
		return l.fresh >= level(exposure.High)
	case urgentFirst:
		return l.fresh == level(exposure.Critical)
	}
	return true
}

// due is the place of a lane that rests: by when it may be sent.
func due(l *lane) place { return place{l.due.UnixNano(), l.Queue[0].Number, l} }

// lanes is a heap of lanes.
type lanes struct {
	list []place
	key  func(*lane) place
	by   order // of key, if it is one
}

// sort puts the lanes in an order.
func (h *lanes) sort(by order) {
	if h.by == by {
		return
	}
	h.by, h.key = by, by.place
	for i, p := range h.list {
		h.list[i] = h.key(p.lane)
	}
	heap.Init(h)
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (h *lanes) Len() int           { return len(h.list) }
func (h *lanes) Less(i, j int) bool { return h.list[i].compare(h.list[j]) < 0 }
func (h *lanes) Swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	h.list[i].lane.index, h.list[j].lane.index = i, j
}
func (h *lanes) Push(p any) { h.list = append(h.list, p.(place)) }
func (h *lanes) Pop() any {
	n := len(h.list) - 1
	p := h.list[n]
	h.list[n] = place{}
	h.list = h.list[:n]
	return p
}

func (h *lanes) first() *lane { return h.list[0].lane }

func (h *lanes) add(l *lane) {
	l.heap, l.index = h, len(h.list)
	heap.Push(h, h.key(l))
}

func (h *lanes) fix(l *lane) {
	h.list[l.index] = h.key(l)
	heap.Fix(h, l.index)
}

func (h *lanes) remove(l *lane) {
	heap.Remove(h, l.index)
	l.heap = nil
}
