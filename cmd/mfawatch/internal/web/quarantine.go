package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A kept record is in the quarantine of a journal.
type kept struct {
	journal.Quarantined
	journal *journal.Journal
}

// selectRecords returns the selected records, oldest first.
func (a *Admin) selectRecords(s Selection) (all []kept, err error) {
	for _, j := range a.journals() {
		records, err := j.QuarantineRecords()
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			if s.has(r.ID) {
				all = append(all, kept{r, j})
			}
		}
	}
	slices.SortFunc(all, func(a, b kept) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.ID, b.ID))
	})
	return all, nil
}

// ListQuarantine calls each with every selected record, oldest first.
func (a *Admin) ListQuarantine(_ context.Context, s Selection, each func(journal.Quarantined) error) error {
	all, err := a.selectRecords(s)
	for _, record := range all {
		if err == nil {
			err = each(record.Quarantined)
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
	byJournal := map[*journal.Journal][]string{}
	for _, r := range all {
		byJournal[r.journal] = append(byJournal[r.journal], r.ID)
	}
	for j, ids := range byJournal {
		n, err := j.DropQuarantined(ids...)
		if err != nil {
			return o, err
		}
		o.Done += n
	}
	a.metrics.quarantine.WithLabelValues(actionDrop).Add(float64(o.Done))
	o.Unknown = Missing(s.IDs, ids)
	return o, nil
}

func idsOf(all []kept) []string {
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
	if a.again == nil && len(all) > 0 && !slices.ContainsFunc(all, func(r kept) bool { return !r.Message }) {
		return o, refused{http.StatusConflict, fmt.Sprintf("only source %s can read its quarantined messages, and it does not run: start the service first", all[0].Source)}
	}
	scanner := trail.NewScanner()
	for _, r := range all {
		if r.Message {
			done, err := a.retryMessage(ctx, r)
			switch {
			case err != nil:
				return o, err
			case done:
				o.Done++
				o.Messages++
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
		fresh, err := a.append(ctx, f.events)
		if err != nil {
			return o, err
		}
		n, err := r.journal.DropQuarantined(r.ID)
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
func (a *Admin) retryMessage(ctx context.Context, r kept) (done bool, err error) {
	if a.again == nil || a.again(ctx, r.Source, string(r.Raw)) != nil { // which logs
		return false, nil
	}
	n, err := r.journal.DropQuarantined(r.ID)
	return n > 0, err
}

// findings is a visitor that collects events.
type findings struct {
	events []*trail.Event
	bad    bool
}

func (f *findings) Event(e *trail.Event)        { f.events = append(f.events, e) }
func (f *findings) Unreadable(trail.Unreadable) { f.bad = true }
