package alerting

import (
	"fmt"
	"testing"

	"github.com/mfawatch/mfawatch/processor/exposure"
)

// J3: a device that an intruder enabled stays theirs when they synchronise it, or sign
// in with it: the removal of the user's own is no rotation.
func TestJ3_AResyncMakesNoDeviceTheUsers(t *testing.T) {
	for _, then := range []string{"", "20 resync bob serial=EVIL by=mallory;", "20 resync bob serial=EVIL by=bob self;", "20 login+ bob serial=EVIL by=bob self;"} {
		d := playMarked(t, exposure.DefaultPolicy(),
			arrival{5, "0 enable bob serial=OWN by=bob self id=own", ""},
			arrival{15, "10 enable bob serial=EVIL by=mallory id=evil", "bob enrolled@10 medium"})
		d.arrive(at(25), script(t, then)...)
		for _, now := range []int{35, 36 * 86400, 72 * 86400} { // and as the records are dropped
			if got := marked(d.arrive(at(now))); got != "" {
				t.Errorf("%q: %s", then, got)
			}
		}
		if got := marked(d.arrive(at(73*86400), script(t, "6307190 deactivate bob serial=OWN by=mallory id=gone")...)); got != "bob reduced@6307190 high" {
			t.Errorf("%q: got %s", then, got)
		}
	}
}

// J4, J5: a CheckMfa record shows that AWS asked for a device, which needs the password
// alone: it makes no address familiar.
func TestJ5_AChallengeTeachesNoAddress(t *testing.T) {
	playMarked(t, exposure.DefaultPolicy(),
		arrival{5, "0 checkmfa bob by=bob self from=203.0.113.7 id=asked", ""},
		arrival{1010, "1000 deactivate bob serial=A by=mallory from=192.0.2.1 id=gone", "bob opened@1000 high"},
		arrival{1110, "1100 login- bob by=bob self from=203.0.113.9 id=in", "bob exploited@1100 critical"},
		arrival{1210, "1200 enable bob serial=EVIL by=bob self from=203.0.113.9 id=evil", "bob suspect@1200 critical"},
		arrival{1310, "1300 checkmfa bob by=bob self from=203.0.113.9 id=again", ""},
		arrival{1410, "1400 login+ bob by=bob self from=203.0.113.9 id=proof", ""})
}

// A user who is moved to another path stays privileged: an intruder would move them
// before the removal.
func TestR28_AMoveTakesNoPrivilege(t *testing.T) {
	p := exposure.DefaultPolicy()
	p.Privileged = append(p.Privileged, match(t, map[string]any{"path": "/admins/*"}))
	for _, path := range []string{"/", "/x/"} {
		d := newTestAccount(t)
		d.policy = p
		for i, path := range []string{"/admins/", path, path} {
			e := script(t, fmt.Sprintf("%d login+ dba by=dba self id=l%d", i*20*86400, i))[0]
			e.Actor.ARN = "arn:aws:iam::111122223333:user" + path + "dba"
			d.arrive(e.Time, e)
		}
		now := 60 * 86400
		if got := show(d.arrive(at(now), script(t, fmt.Sprintf("%d deactivate dba serial=A by=mallory id=gone", now))...)); got != "dba opened@5184000 critical" {
			t.Errorf("moved to %s: got %s", path, got)
		}
	}
}
