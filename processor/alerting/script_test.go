package alerting

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

var t0 = time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)

// at returns a time that many seconds after the start.
func at(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }

var verbs = map[string]string{
	"deactivate": trail.DeactivateMFADevice, "enable": trail.EnableMFADevice, "resync": trail.ResyncMFADevice,
	"createvirtual": trail.CreateVirtualMFADevice, "deletevirtual": trail.DeleteVirtualMFADevice,
	"createuser": trail.CreateUser, "rename": trail.UpdateUser, "deleteuser": trail.DeleteUser,
	"createlogin": trail.CreateLoginProfile, "updatelogin": trail.UpdateLoginProfile, "deletelogin": trail.DeleteLoginProfile,
	"createkey": trail.CreateAccessKey, "updatekey": trail.UpdateAccessKey, "deletekey": trail.DeleteAccessKey,
	"detach": trail.DetachUserPolicy, "ungroup": trail.RemoveUserFromGroup, "password": trail.ChangePassword,
	"servicekey": trail.CreateServiceSpecificCredential, "delservicekey": trail.DeleteServiceSpecificCredential,
	"switch": trail.SwitchRole, "oauth": trail.CreateOAuth2Token, "recovery": trail.PasswordRecoveryRequested, "email": trail.EmailUpdated,
	"attach": trail.AttachUserPolicy, "put": trail.PutUserPolicy, "group": trail.AddUserToGroup,
	"login+": trail.ConsoleLogin, "login-": trail.ConsoleLogin, "login?": trail.ConsoleLogin, "checkmfa": trail.CheckMfa, "guess": trail.ConsoleLogin,
}

// script reads events, one a line or semicolon: seconds, verb, user (- for
// none, root for root), then serial=, new=, by=, fail=, id=, mfa=, type=,
// account=, name=, key=, origin=, assumedroot.
func script(t testing.TB, text string) []*trail.Event {
	t.Helper()
	var events []*trail.Event
	for i, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == ';' }) {
		w := strings.Fields(line)
		if len(w) == 0 {
			continue
		}
		s, err := strconv.Atoi(w[0])
		if err != nil || len(w) < 3 || verbs[w[1]] == "" {
			t.Fatalf("bad line %q", line)
		}
		yes, no := true, false
		e := &trail.Event{
			ID: fmt.Sprintf("e%02d", i), Time: at(s), Source: trail.SourceIAM, Name: verbs[w[1]],
			Partition: "aws", Account: "111122223333", Region: "us-east-1", User: w[2],
			Actor: trail.Actor{Type: "IAMUser", Name: "alice", ARN: "arn:aws:iam::111122223333:user/alice", MFA: &yes},
		}
		switch w[1] {
		case "enable", "resync": // the user's own doing, unless by= says otherwise
			e.Actor.Self = true
		case "login+":
			e.MFAUsed = &yes
		case "login-":
			e.MFAUsed = &no
		case "guess":
			e.ErrorMessage = "Failed authentication"
		}
		switch w[2] {
		case "-":
			e.User = ""
		case "root":
			e.User = trail.RootUser
		}
		for _, o := range w[3:] {
			k, v, _ := strings.Cut(o, "=")
			switch k {
			case "serial":
				e.Serial = v
			case "new":
				e.NewUser = v
			case "by":
				e.Actor.Name, e.Actor.ARN = v, "arn:aws:iam::111122223333:user/"+v
				e.Actor.Self = false
			case "name":
				e.Actor.Name = v
			case "self":
				e.Actor.Self = true
			case "fail":
				e.ErrorCode = v
			case "id":
				e.ID = v
			case "mfa":
				e.Actor.MFA = map[string]*bool{"yes": &yes, "no": &no}[v]
			case "type":
				e.Actor.Type = v
			case "account":
				e.Account = v
			case "partition":
				e.Partition = v
			case "key":
				e.Actor.AccessKeyID = v
			case "origin":
				e.Origin = v
			case "from":
				e.Actor.SourceIP = v
			case "detail":
				e.Detail = strings.ReplaceAll(v, "_", " ")
			case "assumedroot":
				e.Actor.AssumedRoot = true
			default:
				t.Fatalf("bad option %q", o)
			}
		}
		events = append(events, e)
	}
	return events
}

func seconds(t time.Time) int { return int(t.Sub(t0) / time.Second) }

// show renders alerts as "user step@seconds severity[ resolution]", joined by
// "; ".
func show(alerts []*exposure.Alert) string {
	var s []string
	for _, a := range alerts {
		user := "?"
		if a.User != nil {
			user = *a.User
		}
		if a.Root {
			user = "root"
		}
		line := fmt.Sprintf("%s %s@%d %s", user, a.Step, seconds(a.Time), a.Severity)
		if a.Resolution != nil {
			line += " " + *a.Resolution
		}
		if a.Escalation != nil {
			line += fmt.Sprintf(" #%d", *a.Escalation)
		}
		if a.Attempts != nil {
			line += fmt.Sprintf(" x%d %s", a.Attempts.Count, strings.Join(a.Attempts.ErrorCodes, ","))
		}
		s = append(s, strings.TrimSpace(line))
	}
	return strings.Join(s, "; ")
}
