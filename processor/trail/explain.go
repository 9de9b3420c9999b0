package trail

import "fmt"

// An Explainer is a Visitor that also receives the records of a watched name that
// become no Event.
type Explainer interface {
	Ignored(i Ignored)
}

// Ignored is a record that is none of mfawatch's business, though its eventName
// may be. Its text is the caller's own, as that of an Event is.
type Ignored struct {
	Origin  string
	ID      string // eventID
	Time    string // eventTime, as written
	Name    string // eventName
	Account string // "" where the record names none
	Why     string // the first test that it failed, in words
}

func (r *record) ignored(t test, o Origin) Ignored {
	return Ignored{
		Origin: o.String(), ID: text(r.id), Time: text(r.time), Name: text(r.name), Account: text(r.account("")), Why: r.why(t),
	}
}

// why puts a test that the record failed into words.
func (r *record) why(t test) string {
	quoted := func(s string) string { return fmt.Sprintf("%.100q", s) }
	switch t {
	case isCall:
		return "eventCategory is " + quoted(r.category) + ": a summary, not a call"
	case isSource:
		return "eventSource is " + quoted(r.source) + "; want " + SourceIAM + ", or of a sign-in " + SourceSignin
	case isOfSource:
		return "eventSource is " + quoted(r.source) + ", which has no " + text(r.name) + " that is watched"
	case succeeded:
		code := r.errorCode
		if code == "" {
			code = r.errorMessage
		}
		return "it failed (" + quoted(code) + "): of what failed only " + DeactivateMFADevice + ", " + EnableMFADevice + " and " + DeleteVirtualMFADevice + " count, as attempts, and " + ConsoleLogin + ", as guesses"
	case isUser:
		if ofRootSignin(r.name) {
			return "userIdentity.type is " + quoted(r.identity.kind) + "; want Root"
		}
		return "userIdentity.type is " + quoted(r.identity.kind) + "; want IAMUser or Root: the sign-ins of others do not say whether MFA was used"
	case letIn:
		return "responseElements." + text(r.name) + " is " + quoted(r.response.Get(r.name).Str) + "; want Success"
	}
	return ""
}
