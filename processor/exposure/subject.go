package exposure

import (
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// Lane returns the lane that e is folded in: its account, or an actor's
// identity. Events of different lanes never share a subject.
func Lane(e *trail.Event) string {
	if e.Lane != "" {
		return e.Lane
	}
	return e.Partition + "/" + e.Account
}

// ActorLane reports whether a lane is that of an actor.
func ActorLane(lane string) bool { return strings.HasPrefix(lane, actorLane) }

// Keys returns the keys of the subject that e belongs to, at least one. Events
// of one lane that share a key are of one subject; so are those that a third
// event joins. A failed call joins nothing: its caller may have made up the
// target.
func Keys(e *trail.Event) []string {
	if e.Key != "" {
		return []string{e.Key}
	}
	var keys []string
	if e.User != "" {
		keys = append(keys, userKey(e.User))
	}
	if e.Failed() && len(keys) > 0 {
		return keys
	}
	if e.NewUser != "" {
		if k := userKey(e.NewUser); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	if e.Serial != "" {
		keys = append(keys, "device:"+e.Serial)
	}
	switch {
	case len(keys) > 0:
	case e.Failed():
		keys = append(keys, "unknown:"+actorKey(&e.Actor)) // a denied call may name no target: one actor's are of one
	default:
		keys = append(keys, "event:"+e.ID)
	}
	return keys
}

func userKey(name string) string { return "user:" + FoldName(name) }
