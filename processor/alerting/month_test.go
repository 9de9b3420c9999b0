package alerting

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/rule"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// The organisation of the simulated month.
const (
	monthAccounts = 200
	monthUsers    = 100 // of each account
)

// The incidents of the month.
const (
	caseRotation   = "rotation, the new device first"
	caseSwap       = "rotation, the old device first"
	caseLost       = "lost phone, reset by the help desk"
	caseJoiner     = "joiner"
	caseLeaver     = "leaver"
	caseHalfLeaver = "leaver whose user stays for days"
	caseKeys       = "user who changes keys"
	caseTypo       = "call that was denied"
	caseMistyped   = "mistyped code"
	caseAnnounced  = "announced change"
	caseAttack     = "attack"
)

// month holds the records that CloudTrail would deliver in a month, by account.
type month struct {
	r       *rand.Rand
	events  [monthAccounts][]arriving
	id      int
	cases   map[string]int
	kind    map[string]string // by event ID: the case it belongs to
	attack  map[string]string // by event ID: the step of an attack that it is
	sso     []string          // the event IDs of one person's removals in several accounts
	files   map[string]time.Time
	late    map[string]bool // by account and user: the file of the new device came long after the time
	records int
}

// arriving is an event with the time of its file.
type arriving struct {
	*trail.Event
	at time.Time
}

// scene collects the events of one case.
type scene struct {
	m       *month
	account int
	kind    string
	actor   trail.Actor
	file    time.Time // when all that follows is delivered; zero: each in the file of its time
}

func (m *month) scene(account int, kind string) *scene {
	m.cases[kind]++
	return &scene{m: m, account: account, kind: kind}
}

func monthAccount(n int) string { return fmt.Sprintf("%012d", 100000000000+n) }

// as continues as another actor.
func (s *scene) as(a trail.Actor) *scene {
	c := *s
	c.actor = a
	return &c
}

func (s *scene) user(name string) trail.Actor {
	yes := true
	return trail.Actor{Type: "IAMUser", Name: name, ARN: "arn:aws:iam::" + monthAccount(s.account) + ":user/" + name, MFA: &yes, SourceIP: "198.51.100.7"}
}

func (s *scene) role(role, session string) trail.Actor {
	yes := true
	return trail.Actor{Type: "AssumedRole", Name: role + "/" + session, ARN: "arn:aws:sts::" + monthAccount(s.account) + ":assumed-role/" + role + "/" + session, MFA: &yes, SourceIP: "192.0.2.9"}
}

// delivered returns when the file of that time is delivered: some minutes after
// the five that it covers, and one in a hundred up to two hours late.
func (m *month) delivered(account int, at time.Time) time.Time {
	window := at.Truncate(5 * time.Minute)
	key := fmt.Sprint(account, window.Unix())
	come, ok := m.files[key]
	if !ok {
		come = window.Add(5*time.Minute + time.Duration(60+m.r.IntN(240))*time.Second)
		if m.r.IntN(100) == 0 && account != 17 && account != 99 {
			come = come.Add(time.Duration(m.r.IntN(120)) * time.Minute)
		}
		m.files[key] = come
	}
	return come
}

// twice delivers one record in twenty once more, from another trail.
func (m *month) twice() {
	for account := range m.events {
		for _, e := range m.events[account] {
			m.records++
			if m.r.IntN(20) == 0 {
				c := *e.Event
				c.Origin = "s3://other-trail/" + monthAccount(account)
				m.events[account] = append(m.events[account], arriving{&c, e.at.Add(time.Duration(m.r.IntN(3600)) * time.Second)})
				m.records++
			}
		}
	}
}

// does adds an event to the file of its time.
func (s *scene) does(at time.Time, name, user, serial string) *trail.Event {
	m := s.m
	m.id++
	e := &trail.Event{
		ID: fmt.Sprintf("%08x-%06d", m.r.Uint32(), m.id), Time: at, Source: trail.SourceIAM, Name: name, Partition: "aws", Account: monthAccount(s.account),
		Region: "us-east-1", User: user, Serial: serial, Actor: s.actor, Origin: "s3://trail/" + monthAccount(s.account),
	}
	e.Actor.Self = strings.EqualFold(e.Actor.Name, user) || user == trail.RootUser && e.Actor.Type == "Root"
	e.Raw = json.RawMessage(`{"eventID":"` + e.ID + `"}`)
	come := s.file
	if come.IsZero() {
		come = m.delivered(s.account, at)
	}
	if name == trail.EnableMFADevice && come.Sub(at) > 15*time.Minute {
		m.late[e.Account+user] = true
	}
	m.events[s.account] = append(m.events[s.account], arriving{e, come})
	m.kind[e.ID] = s.kind
	return e
}

