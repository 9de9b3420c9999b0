package exposure

import (
	"time"

	"github.com/mfawatch/mfawatch/processor/rule"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// An Expected is a change announced beforehand: what it means is told to machines
// alone, unless somebody makes use of it. What it means and is still open when it
// is over is told to people after all.
type Expected struct {
	// Match sees the event: who did it to whom, where and how.
	Match *rule.Matcher
	// From and Until are the times between which the event may have happened;
	// From zero: any time before Until.
	From, Until time.Time
	Approver    string
	Ticket      string
}

const (
	overdueAfter = 15 * time.Minute // CloudTrail needs no longer to say that it ended in time
	lookAgain    = 5 * time.Minute  // for what announced it may be taken back at any time
)

// ID names the entry for as long as nothing in it changes.
func (e *Expected) ID() string {
	from := ""
	if !e.From.IsZero() {
		from = e.From.UTC().Format(time.RFC3339)
	}
	return id("expected", e.Match.String(), from, e.Until.UTC().Format(time.RFC3339), e.Approver, e.Ticket)
}

// Over reports whether everything that it announced is known.
func (e *Expected) Over(now time.Time) bool { return !now.Before(e.Until.Add(overdueAfter)) }

// covers reports whether it announced the event. Root is only announced by name,
// not by an entry that means anybody.
func (e *Expected) covers(at time.Time, f *rule.Facts) bool {
	if at.Before(e.From) || at.After(e.Until) || !e.Match.Match(f) {
		return false
	}
	if f.Root {
		anybody := *f
		anybody.User = "\x00" // nobody's name
		return !e.Match.Match(&anybody)
	}
	return true
}

// expect finds what announced the event, nil if nothing did.
func (p *Policy) expect(e *trail.Event, user, path string) *Expected {
	if len(p.Expected) == 0 {
		return nil
	}
	f := p.announced(e, user, path)
	for _, x := range p.Expected {
		if x.covers(e.Time, &f) {
			return x
		}
	}
	return nil
}

func (p *Policy) announced(e *trail.Event, user, path string) rule.Facts {
	f := factsOf(e)
	f.User, f.Path = user, path
	f.AccountName, f.AccountClass = p.Accounts[e.Account].Name, p.Accounts[e.Account].Class
	f.Privileged = f.Root
	return f.Facts
}

// expect notes what announced the deactivation. What joins an exposure has to be
// announced by the same.
func (f *folder) expect(x *Exposure, e *trail.Event, joins bool) {
	switch {
	case len(f.policy.Expected) == 0:
	case !joins:
		x.expected = f.policy.expect(e, x.User, x.path)
	case x.expected != nil:
		facts := f.policy.announced(e, x.User, x.path)
		if !x.expected.covers(e.Time, &facts) {
			x.expected = nil
		}
	}
}

// announced is the reason expected, if x is: what somebody makes use of never is.
func (x *Exposure) announced() reasons {
	if x.expected != nil && !x.used() {
		return expected
	}
	return 0
}

// alert is the entry as an alert shows it, if the reasons say that it announced it.
func (e *Expected) alert(r reasons) *AlertExpected {
	if e == nil || r&(expected|overdue) == 0 {
		return nil
	}
	return &AlertExpected{Entry: e.ID(), Ticket: e.Ticket, Approver: e.Approver, Until: e.Until.UTC()}
}

// cover decides, before anything is said of x, whether people are told of it by
// something else: what announced it, or a campaign. What people were told once
// they are told to its end, and what machines alone were told of ends with them;
// but what is open and no longer covered people are told, by another opened.
func (t *teller) cover(x *Exposure, said *told) {
	fresh := !said.Opened && !said.Reduced && !said.Exploited && !said.Closed
	due := x.announced() != 0 && x.Open() && x.expected.Over(t.now)
	t.again, t.more, t.silent = "", 0, false
	wave := ""
	if x.wave != nil {
		wave = x.wave.ID
	}
	switch {
	case x.used():
		said.Expected, said.Covered = "", false
	case !fresh && !x.Open():
		if wave == "" {
			return
		}
	case fresh && due:
		t.more = overdue
	case fresh:
		if x.announced() != 0 {
			said.Expected = x.expected.ID()
		}
		said.Covered = wave != ""
	case said.Expected != "" && due:
		t.more, t.again = overdue, "It was announced, and is still open now that that time is over. "
	case said.Expected != "" && x.announced() == 0:
		t.again = "What had announced it is no longer there, or does not announce all of it. "
	case said.Covered && wave == "":
		t.again = "It was told as part of a campaign, and is known now to be none. "
	}
	if said.Expected != "" && x.announced() != 0 { // by another entry now, or the same one changed
		said.Expected = x.expected.ID()
	}
	said.Campaign = wave
	if t.again != "" {
		said.Expected, said.Covered = "", false
		if said.Opened {
			said.Round++
			said.Opened, t.silent = false, true
		}
	}
	if said.Expected != "" && x.Open() {
		t.look(x.expected.Until.Add(overdueAfter))
		t.look(t.now.Add(lookAgain))
	}
}
