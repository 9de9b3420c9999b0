package exposure

// Alone reports whether an alert of the step belongs to no exposure: it has no
// end.
func (s Step) Alone() bool { return s == Attempted || s == Enrolled || s == Failed }

// AlwaysDelivered reports whether an alert of the step and severity is sent
// although a person closed the exposure at the channel: it opened, or opened
// again; a sign-in exploited it; an intruder may hold the new device; or an
// intruder's work goes on.
func (s Step) AlwaysDelivered(v Severity) bool {
	switch s {
	case Opened, Exploited, StepCampaign, Suspect:
		return true
	case Updated:
		return v == Critical
	}
	return false
}

// Repeats reports whether an exposure may take the step more than once, each time
// because of another event.
func (s Step) Repeats() bool { return s == Opened || s == Reduced || s == Updated || s == Suspect }