// signsIn adds a sign-in, with a device or without.
func (s *scene) signsIn(at time.Time, user string, mfa bool) *trail.Event {
	a := s.user(user)
	if user == trail.RootUser {
		a = trail.Actor{Type: "Root", Name: "root", ARN: "arn:aws:iam::" + monthAccount(s.account) + ":root"}
	}
	e := s.as(a).does(at, trail.ConsoleLogin, user, "")
	e.Source, e.MFAUsed = trail.SourceSignin, &mfa
	if mfa {
		e.Raw = nil
	}
	return e
}

// from moves the events of an intruder to the intruder's address.
func from66(e *trail.Event) *trail.Event {
	e.Actor.SourceIP = intruderAddress
	return e
}

const (
	intruderAddress = "203.0.113.66"
	ssoMallory      = "mallory@example.com" // of the Identity Center
)

// step records that an event is a step of an attack.
func (s *scene) step(e *trail.Event, what string) { s.m.attack[e.ID] = what }

func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }

// simulate returns the month of the seed.
func simulate(seed uint64) *month {
	m := &month{r: rand.New(rand.NewPCG(seed, 7)), cases: map[string]int{}, kind: map[string]string{}, attack: map[string]string{}, files: map[string]time.Time{}, late: map[string]bool{}}
	begin := t0.Truncate(24 * time.Hour)
	used := map[string]bool{}
	next := 0
	// a user of no other incident, in some account, or in that one.
	uninvolved := func(in int) (int, string) {
		for {
			account := m.r.IntN(monthAccounts)
			if in >= 0 {
				account = in
			}
			name := fmt.Sprintf("user%02d", m.r.IntN(monthUsers))
			if key := fmt.Sprint(account, name); !used[key] {
				used[key] = true
				return account, name
			}
		}
	}
	day := func() time.Time { return begin.AddDate(0, 0, m.r.IntN(30)) }
	office := func() time.Time { return day().Add(8*time.Hour + time.Duration(m.r.IntN(9*3600))*time.Second) }
	serial := func(account int, user string) string {
		next++
		return fmt.Sprintf("arn:aws:iam::%s:mfa/%s-%d", monthAccount(account), user, next)
	}

	for account := range monthAccounts { // nearly all sign in, which proves nothing new
		s := &scene{m: m, account: account, kind: "sign-in"}
		for i := range monthUsers {
			at := office()
			s.file = at.Truncate(24 * time.Hour).Add(24 * time.Hour)
			s.signsIn(at, fmt.Sprintf("staff%02d", i), true)
		}
	}
	for range 200 {
		account, user := uninvolved(-1)
		s, at := m.scene(account, caseRotation), office()
		s.actor = s.user(user)
		s.does(at, trail.EnableMFADevice, user, serial(account, user))
		s.does(at.Add(minutes(1+m.r.IntN(60))), trail.DeactivateMFADevice, user, serial(account, user))
	}
	for range 200 {
		account, user := uninvolved(-1)
		s, at := m.scene(account, caseSwap), office()
		s.actor = s.user(user)
		s.does(at, trail.DeactivateMFADevice, user, serial(account, user))
		s.does(at.Add(minutes(1+m.r.IntN(4))), trail.EnableMFADevice, user, serial(account, user))
	}
	for range 100 {
		account, user := uninvolved(-1)
		s, at := m.scene(account, caseLost), begin.AddDate(0, 0, 1+m.r.IntN(29)).Add(8*time.Hour+time.Duration(m.r.IntN(9*3600))*time.Second)
		s.signsIn(begin.Add(9*time.Hour), user, true) // as they do every day
		s.as(s.role("HelpDesk", fmt.Sprintf("agent%d-%d", m.r.IntN(9), next))).does(at, trail.DeactivateMFADevice, user, serial(account, user))
		at = at.Add(time.Duration(60+m.r.IntN(120)) * time.Second)
		s.signsIn(at, user, false) // there is no other way in
		s.as(s.user(user)).does(at.Add(time.Duration(60+m.r.IntN(180))*time.Second), trail.EnableMFADevice, user, serial(account, user))
	}
	for i := range 300 {
		account, _ := uninvolved(-1)
		user := fmt.Sprintf("new%d", i)
		s, at := m.scene(account, caseJoiner), office()
		s.actor = s.role("Onboarding", "hr")
		s.does(at, trail.CreateUser, user, "")
		s.does(at.Add(time.Second), trail.CreateLoginProfile, user, "")
		s.does(at.Add(2*time.Second), trail.AddUserToGroup, user, "")
		s.as(s.user(user)).does(at.Add(minutes(20)), trail.EnableMFADevice, user, serial(account, user))
	}
	leave := func(s *scene, at time.Time, user string, gone time.Time) {
		s.actor = s.role("Offboarding", "hr")
		device := serial(s.account, user)
		steps := []string{trail.DeleteLoginProfile, trail.DeleteAccessKey, trail.DeactivateMFADevice, trail.DeleteVirtualMFADevice}
		if m.r.IntN(2) == 0 { // as Terraform does it
			steps = []string{trail.DeleteAccessKey, trail.DeactivateMFADevice, trail.DeleteVirtualMFADevice, trail.DeleteLoginProfile}
		}
		for i, name := range steps {
			target, of := user, ""
			switch name {
			case trail.DeactivateMFADevice:
				of = device
			case trail.DeleteVirtualMFADevice:
				target, of = "", device
			}
			s.does(at.Add(time.Duration(i)*time.Second), name, target, of)
		}
		s.does(gone, trail.DeleteUser, user, "")
	}
	for range 200 {
		account, user := uninvolved(-1)
		at := office()
		leave(m.scene(account, caseLeaver), at, user, at.Add(4*time.Second))
	}
	for bulk := range 4 { // a project ends
		at := office()
		for i := range 25 {
			_, user := uninvolved(50 + bulk)
			at := at.Add(time.Duration(40*i) * time.Second)
			leave(m.scene(50+bulk, caseLeaver), at, user, at.Add(4*time.Second))
		}
	}
	for range 20 {
		account, user := uninvolved(-1)
		at := begin.AddDate(0, 0, m.r.IntN(25)).Add(10 * time.Hour)
		leave(m.scene(account, caseHalfLeaver), at, user, at.AddDate(0, 0, 3))
	}
	for range 300 {
		account, user := uninvolved(-1)
		s := m.scene(account, caseKeys)
		s.actor = s.user(user)
		for week := range 4 {
			at := begin.AddDate(0, 0, 7*week).Add(time.Duration(9*3600+m.r.IntN(3600)) * time.Second)
			s.does(at, trail.CreateAccessKey, user, "")
			s.does(at.Add(minutes(10)), trail.DeleteAccessKey, user, "")
		}
	}
	for range 40 {
		account, user := uninvolved(-1)
		s := m.scene(account, caseTypo)
		s.actor = s.user(user)
		s.does(office(), trail.DeactivateMFADevice, user, serial(account, user)).ErrorCode = "AccessDenied"
	}
	for range 200 {
		account, user := uninvolved(-1)
		s, at := m.scene(account, caseMistyped), office()
		s.actor = s.user(user)
		for i := range 1 + m.r.IntN(3) {
			s.does(at.Add(minutes(i)), trail.EnableMFADevice, user, serial(account, user)).ErrorCode = "InvalidAuthenticationCode"
		}
		s.does(at.Add(minutes(4)), trail.EnableMFADevice, user, serial(account, user))
	}
	for i := range 30 { // a migration, with a ticket
		account, user := uninvolved(60)
		s, at := m.scene(account, caseAnnounced), begin.AddDate(0, 0, 12).Add(18*time.Hour+minutes(i))
		s.actor = s.role("terraform", "migration")
		s.does(at, trail.DeactivateMFADevice, user, serial(account, user))
		s.does(at.Add(minutes(90)), trail.EnableMFADevice, user, serial(account, user))
	}

	// The first attacker has an administrator's session, removes nine devices within
	// four minutes, exploits three, and deletes one user.
	at := begin.AddDate(0, 0, 9).Add(2*time.Hour + minutes(1))
	s := m.scene(17, caseAttack)
	mallory := s.role("Admin", "mallory")
	mallory.MFA = new(bool)
	s.actor = mallory
	var victims []string
	for i := range 9 {
		_, user := uninvolved(17)
		victims = append(victims, user)
		s.step(s.does(at.Add(time.Duration(25*i)*time.Second), trail.DeactivateMFADevice, user, serial(17, user)), "device taken")
	}
	s.step(s.signsIn(at.Add(minutes(30)), victims[0], false), "signed in")
	s.step(s.does(at.Add(minutes(40)), trail.CreateLoginProfile, victims[1], ""), "password made")
	s.step(s.signsIn(at.Add(minutes(41)), victims[1], false), "signed in")
	s.step(s.does(at.Add(minutes(50)), trail.CreateAccessKey, victims[2], ""), "key made")
	s.step(s.does(at.Add(minutes(51)), trail.AttachUserPolicy, victims[2], ""), "rights given")
	s.step(s.does(at.Add(minutes(60)), trail.DeleteUser, victims[0], ""), "user deleted after use")
	for _, user := range victims[1:] {
		s.as(s.role("IncidentResponse", "ann")).does(at.Add(12*time.Hour), trail.EnableMFADevice, user, serial(17, user))
	}

	// The second is patient: root of one account, and two days later an
	// administrator whose path is known.
	at = begin.AddDate(0, 0, 20).Add(3 * time.Hour)
	s = m.scene(99, caseAttack)
	s.actor = trail.Actor{Type: "Root", Name: "root", ARN: "arn:aws:iam::" + monthAccount(99) + ":root", SourceIP: "203.0.113.66"}
	s.step(s.does(at, trail.DeactivateMFADevice, trail.RootUser, "arn:aws:iam::"+monthAccount(99)+":mfa/root-account-mfa-device"), "root's device taken")
	s.step(s.signsIn(at.Add(minutes(20)), trail.RootUser, false), "root signed in")
	s.step(s.does(at.Add(minutes(25)), trail.CreateAccessKey, trail.RootUser, ""), "root's key made")
	_, admin := uninvolved(99)
	known := s.user(admin)
	known.ARN = "arn:aws:iam::" + monthAccount(99) + ":user/admins/" + admin
	seen := s.as(known).does(begin.Add(9*time.Hour), trail.ResyncMFADevice, admin, serial(99, admin))
	s.step(s.as(s.user("user-of-old")).does(at.AddDate(0, 0, 2), trail.DeactivateMFADevice, admin, seen.Serial), "administrator's device taken")
	s.step(s.signsIn(at.AddDate(0, 0, 2).Add(minutes(3)), admin, false), "signed in")
	s.step(s.does(at.AddDate(0, 0, 3), trail.DeleteUser, admin, ""), "user deleted after use")
	s.as(trail.Actor{Type: "Root", Name: "root", ARN: s.actor.ARN}).does(at.AddDate(0, 0, 3), trail.EnableMFADevice, trail.RootUser, "GAHT00112233")
	m.takeovers(begin, uninvolved, serial)
	m.twice()
	return m
}

