package dryrun

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const storyAccount = "111122223333"

var storyDays = []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}

// readStory reads a file of testdata/stories.
func readStory(text string) (*story, error) {
	head, rest, ok := strings.Cut(text, "\nrecords:\n")
	records, alerts, ok2 := strings.Cut(rest, "\nalerts:\n")
	if !ok || !ok2 {
		return nil, fmt.Errorf("want the parts records: and alerts:")
	}
	s := &story{about: head, policy: "everybody", alerts: alerts}
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "policy":
			s.policy = value
		case "until":
			var err error
			if s.until, err = readStoryTime(value); err != nil {
				return nil, err
			}
		}
	}
	n := 0
	for line := range strings.Lines(records) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		n++
		l, err := readStoryLine(line, n)
		if err != nil {
			return nil, fmt.Errorf("record %d, %q: %w", n, strings.TrimSpace(line), err)
		}
		s.lines = append(s.lines, l)
		if end := l.seen.Add(10 * time.Minute); end.After(s.until) {
			s.until = end
		}
	}
	return s, nil
}

// readStoryTime reads Mon 08:00, Tue 08:00:30, Wed+2 08:00 (two weeks later).
func readStoryTime(text string) (time.Time, error) {
	day, clock, _ := strings.Cut(text, " ")
	day, weeks, _ := strings.Cut(day, "+")
	later := 0
	if weeks != "" {
		var err error
		if later, err = strconv.Atoi(weeks); err != nil {
			return time.Time{}, err
		}
	}
	layout := "15:04"
	if strings.Count(clock, ":") == 2 {
		layout = time.TimeOnly
	}
	at, err := time.Parse(layout, clock)
	for i, name := range storyDays {
		if name == day && err == nil {
			return storyWeek.AddDate(0, 0, 7*later+i).Add(at.Sub(at.Truncate(24 * time.Hour))), nil
		}
	}
	return time.Time{}, fmt.Errorf("want a time such as Mon 08:00, got %q", text)
}

func storyTime(t time.Time) string {
	t = t.UTC()
	days := int(t.Sub(storyWeek) / (24 * time.Hour))
	text := storyDays[days%7]
	if days >= 7 {
		text += fmt.Sprintf("+%d", days/7)
	}
	if t.Second() != 0 {
		return text + t.Format(" 15:04:05")
	}
	return text + t.Format(" 15:04")
}

// readStoryLine reads a record: day, time, who, what, whom and device, then
// options.
func readStoryLine(line string, n int) (l storyLine, err error) {
	words := strings.Fields(line)
	var options, plain []string
	for _, w := range words {
		if strings.Contains(w, "=") {
			options = append(options, w)
		} else {
			plain = append(plain, w)
		}
	}
	if len(plain) < 4 || len(plain) > 6 {
		return l, fmt.Errorf("want day, time, who, what, whom, device")
	}
	at, err := readStoryTime(plain[0] + " " + plain[1])
	if err != nil {
		return l, err
	}
	o := map[string]string{"account": storyAccount, "partition": "aws", "mfa": "yes", "from": "198.51.100.7", "agent": "aws-cli/2.15"}
	for _, w := range options {
		key, value, _ := strings.Cut(w, "=")
		o[key] = strings.ReplaceAll(value, "_", " ")
	}
	who, what, whom, device := plain[2], plain[3], "", ""
	if len(plain) > 4 {
		whom = plain[4]
	}
	if len(plain) > 5 {
		device = plain[5]
	}
	l.seen = at
	if o["seen"] != "" {
		day, clock, _ := strings.Cut(o["seen"], "/")
		if l.seen, err = readStoryTime(day + " " + clock); err != nil {
			return l, err
		}
	}
	id := o["id"]
	if id == "" {
		id = strconv.Itoa(n)
	}
	sum := sha256.Sum256([]byte(id))
	l.record = map[string]any{
		"eventVersion": "1.11", "eventTime": at.Format(time.RFC3339), "eventName": what, "eventSource": "iam.amazonaws.com",
		"eventID": hex.EncodeToString(sum[:16]), "awsRegion": "us-east-1", "recipientAccountId": o["account"],
		"sourceIPAddress": o["from"], "userAgent": o["agent"], "userIdentity": storyIdentity(who, o),
		"requestParameters": storyParameters(what, whom, device, o), "responseElements": nil,
		"eventType": "AwsApiCall", "eventCategory": "Management", "managementEvent": true,
	}
	if o["failed"] != "" {
		l.record["errorCode"] = o["failed"]
	}
	switch what {
	case "ConsoleLogin":
		l.record["eventSource"] = "signin.amazonaws.com"
		l.record["responseElements"] = map[string]any{"ConsoleLogin": "Success"}
		used := map[string]any{"MFAUsed": map[string]string{"yes": "Yes", "no": "No"}[o["mfa"]]}
		if device != "" {
			used["MFAIdentifier"] = storySerial(device, whom, o)
		}
		l.record["additionalEventData"] = used
		if o["failed"] != "" {
			delete(l.record, "errorCode")
			l.record["errorMessage"], l.record["responseElements"] = "Failed authentication", map[string]any{"ConsoleLogin": "Failure"}
		}
	case "CheckMfa":
		l.record["eventSource"] = "signin.amazonaws.com"
		l.record["responseElements"] = map[string]any{"CheckMfa": "Success"}
	case "CreateVirtualMFADevice":
		l.record["responseElements"] = map[string]any{"virtualMFADevice": map[string]any{"serialNumber": storySerial(device, whom, o)}}
	}
	storyResponse(l.record, what, o)
	if o["source"] != "" {
		l.record["eventSource"] = o["source"]
	}
	return l, nil
}

