package processor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Bounds on one append to the journal, so that a huge object is journalled in
// steps.
const (
	maxEvents     = 1000
	maxEventBytes = 8 << 20
	maxQuarantine = 100
)

var errQuarantineFull = errors.New("quarantine is full; review it with 'mfawatch quarantine list'")

// Handle is the Handler: it scans every part and journals the events it finds.
// After nil they are durable. An error reports a part that could not be read
// from its source, or a failed write to the journal; events journalled before it
// are recognised when the delivery is offered again.
func (p *Processor) Handle(ctx context.Context, d Delivery) error {
	s := p.scans.Get().(*scan)
	s.ctx, s.name, s.source, s.damaged = ctx, d.Source, p.metrics.source(d.Source), d.Unreadable
	err := s.run(d)
	s.report(d.Source)
	s.reset()
	p.scans.Put(s)
	if err != nil {
		return fmt.Errorf("delivery of source %s: %w", d.Source, err)
	}
	return nil
}

// A scan handles one delivery. It is the scanner's visitor and its reader, so
// that a part costs no allocation.
type scan struct {
	p       *Processor
	scanner *trail.Scanner
	ctx     context.Context
	name    string // of the source
	source  *sourceMetrics
	damaged func(trail.Unreadable)

	body        io.Reader
	events      []*trail.Event
	raw         int // bytes of raw records in events
	quarantined []journal.Quarantined
	last        bool // quarantined holds the only copy
	bad         []badness
	err         error // of an append; nothing more is journalled after it
}

// A badness sums up the unreadable parts of one reason.
type badness struct {
	first trail.Unreadable
	count int
}

func (s *scan) run(d Delivery) error {
	for part, err := range d.Parts {
		if err == nil {
			err = s.part(part)
		}
		if err != nil {
			return err
		}
	}
	s.append()
	return s.err
}

func (s *scan) part(part Part) error {
	if part.GivenUp != nil {
		return s.quarantine(part)
	}
	var st trail.Stats
	var err error
	s.scanner.Bound(part.MaxInflated)
	if part.Body != nil {
		s.body = part.Body
		st, err = s.scanner.Scan(part.Origin, s, s)
	} else {
		st = s.scanner.ScanBytes(part.Origin, part.Bytes, s)
	}
	s.source.add(st)
	switch {
	case s.err != nil:
		return s.err
	case err != nil:
		return fmt.Errorf("read %s: %w", part.Origin, err)
	}
	return s.ctx.Err()
}

// quarantine keeps a part that is not offered again.
func (s *scan) quarantine(part Part) error {
	s.quarantined = append(s.quarantined, journal.Quarantined{
		Origin: part.Origin.String(), Reason: part.GivenUp.Reason, Err: part.GivenUp.Err.Error(), Raw: bytes.Clone(part.Bytes), Source: s.name, Message: true,
	})
	s.last = true
	s.append()
	return s.err
}

// Read reads the body that is being scanned. It fails after ctx is done or an
// append failed.
func (s *scan) Read(b []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.body.Read(b)
}

// Event implements trail.Visitor.
func (s *scan) Event(e *trail.Event) {
	s.p.metrics.matches.WithLabelValues(e.Name).Inc()
	if s.err != nil {
		return
	}
	s.events = append(s.events, e)
	s.raw += len(e.Raw)
	if len(s.events) >= maxEvents || s.raw >= maxEventBytes {
		s.append()
	}
}

// Unreadable implements trail.Visitor.
func (s *scan) Unreadable(u trail.Unreadable) {
	s.source.unreadable(u.Reason)
	if s.damaged != nil && !u.Watched {
		s.damaged(u)
	}
	if u.Watched && s.err == nil {
		a := journal.Quarantined{Origin: u.Origin.String(), Offset: u.Offset, Reason: string(u.Reason), Raw: u.Raw, Source: s.name}
		if u.Err != nil {
			a.Err = u.Err.Error()
		}
		s.quarantined = append(s.quarantined, a)
		if len(s.quarantined) >= maxQuarantine {
			s.append()
		}
	}
	u.Raw = nil
	for i := range s.bad {
		if s.bad[i].first.Reason == u.Reason {
			s.bad[i].count++
			return
		}
	}
	s.bad = append(s.bad, badness{u, 1})
}

// append journals the collected events and quarantined records.
func (s *scan) append() {
	if s.err != nil || len(s.events) == 0 && len(s.quarantined) == 0 {
		return
	}
	_, err := s.p.journal.Append(s.ctx, s.events)
	left := 0
	if err == nil {
		left, err = s.p.journal.Quarantine(s.ctx, s.quarantined)
	}
	if err != nil {
		s.err = err
		s.p.recordAppend(err)
		return
	}
	s.p.recordAppend(nil)
	if left > 0 && s.last {
		s.err = errQuarantineFull
	}
	now := time.Now()
	for _, e := range s.events {
		s.p.metrics.toSeen.Observe(now.Sub(e.Time).Seconds())
	}
	s.clear()
}

func (s *scan) clear() {
	clear(s.events)
	clear(s.quarantined)
	s.events, s.quarantined, s.raw, s.last = s.events[:0], s.quarantined[:0], 0, false
}

func (s *scan) reset() {
	s.clear()
	clear(s.bad)
	s.bad = s.bad[:0]
	s.ctx, s.source, s.damaged, s.body, s.err = nil, nil, nil, nil, nil
}

// report logs unreadable input, once for each reason.
func (s *scan) report(source string) {
	for _, b := range s.bad {
		s.p.log.Warn("unreadable input skipped", "source", source, "reason", string(b.first.Reason),
			"count", b.count, "origin", b.first.Origin.String(), "offset", b.first.Offset, "err", b.first.Err)
	}
}

// recordAppend sets whether the journal can be written. A delivery that was
// cancelled says nothing about the journal.
func (p *Processor) recordAppend(err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	if err != nil {
		p.metrics.appendErrors.Inc()
	}
	if p.appending.Set(err) && err == nil {
		p.log.Info("the journal can be written again")
	}
}
