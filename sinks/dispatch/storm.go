package dispatch

import (
	"cmp"
	"slices"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
)

// maxGroup bounds GroupConfig.Max: a message is for a person to read.
const maxGroup = 1000

// A storm holds back alerts that are to be told in one message with others.
type storm struct {
	GroupConfig
	windows []*window // in the order in which they end
	by      map[string]*window
	full    []*window // those that need not wait for their end
}

// A window collects what follows an alert of the same account or actor.
type window struct {
	key   string
	until time.Time
	lines []*line // whose heads are held back, in the order they came
}

// newStorm returns nil for a sink that is sent each alert by itself.
func newStorm(s sinks.Sink, c GroupConfig) *storm {
	if _, ok := s.(sinks.GroupSender); !ok || c.Wait <= 0 {
		return nil
	}
	return &storm{GroupConfig: c, by: map[string]*window{}}
}

// key is what alerts of one message have in common.
func (s *storm) key(a *processor.Alert) string {
	if s.By == byActor {
		if who := cmp.Or(a.Actor.ARN, a.Actor.AccessKeyID, a.Actor.Name); who != "" {
			return "actor/" + a.Partition + "/" + who
		}
	}
	return "account/" + a.Partition + "/" + a.Account
}

// hold keeps the line back if its alert is not the first of its key in a while.
func (s *storm) hold(key string, l *line, now time.Time) bool {
	w := s.by[key]
	if w == nil {
		w = &window{key: key, until: now.Add(s.Wait)}
		s.by[key] = w
		s.windows = append(s.windows, w)
		return false
	}
	w.lines = append(w.lines, l)
	if len(w.lines) == s.Max {
		s.full = append(s.full, w)
	}
	return true
}

// take returns an attempt to send a group whose time has come, nil if there is
// none. A window that ends begins anew if anything was held in it.
func (s *storm) take(now time.Time) *attempt {
	if len(s.full) > 0 {
		w := s.full[0]
		if len(w.lines) >= s.Max {
			return w.attempt(s.Max)
		}
		s.full = s.full[1:]
	}
	for len(s.windows) > 0 && !s.windows[0].until.After(now) {
		w := s.windows[0]
		s.windows = s.windows[1:]
		if len(w.lines) == 0 {
			delete(s.by, w.key)
			continue
		}
		a := w.attempt(s.Max)
		w.until = now.Add(s.Wait)
		s.windows = append(s.windows, w)
		return a
	}
	return nil
}

// due is when the next window ends, zero if there is none.
func (s *storm) due() time.Time {
	if s == nil || len(s.windows) == 0 {
		return time.Time{}
	}
	return s.windows[0].until
}

// attempt takes lines with at most limit alerts out of the window.
func (w *window) attempt(limit int) *attempt {
	a := &attempt{how: grouped, key: w.key}
	taken := 0
	for taken < len(w.lines) && len(a.items) < limit {
		l := w.lines[taken]
		taken++
		a.lines = append(a.lines, l)
		for _, p := range l.queue[:min(len(l.queue), limit-len(a.items))] {
			a.items = append(a.items, item{line: l, pending: p})
		}
	}
	w.lines = slices.Clone(w.lines[taken:])
	slices.SortFunc(a.items, byNumber)
	return a
}

func byNumber(a, b item) int { return cmp.Compare(a.pending.Number, b.pending.Number) }