// storyResponse adds the answer to the call, and its facts outside the parameters.
func storyResponse(record map[string]any, what string, o map[string]string) {
	switch what {
	case "CreateAccessKey":
		record["responseElements"] = map[string]any{"accessKey": map[string]any{"accessKeyId": o["cred"]}}
	case "CreateServiceSpecificCredential":
		record["responseElements"] = map[string]any{"serviceSpecificCredential": map[string]any{"serviceSpecificCredentialId": o["cred"]}}
	case "UploadSSHPublicKey":
		record["responseElements"] = map[string]any{"sSHPublicKey": map[string]any{"sSHPublicKeyId": o["cred"]}}
	case "UploadSigningCertificate":
		record["responseElements"] = map[string]any{"certificate": map[string]any{"certificateId": o["cred"]}}
	case "SwitchRole", "CreateOAuth2Token", "AuthorizeOAuth2Access", "PasswordRecoveryRequested", "PasswordRecoveryCompleted", "PasswordUpdated", "EmailUpdated":
		record["eventSource"], record["requestParameters"] = "signin.amazonaws.com", nil
		if from := o["switched"]; from != "" {
			record["additionalEventData"] = map[string]any{"SwitchFrom": "arn:aws:iam::" + storyAccount + ":user/" + from}
		}
	}
	if o["amends"] != "" {
		sum := sha256.Sum256([]byte(o["amends"]))
		record["addendum"] = map[string]any{"reason": "UPDATED_DATA", "originalEventID": hex.EncodeToString(sum[:16])}
	}
}

