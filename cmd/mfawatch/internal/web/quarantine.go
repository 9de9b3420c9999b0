package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// selectRecords returns the selected records, oldest first.
func (a *Admin) selectRecords(s Selection) ([]journal.Quarantined, error) {
	all, err := a.journal.QuarantineRecords()
	all = slices.DeleteFunc(all, func(r journal.Quarantined) bool { return !s.has(r.ID) })
	slices.SortFunc(all, func(a, b journal.Quarantined) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, err
}

// ListQuarantine calls each with every selected record, oldest first.
func (a *Admin) ListQuarantine(_ context.Context, s Selection, each func(journal.Quarantined) error) error {
	all, err := a.selectRecords(s)
	for _, record := range all {
		if err == nil {
			err = each(record)
		}
	}
	return err
}

// DropQuarantine drops the selected records.
func (a *Admin) DropQuarantine(_ context.Context, s Selection) (o Outcome, err error) {
	all, err := a.selectRecords(s)
	if err != nil {
		return o, err
	}
	ids := idsOf(all)
	n, err := a.journal.DropQuarantined(ids...)
	if err != nil {
		return o, err
	}
	a.metrics.quarantine.WithLabelValues(actionDrop).Add(float64(n))
	return Outcome{Done: n, Unknown: Missing(s.IDs, ids)}, nil
}

func idsOf(all []journal.Quarantined) []string {
	ids := make([]string, len(all))
	for i, r := range all {
		ids[i] = r.ID
	}
	return ids
}

// RetryQuarantine scans the selected records again, and has sources read messages
// again. Records that are readable now are journalled, and leave the quarantine.
func (a *Admin) RetryQuarantine(ctx context.Context, s Selection) (o Outcome, err error) {
	all, err := a.selectRecords(s)
	if err != nil {
		return o, err
	}
	if a.deps.Again == nil && len(all) > 0 && !slices.ContainsFunc(all, func(r journal.Quarantined) bool { return r.Source == "" }) {
		return o, refused{http.StatusConflict, fmt.Sprintf("only source %s can read its quarantined messages, and it does not run: start the service first", all[0].Source)}
	}
	scanner := trail.NewScanner()
	for _, r := range all {
		if r.Source != "" {
			done, err := a.retryMessage(ctx, r)
			switch {
			case err != nil:
				return o, err
			case done:
				o.Done++
			default:
				o.Still = append(o.Still, r.ID)
			}
			continue
		}
		var f findings
		scanner.ScanBytes(trail.Origin{Place: r.Origin, Offset: -1}, r.Raw, &f)
		if f.bad {
			o.Still = append(o.Still, r.ID)
			continue
		}
		fresh, err := a.journal.Append(ctx, f.events)
		if err != nil {
			return o, err
		}
		n, err := a.journal.DropQuarantined(r.ID)
		if err != nil {
			return o, err
		}
		o.Events += fresh
		o.Done += n
	}
	a.metrics.quarantine.WithLabelValues(actionRetry).Add(float64(o.Done))
	o.Unknown = Missing(s.IDs, idsOf(all))
	return o, nil
}

// retryMessage has its source read a message again.
func (a *Admin) retryMessage(ctx context.Context, r journal.Quarantined) (done bool, err error) {
	if a.deps.Again == nil || a.deps.Again(ctx, r.Source, string(r.Raw)) != nil { // which logs
		return false, nil
	}
	n, err := a.journal.DropQuarantined(r.ID)
	return n > 0, err
}

// findings is a visitor that collects events.
type findings struct {
	events []*trail.Event
	bad    bool
}

func (f *findings) Event(e *trail.Event)        { f.events = append(f.events, e) }
func (f *findings) Unreadable(trail.Unreadable) { f.bad = true }