// takeovers are attacks that end, as far as the intruder can help it, with a
// protected user.
func (m *month) takeovers(begin time.Time, uninvolved func(int) (int, string), serial func(int, string) string) {
	at := begin.AddDate(0, 0, 12).Add(3 * time.Hour)
	victim := func() (*scene, string) {
		account, user := uninvolved(-1)
		s := m.scene(account, caseAttack)
		s.signsIn(begin.Add(10*time.Hour), user, true)
		s.actor = s.user("mallory")
		return s, user
	}
	remove := func(s *scene, user string, at time.Time) *trail.Event {
		return from66(s.does(at, trail.DeactivateMFADevice, user, serial(s.account, user)))
	}

	s, user := victim() // a device of their own
	remove(s, user, at)
	s.step(from66(s.signsIn(at.Add(minutes(5)), user, false)), "signed in")
	s.step(from66(s.as(s.user(user)).does(at.Add(minutes(6)), trail.EnableMFADevice, user, serial(s.account, user))), "own device enabled")
	from66(s.signsIn(at.Add(minutes(30)), user, true))

	s, user = victim() // a key that stays
	remove(s, user, at)
	key := from66(s.does(at.Add(minutes(3)), trail.CreateAccessKey, user, ""))
	key.Detail = "AKIALEFTBEHIND"
	s.step(key, "key made")
	s.step(s.as(s.user(user)).does(at.Add(minutes(60)), trail.EnableMFADevice, user, serial(s.account, user)), "device back, key left")
	s.signsIn(at.Add(minutes(70)), user, true)

	for i := range 4 { // one person of the Identity Center, in four accounts
		s, user = victim()
		s.actor = s.role("AWSReservedSSO_Admin_0", ssoMallory)
		s.actor.Name = ssoMallory
		m.sso = append(m.sso, remove(s, user, at.Add(minutes(4*i))).ID)
		s.step(from66(s.signsIn(at.Add(minutes(4*i+20)), user, false)), "signed in")
	}

	s, _ = victim() // root, of whom nothing is known
	s.step(from66(s.signsIn(at, trail.RootUser, false)), "root signed in without MFA")
	s.step(from66(s.as(trail.Actor{Type: "Root", Name: "root"}).does(at.Add(minutes(2)), trail.CreateAccessKey, trail.RootUser, "")), "root's key made")

	s, user = victim() // a password before it
	from66(s.does(at.Add(-minutes(30)), trail.UpdateLoginProfile, user, ""))
	s.step(remove(s, user, at), "device taken after the password")
	s.step(from66(s.signsIn(at.Add(minutes(2)), user, false)), "signed in")
}