// storyIdentity returns the caller: bob, root, role:helpdesk/ticket-1,
// federated:feddy/broker or assumedroot.
func storyIdentity(who string, o map[string]string) map[string]any {
	account, arn := o["account"], "arn:"+o["partition"]+":iam::"+o["account"]+":"
	id := map[string]any{"accountId": account}
	session := map[string]any{}
	if mfa := map[string]string{"yes": "true", "no": "false"}[o["mfa"]]; mfa != "" {
		session["attributes"] = map[string]any{"mfaAuthenticated": mfa}
	}
	role, name, _ := strings.Cut(strings.TrimPrefix(who, "role:"), "/")
	switch {
	case who == "root":
		id["type"], id["arn"], id["principalId"] = "Root", arn+"root", account
	case who == "assumedroot":
		id["type"], id["arn"], id["principalId"] = "AssumedRole", "arn:aws:sts::"+account+":assumed-root/central", account+":central"
		session["assumedRoot"] = "true"
	case strings.HasPrefix(who, "federated:"):
		user, broker, _ := strings.Cut(strings.TrimPrefix(who, "federated:"), "/")
		id["type"], id["arn"], id["principalId"] = "FederatedUser", "arn:aws:sts::"+account+":federated-user/"+user, account+":"+user
		session["sessionIssuer"] = map[string]any{"type": "IAMUser", "userName": broker, "arn": arn + "user/" + broker, "accountId": account}
	case strings.HasPrefix(who, "role:"):
		id["type"], id["principalId"] = "AssumedRole", "AROAEXAMPLE:"+name
		id["arn"] = "arn:" + o["partition"] + ":sts::" + account + ":assumed-role/" + role + "/" + name
		path := "role/"
		if strings.HasPrefix(role, "AWSReservedSSO_") {
			path += "aws-reserved/sso.amazonaws.com/"
		}
		session["sessionIssuer"] = map[string]any{"type": "Role", "userName": role, "arn": arn + path + role, "accountId": account}
	default:
		path := strings.Trim(o["path"], "/")
		if path != "" {
			path += "/"
		}
		id["type"], id["userName"], id["arn"], id["principalId"] = "IAMUser", who, arn+"user/"+path+who, "AIDAEXAMPLE"+strings.ToUpper(who)
	}
	if o["unnamed"] != "" {
		delete(id, "userName")
	}
	if o["key"] != "" {
		id["accessKeyId"] = o["key"]
	}
	if o["behalf"] != "" {
		id["onBehalfOf"] = map[string]any{"userId": o["behalf"], "identityStoreArn": "arn:aws:identitystore::111122223333:identitystore/d-1"}
	}
	if o["identity"] != "" {
		session["sourceIdentity"] = o["identity"]
	}
	if len(session) > 0 && o["mfa"] != "unknown" || session["sessionIssuer"] != nil {
		id["sessionContext"] = session
	}
	return id
}

// storyParameters is to whom and what it was done; - for what the record does
// not say.
func storyParameters(what, whom, device string, o map[string]string) any {
	if what == "ConsoleLogin" || what == "CheckMfa" || o["failed"] != "" && whom == "-" {
		return nil
	}
	p := map[string]any{}
	if whom != "" && whom != "-" && what != "DeleteVirtualMFADevice" && what != "CreateVirtualMFADevice" {
		p["userName"] = whom
		if whom == "root" {
			delete(p, "userName") // which CloudTrail leaves out, too
		}
	}
	if device != "" && device != "-" && what != "CreateVirtualMFADevice" {
		p["serialNumber"] = storySerial(device, whom, o)
	}
	if o["new"] != "" {
		p["newUserName"] = o["new"]
	}
	for key, option := range map[string]string{"groupName": "group", "policyName": "inline", "status": "status", "permissionsBoundary": "boundary"} {
		if o[option] != "" {
			p[key] = o[option]
		}
	}
	for _, key := range map[string][]string{"UpdateAccessKey": {"accessKeyId"}, "DeleteAccessKey": {"accessKeyId"}, "DeleteSSHPublicKey": {"sSHPublicKeyId"},
		"DeleteServiceSpecificCredential": {"serviceSpecificCredentialId"}, "DeleteSigningCertificate": {"certificateId"}}[what] {
		p[key] = o["cred"]
	}
	if what == "ChangePassword" {
		return nil
	}
	if o["policy"] != "" {
		p["policyArn"] = "arn:aws:iam::aws:policy/" + o["policy"]
	}
	return p
}

// storySerial is a device: phone is virtual, key:blue a security key, hw:GA1 a
// token.
func storySerial(device, whom string, o map[string]string) string {
	arn := "arn:" + o["partition"] + ":iam::" + o["account"] + ":"
	kind, name, ok := strings.Cut(device, ":")
	switch {
	case ok && kind == "key":
		return arn + "u2f/user/" + whom + "/" + name
	case ok && kind == "hw":
		return name
	}
	return arn + "mfa/" + device
}
