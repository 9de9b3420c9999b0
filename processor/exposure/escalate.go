package exposure

import "github.com/mfawatch/mfawatch/processor/trail"

// numbers finds the highest deadline stored of each exposure.
func numbers(events []*trail.Event) map[string]int {
	var n map[string]int
	for _, e := range events {
		if e != nil && e.Name == trail.Deadline {
			if n == nil {
				n = map[string]int{}
			}
			n[e.Exposure] = max(n[e.Exposure], e.Deadline)
		}
	}
	return n
}

// escalate notes what is open, and tells the latest delay that passed.
func (t *teller) escalate(x *Exposure, said *told) {
	if !x.Open() {
		return
	}
	t.out.Open = append(t.out.Open, Open{
		ID: x.ID, Account: x.Account, User: x.User, Root: x.Root, Severity: x.severity(Escalated), OpenedAt: x.OpenedAt,
	})
	if x.quieted() {
		return
	}
	done := max(said.Escalated, t.deadlines[x.ID])
	passed := done
	for i, delay := range t.policy.EscalateAfter {
		number, at := i+1, x.openSince.Add(delay)
		if number <= done {
			continue
		}
		if at.After(t.now) {
			if t.out.Next.IsZero() || at.Before(t.out.Next) {
				t.out.Next = at
			}
			break
		}
		passed = number
		t.out.Deadlines = append(t.out.Deadlines, &trail.Event{
			ID: deadlineID(x.ID, number), Time: at, Name: trail.Deadline, Partition: x.Partition, Account: x.Account,
			User: x.User, Exposure: x.ID, Deadline: number,
		})
	}
	if passed > done {
		e := t.out.Deadlines[len(t.out.Deadlines)-1]
		m := x.moment(Escalated, e)
		m.escalation = passed
		a := x.alert(&m, x.ID, e.ID, t.late(m.Time))
		t.out.Alerts = append(t.out.Alerts, a)
		said.At = t.now
	}
	said.Escalated = passed
}
