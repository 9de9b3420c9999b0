package slack

import (
	"context"
	"sync"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
)

// SendGroup posts one message with a list to each channel. One that cannot be
// notified keeps it from no other, and those that were notified do not get it again.
func (s *Sink) SendGroup(ctx context.Context, alerts []*processor.Alert) error {
	if s.config.hooked() {
		return s.postHook(ctx, s.group(alerts, sinks.PerhapsArrived(ctx)))
	}
	c, err := s.client()
	if err != nil {
		return sinks.Misconfigured(err)
	}
	var failed []error
	delivered := false
	for _, channel := range s.channels() {
		left := s.listed.left(channel, alerts)
		if len(left) == 0 {
			delivered = true
			continue
		}
		m := s.group(left, sinks.PerhapsArrived(ctx))
		if len(left) == 1 {
			m = s.message(left[0], sinks.PerhapsArrived(ctx))
		}
		_, err := s.post(ctx, c, channel, m)
		if err != nil {
			failed = append(failed, err)
			if v, _ := sinks.VerdictOf(err); v == sinks.VerdictThrottled {
				break // the app is, whatever the channel
			}
			continue
		}
		delivered = true
		s.listed.note(channel, left)
	}
	if len(failed) == 0 {
		s.listed.forget(s.channels(), alerts)
	}
	return sinks.Worst(failed, delivered)
}

// A listedIn remembers which channels have an alert of a list that others do not
// have yet: a list has no reference that could say so. It does not
// outlive the program.
type listedIn struct {
	mu     sync.Mutex
	posted map[[2]string]bool // by channel and alert
}

// maxListed bounds what is remembered of lists that some channel never got.
const maxListed = 10_000

func (l *listedIn) has(channel string, a *processor.Alert) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.posted[[2]string{channel, a.ID}]
}

// left returns the alerts that were not posted to the channel.
func (l *listedIn) left(channel string, alerts []*processor.Alert) (left []*processor.Alert) {
	for _, a := range alerts {
		if !l.has(channel, a) {
			left = append(left, a)
		}
	}
	return left
}

func (l *listedIn) note(channel string, alerts []*processor.Alert) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.posted) > maxListed {
		clear(l.posted)
	}
	for _, a := range alerts {
		l.posted[[2]string{channel, a.ID}] = true
	}
}

func (l *listedIn) forget(channels []string, alerts []*processor.Alert) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, channel := range channels {
		for _, a := range alerts {
			delete(l.posted, [2]string{channel, a.ID})
		}
	}
}
