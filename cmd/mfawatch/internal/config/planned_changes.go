package config

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/knadh/koanf/v2"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/ownfile"
)

// A PlannedChange is a change agreed to beforehand. Account, user and actor are
// each a pattern, a list of patterns, or a map with not: see rule.Compile.
type PlannedChange struct {
	Account  any       `koanf:"account"`
	User     any       `koanf:"user"`
	Actor    any       `koanf:"actor"`
	From     time.Time `koanf:"from"` // zero: no start
	Until    time.Time `koanf:"until"`
	Approver string    `koanf:"approver"`
	Ticket   string    `koanf:"ticket"`
}

func (e *PlannedChange) mistakes(field string) []Mistake {
	_, wrong := e.compile(field)
	return wrong
}

// compile returns the entry for the policy.
func (e *PlannedChange) compile(field string) (*exposure.PlannedChange, []Mistake) {
	match := map[string]any{}
	for name, value := range map[string]any{"account": e.Account, "user": e.User, "actor": e.Actor} {
		if value != nil {
			match[name] = value
		}
	}
	var all []Mistake
	if len(match) == 0 {
		all = append(all, Mistake{field, "want at least one of account, user and actor: an entry without them would suppress every alert"})
	}
	m, wrong := compile(field, match, nil)
	if len(match) > 0 {
		all = append(all, wrong...)
	}
	switch {
	case e.Until.IsZero():
		all = append(all, Mistake{field + ".until", "missing; want a time such as 2026-05-01T18:00:00Z"})
	case !e.From.Before(e.Until):
		all = append(all, Mistake{field + ".until", "want a time after from, " + e.From.Format(time.RFC3339) + ", got " + e.Until.Format(time.RFC3339)})
	}
	all = append(all, textMistakes(field+".ticket", e.Ticket, "where it was agreed, such as CHG-1042")...)
	all = append(all, textMistakes(field+".approver", e.Approver, "who agreed to it")...)
	if len(all) > 0 {
		return nil, all
	}
	return &exposure.PlannedChange{Match: m, From: e.From, Until: e.Until, Approver: e.Approver, Ticket: e.Ticket}, nil
}

// maxPlannedChangesFile bounds the file of planned changes, in bytes.
const maxPlannedChangesFile = 1 << 20

// readPlannedChangesFile reads the file of planned changes.
func (s *Settings) readPlannedChangesFile() []Mistake {
	s.fromFile = nil
	if s.PlannedChangesFile == "" {
		return nil
	}
	text, err := ownfile.ReadRegular(s.PlannedChangesFile, maxPlannedChangesFile)
	if err != nil {
		return []Mistake{{"planned_changes_file", fmt.Sprintf("cannot read %s: %v", Clean(s.PlannedChangesFile), WithoutPath(err))}}
	}
	s.fileSum = sha256.Sum256(text)
	name, at := Clean(s.PlannedChangesFile), places{}
	all := s.parsePlannedChanges(&textReader{name: name, places: at}, text)
	for i, m := range all {
		all[i] = Mistake{"planned_changes_file", cmp.Or(at.of(m.Field), name) + ": " + m.String()}
	}
	return all
}

func (s *Settings) parsePlannedChanges(r *textReader, text []byte) []Mistake {
	file, err := r.read(text)
	if err != nil {
		line, problem := YAMLMistake(err)
		r.places[""] = placed(r.name, line)
		return []Mistake{{"", problem}}
	}
	k := koanf.New(".")
	if err := k.Load(rawMap(file), nil); err != nil {
		return []Mistake{{"", err.Error()}}
	}
	var into struct {
		Changes []PlannedChange `koanf:"planned_changes"`
	}
	wrong := decode(k, "", &into)
	var all []Mistake
	for i := range into.Changes {
		all = append(all, into.Changes[i].mistakes(fmt.Sprintf("planned_changes[%d]", i))...)
	}
	s.fromFile = into.Changes
	return andOthers(wrong, all)
}

// PlannedChangesFileChanged reports whether the file of planned changes differs
// from the loaded one, and returns the checksum of its present content.
func (s *Settings) PlannedChangesFileChanged() (sum [sha256.Size]byte, changed bool) {
	if s.PlannedChangesFile == "" {
		return sum, false
	}
	text, _ := ownfile.ReadRegular(s.PlannedChangesFile, maxPlannedChangesFile) // a reload names the mistake
	sum = sha256.Sum256(text)
	return sum, sum != s.fileSum
}
