package journal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal/store"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// A batch is the subjects that are folded and stored together.
type batch struct {
	j      *Journal
	now    time.Time
	since  map[string]time.Time // when the first event that waits was appended
	folder Folder

	names []string // to be folded, without those that derived events reach
	parts map[string]*folding
	left  []string // subjects that the batch made dirty
	errs  []error  // of subjects that could not be loaded
}

// A folding is a subject in a batch.
type folding struct {
	subject *subject
	part    alerting.Part
}

// load takes names up to the bounds of a transaction, and returns the others.
func (b *batch) load(names []string) (rest []string) {
	size := 0
	for i, name := range names {
		if len(b.names) == maxFolds || size > maxFoldBytes {
			return names[i:]
		}
		p, err := b.add(name)
		if err != nil {
			b.errs = append(b.errs, fmt.Errorf("fold account %s: %w", subjectLane(name), err))
			continue
		}
		if p.subject.joins < 0 { // it was joined to another one meanwhile
			delete(b.parts, name)
			continue
		}
		b.names = append(b.names, name)
		size += p.subject.size
	}
	return nil
}

func (b *batch) add(name string) (*folding, error) {
	s, err := b.j.subject(name)
	if err != nil {
		return nil, err
	}
	p := &folding{subject: s, part: alerting.Part{Events: s.events(), State: s.record.State}}
	b.parts[name] = p
	return p, nil
}

// run folds the subjects, and those that their derived events reach.
func (b *batch) run() error {
	var parts []*alerting.Part
	for _, name := range b.names {
		parts = append(parts, &b.parts[name].part)
	}
	s := alerting.Settlement{
		Fold: func(events []*trail.Event, st alerting.State) (alerting.Outcome, error) {
			return call(b.folder, events, st, b.now)
		},
		Find: b.find,
	}
	_, err := s.Run(parts)
	return err
}

// find returns the part of a derived event; nil if the event is known, or if its
// subject is one too many for the batch: then it is folded in the next one.
func (b *batch) find(e *trail.Event) (*alerting.Part, error) {
	if !b.j.folds(e) {
		return nil, nil
	}
	name, known, err := b.j.subjectOf(e)
	if err != nil || known {
		return nil, err
	}
	if p := b.parts[name]; p != nil {
		return &p.part, nil
	}
	if len(b.parts) >= 2*maxFolds {
		return nil, nil
	}
	p, err := b.add(name)
	if err != nil {
		return nil, err
	}
	return &p.part, nil
}

// folds reports whether the lane of e is folded in this journal.
func (j *Journal) folds(e *trail.Event) bool { return j.local == nil || j.local(laneName(e)) }

// subjectOf returns the subject that a derived event belongs to, stored or not,
// and whether the event is stored already.
func (j *Journal) subjectOf(e *trail.Event) (name string, known bool, err error) {
	err = j.store.View(func(tx *store.Tx) error {
		key := laneKey(laneName(e), exposure.Keys(e)[0])
		v, err := tx.Table(keyTable).Get(key)
		if name = string(v); v == nil {
			name = string(key)
		}
		known = tx.Table(seenTable).Has(seenKey(e))
		return err
	})
	return name, known, err
}

// outcomes encodes what is to be stored: the accounts' subjects before those of
// actors, as a campaign follows its exposures.
func (b *batch) outcomes() (all []*outcome) {
	arrived := map[string]bool{}
	for name, p := range b.parts {
		if p.part.Err != nil {
			continue
		}
		o, err := newOutcome(p, b.since[name], b.now)
		if err != nil {
			p.part.Err = err
			continue
		}
		all = append(all, o)
		for _, e := range p.part.Arrived {
			arrived[string(seenKey(e))] = true
		}
	}
	for _, o := range all {
		for _, e := range b.parts[o.subject.name].part.Outcome.Derived {
			if arrived[string(seenKey(e))] {
				continue
			}
			if !b.j.folds(e) {
				o.away = append(o.away, e)
				continue
			}
			o.derived = append(o.derived, newEntry(e))
		}
	}
	slices.SortFunc(all, func(x, y *outcome) int {
		return strings.Compare(storeOrder(x.subject.name), storeOrder(y.subject.name))
	})
	return all
}

func storeOrder(subject string) string {
	if lane := subjectLane(subject); exposure.ActorLane(lane) {
		return "b" + lane
	}
	return "a" + subject
}

// failures returns the errors of the subjects that could not be folded.
func (b *batch) failures() error {
	errs := b.errs
	for name, p := range b.parts {
		if p.part.Err != nil {
			errs = append(errs, fmt.Errorf("fold account %s: %w", subjectLane(name), p.part.Err))
		}
	}
	return errors.Join(errs...)
}
