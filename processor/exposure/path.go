package exposure

import (
	"maps"
	"strings"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// pathOf is the user's path within IAM that an ARN shows, such as /ops/; "" for
// what is no user's.
func pathOf(arn string) string {
	i := strings.Index(arn, ":user/")
	if i < 0 {
		return ""
	}
	path := arn[i+len(":user"):]
	return path[:strings.LastIndexByte(path, '/')+1]
}

// pathsOf finds the paths of users, by folded name, from what they did: a record
// shows the path of who acts, never that of the target (R11). before is what was
// known of dropped events; known is what is to be remembered. A user without a
// path is in neither.
func pathsOf(items []item, before map[string]string) (seen, known map[string]string) {
	seen, known = before, before
	copied := false
	own := func() {
		if !copied {
			copied = true
			seen, known = maps.Clone(before), maps.Clone(before)
			if seen == nil {
				seen, known = map[string]string{}, map[string]string{}
			}
		}
	}
	for i := range items {
		e := items[i].ev
		if items[i].mark {
			continue
		}
		if e.Actor.Type == "IAMUser" && e.Actor.Name != "" {
			switch path := pathOf(e.Actor.ARN); {
			case path == "":
			case path != "/":
				if name := foldName(e.Actor.Name); known[name] != path {
					own()
					seen[name], known[name] = path, path
				}
			case len(known) > 0:
				if name := foldName(e.Actor.Name); known[name] != "" { // it was moved
					own()
					delete(known, name)
				}
			}
		}
		if len(known) == 0 || e.Failed() {
			continue
		}
		switch e.Name {
		case trail.DeleteUser:
			if name := foldName(e.User); known[name] != "" {
				own()
				delete(known, name)
			}
		case trail.UpdateUser:
			if path := known[foldName(e.User)]; path != "" && e.NewUser != "" {
				own()
				delete(known, foldName(e.User))
				seen[foldName(e.NewUser)], known[foldName(e.NewUser)] = path, path
			}
		}
	}
	return seen, known
}
