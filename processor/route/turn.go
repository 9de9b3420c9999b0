package route

import (
	"cmp"
	"container/heap"
	"slices"

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

func level(s exposure.Severity) int { return max(0, slices.Index(exposure.Severities, s)) }

// byTurn orders lanes by their worst alert, then by their head.
func byTurn(a, b *lane) int {
	return cmp.Or(cmp.Compare(b.worst(), a.worst()), cmp.Compare(a.Queue[0].Number, b.Queue[0].Number))
}

// byDue orders lanes by when they may be sent.
func byDue(a, b *lane) int { return a.due.Compare(b.due) }

// lanes is a heap of lanes.
type lanes struct {
	list []*lane
	less func(a, b *lane) int
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (h *lanes) Len() int           { return len(h.list) }
func (h *lanes) Less(i, j int) bool { return h.less(h.list[i], h.list[j]) < 0 }
func (h *lanes) Swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	h.list[i].index, h.list[j].index = i, j
}
func (h *lanes) Push(l any) { h.list = append(h.list, l.(*lane)) }
func (h *lanes) Pop() any {
	n := len(h.list) - 1
	l := h.list[n]
	h.list[n] = nil
	h.list = h.list[:n]
	return l
}

func (h *lanes) add(l *lane) {
	l.heap, l.index = h, len(h.list)
	heap.Push(h, l)
}
