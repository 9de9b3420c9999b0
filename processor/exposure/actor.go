package exposure

import (
	"net/netip"
	"strings"

	"github.com/mfawatch/mfawatch/processor/trail"
)

// actorLane is the prefix of the lanes of actors.
const actorLane = "actor:"

// actorKey returns the identity of an actor, which is the same for all that one
// person or program does: the IAM user, the Identity Center user across
// accounts, the source identity of a role session, the name of a federated
// user. Other role sessions are distinguished by role and address: their callers
// choose the session name (J10).
func actorKey(a *trail.Actor) string {
	partition, account, resource := splitARN(a.ARN)
	scope := partition + ":" + account + ":"
	kind, name, _ := strings.Cut(resource, "/")
	switch {
	case a.OnBehalfOf != "":
		return "person:" + a.OnBehalfOf
	case a.SourceIdentity != "":
		return "source:" + a.SourceIdentity
	case kind == "user" && name != "":
		return "user:" + scope + FoldName(name[strings.LastIndexByte(name, '/')+1:])
	case kind == "federated-user":
		return "federated:" + scope + name
	case kind == "assumed-role" && !a.AssumedRoot:
		if IsPerson(a) {
			return "session:" + partition + ":" + strings.ToLower(a.Name)
		}
		role, _, _ := strings.Cut(name, "/")
		return "role:" + scope + role + "@" + addressPrefix(a.SourceIP)
	case a.ARN != "":
		return a.ARN
	}
	return a.Type + "\x00" + a.Name + "\x00" + a.AccessKeyID
}

// IsPerson reports whether a role session is that of an Identity Center user, by
// whose name alone trail names it.
func IsPerson(a *trail.Actor) bool {
	return a.Name != "" && strings.Contains(a.ARN, ":assumed-role/AWSReservedSSO_") && strings.HasSuffix(a.ARN, "/"+a.Name) && !strings.Contains(a.Name, "/")
}

// ActorName returns the name of an actor as matchers see it: that of an IAM user, of
// a role session or of a person, and of all others after the type. Who federates a
// user chooses the name, and would be taken for whom a matcher names.
func ActorName(kind, name string) string {
	switch kind {
	case "", "IAMUser", "AssumedRole", "AssumedRoot", "Root", "AWSService", "IdentityCenterUser", "Person":
		return name
	}
	return kind + "/" + name
}

// anonymous reports whether the record does not say who the actor is.
func anonymous(a *trail.Actor) bool {
	return a.ARN == "" && a.Name == "" && a.AccessKeyID == "" && a.OnBehalfOf == "" && a.SourceIdentity == ""
}

// laneOf returns the lane of the actor of an event in an account. An actor without an
// ARN or a person may share its name with those of other accounts.
func laneOf(a *trail.Actor, partition, account string) string {
	lane := actorLane + actorKey(a)
	if a.ARN == "" && a.OnBehalfOf == "" && a.SourceIdentity == "" {
		lane += "@" + partition + "/" + account
	}
	return lane
}

// splitARN returns the partition, account and resource of an ARN; "" if it is
// none.
func splitARN(arn string) (partition, account, resource string) {
	p := strings.SplitN(arn, ":", 6)
	if len(p) != 6 || p[0] != "arn" {
		return "", "", ""
	}
	return p[1], p[4], p[5]
}

// addressPrefix returns the network of an address. Anything else, such as the name of
// a service, stands for itself.
func addressPrefix(address string) string {
	if ip, err := netip.ParseAddr(address); err == nil {
		return network(ip).String()
	}
	return address
}

// ActorLane returns the lane of the actor of x.
func (x *Exposure) ActorLane() string { return laneOf(&x.Actor, x.Partition, x.Account) }

// ActorLane returns the lane of the actor of a.
func (a *Attempt) ActorLane() string { return laneOf(&a.Actor, a.Partition, a.Account) }