// arrivals returns the events of some accounts in the order of their arrival.
func (m *month) arrivals(accounts ...[]arriving) []arriving {
	all := slices.Concat(accounts...)
	slices.SortStableFunc(all, func(a, b arriving) int { return cmp.Or(a.at.Compare(b.at), strings.Compare(a.ID, b.ID)) })
	return all
}

// drive calls look whenever files arrive or a look is due, until ten days after the
// month. A look returns when the next one is due.
func drive(all []arriving, look func(now time.Time, arrived []*trail.Event) (next time.Time)) (looks int) {
	var next time.Time
	call := func(now time.Time, arrived ...*trail.Event) {
		looks++
		next = look(now, arrived)
	}
	for len(all) > 0 {
		now := all[0].at
		for !next.IsZero() && next.Before(now) {
			call(next)
		}
		var arrived []*trail.Event
		for len(all) > 0 && all[0].at.Equal(now) {
			arrived = append(arrived, all[0].Event)
			all = all[1:]
		}
		call(now, arrived...)
	}
	for !next.IsZero() && next.Before(t0.AddDate(0, 0, 40)) {
		call(next)
	}
	return looks
}

// inLanes drives events through a Ledger, as the service does: by subject, with the
// lanes of all actors.
func inLanes(all []arriving, p exposure.Policy, hear func([]*exposure.Alert)) (looks int) {
	var l Ledger
	return drive(all, func(now time.Time, arrived []*trail.Event) time.Time {
		l.Append(arrived...)
		alerts, next := l.Fold(now, p)
		hear(alerts)
		return next
	})
}

// monthPolicy is the default policy, with the automation named.
func monthPolicy(t testing.TB) exposure.Policy {
	p := exposure.DefaultPolicy()
	p.Enrollers = []*rule.Matcher{match(t, map[string]any{"actor": []any{"IncidentResponse/*"}})}
	p.Offboarders = []*rule.Matcher{match(t, map[string]any{"actor": "Offboarding/*"})}
	p.Privileged = []*rule.Matcher{match(t, map[string]any{"path": "/admins/*"})}
	evening := t0.Truncate(24*time.Hour).AddDate(0, 0, 12).Add(18 * time.Hour)
	p.PlannedChanges = []*exposure.PlannedChange{{
		Match: match(t, map[string]any{"account": monthAccount(60), "actor": "terraform/*"}),
		From:  evening, Until: evening.Add(4 * time.Hour), Ticket: "CHG-1042", Approver: "ann",
	}}
	return p
}

// monthDigest is a hash of the month's records, for comparison.
func monthDigest(m *month) string {
	var b strings.Builder
	for _, events := range m.events {
		for _, e := range events {
			b.WriteString(e.ID + e.at.String() + e.Name)
		}
	}
	return exposure.ID("month", b.String())
}
