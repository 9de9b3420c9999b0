package trail

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// ecs is minimal as Filebeat and Elastic Agent map it, with the parameters nested
// and the other members flat.
const ecs = `{"@timestamp":"2026-05-01T08:03:11.000Z","event.kind":"event","event.action":"DeactivateMFADevice","event.provider":"iam.amazonaws.com",` +
	`"event.id":"e-1","event.outcome":"success","cloud.account.id":"111122223333","cloud.region":"us-east-1","source.address":"198.51.100.7",` +
	`"user.name":"alice","user_agent.original":"aws-cli","aws.cloudtrail.event_version":"1.11","aws.cloudtrail.user_identity.type":"IAMUser",` +
	`"aws.cloudtrail.flattened":{"request_parameters":{"userName":"bob","serialNumber":"arn:aws:iam::111122223333:mfa/bob-phone"}},` +
	`"aws.cloudtrail.recipient_account_id":"111122223333"}`

// nested is ecs with all members nested, in the order of their names.
const nested = `{"_index":"logs","_source":{"@timestamp":"2026-05-01T08:03:11.000Z","aws":{"cloudtrail":{"flattened":{"request_parameters":` +
	`{"serialNumber":"arn:aws:iam::111122223333:mfa/bob-phone","userName":"bob"}},"recipient_account_id":"111122223333","user_identity":{"type":"IAMUser"}}},` +
	`"cloud":{"account":{"id":"111122223333"},"region":"us-east-1"},"event":{"action":"DeactivateMFADevice","id":"e-1","provider":"iam.amazonaws.com"},` +
	`"source":{"address":"198.51.100.7"},"user":{"name":"alice"},"user_agent":{"original":"aws-cli"}}}`

const ocsf = `{"metadata":{"product":{"name":"CloudTrail"},"uid":"e-1"},"time":1777622591000,"class_uid":3001,"cloud":{"region":"us-east-1"},` +
	`"api":{"operation":"DeactivateMFADevice","service":{"name":"iam.amazonaws.com"}},"unmapped":{"eventType":"AwsApiCall","requestParameters":"{}"}}`

func TestMappedRecords(t *testing.T) {
	const deactivated = "DeactivateMFADevice:bob"
	with := func(doc, member string) string { return strings.TrimSuffix(doc, "}") + "," + member + "}" }
	signIn := strings.NewReplacer("DeactivateMFADevice", "ConsoleLogin", "iam.amazonaws", "signin.amazonaws", `"userName":"bob"`, `"a":1`,
		`"request_parameters"`, `"response_elements":{"ConsoleLogin":"Success"},"additional_eventdata":{"MFAUsed":"No"},"request_parameters"`).Replace(ecs)
	forged := strings.Replace(minimal, `"bob"`, `"forged"`, 1)
	other := strings.Replace(minimal, "DeactivateMFADevice", "ListUsers", 1)
	text := `"message":"` + strings.Repeat("x", farApart) + `"`
	long := with(ecs, text)
	pad := strings.Repeat(`{"x":"`+strings.Repeat("y", 1000)+`"},`, 9000)
	for _, c := range []struct{ name, doc, names, reasons string }{
		{"ECS", ecs, deactivated, ""},
		{"ECS, nested", nested, deactivated, ""},
		{"ECS in lines", `{"index":{}}` + "\n" + ecs + "\n" + `{"index":{}}` + "\n" + nested + "\n", deactivated + " " + deactivated, ""},
		{"ECS in a list", "[" + ecs + "," + pretty(nested) + "]", deactivated + " " + deactivated, ""},
		{"ECS in a long list", "[" + pad + nested + "," + pad + ecs + "]", deactivated + " " + deactivated, ""},
		{"ECS with its original", with(ecs, `"event.original":`+quoted(minimal)), deactivated, ""},
		{"ECS with its original, nested", strings.Replace(nested, `"event":{`, `"event":{"original":`+quoted(minimal)+`,`, 1), deactivated, ""},
		{"ECS with the original as message", with(ecs, `"message":`+quoted(minimal)), deactivated, ""},
		{"ECS that is not mapped", `{"@timestamp":"2026-05-01T08:03:11.000Z","event":{"kind":"event"},"aws":{"cloudtrail":` + minimal + `}}`, deactivated, ""},
		{"ECS of a sign-in", signIn, "ConsoleLogin:alice", ""},
		{"ECS without parameters", strings.Replace(ecs, `"aws.cloudtrail.flattened"`, `"other"`, 1), "", "ecs"},
		{"ECS with parameters as text", strings.Replace(ecs, `"aws.cloudtrail.flattened":{"request_parameters":{`, `"aws.cloudtrail.request_parameters":"{userName=bob}","x":{"y":{`, 1), "", "ecs"},
		{"ECS without a time", strings.Replace(ecs, `2026-05-01T08:03:11.000Z`, `now`, 1), "", "ecs"},
		{"ECS of a call that nobody watches", strings.Replace(ecs, `DeactivateMFADevice`, `ListUsers`, 1), "", ""},
		{"ECS that is cut", nested[:len(nested)-2], "", "truncated"},
		{"ECS over the bound", with(ecs, `"tags":["`+strings.Repeat("x", maxRecord)+`"]`), "", "too_large"},
		{"ECS in a string", `{"schema":null,"payload":` + quoted(ecs) + `}`, deactivated, ""},
		{"ECS in strings", `[{"value":` + quoted(nested) + `},{"value":` + quoted(`{"Message":`+quoted(ecs)+`}`) + `}]`, deactivated + " " + deactivated, ""},
		{"ECS in a string with other escapes", `{"payload":"` + strings.ReplaceAll(ecs, `"`, `\u0022`) + `"}`, deactivated, ""},
		{"ECS with its original in a string", `{"payload":` + quoted(with(ecs, `"event.original":`+quoted(minimal))) + `}`, deactivated, ""},
		{"ECS without parameters in a string", `{"payload":` + quoted(strings.Replace(ecs, `"aws.cloudtrail.flattened"`, `"other"`, 1)) + `}`, "", "ecs"},
		{"ECS in a string of a long list", "[" + pad + `{"payload":` + quoted(nested) + `},` + pad + quoted(ecs) + "]", deactivated + " " + deactivated, ""},
		{"OCSF in a string", `{"Type":"Notification","Message":` + quoted(ocsf) + `}`, "", "ocsf"},
		{"ECS behind CloudTrail's own", "[" + minimal + "," + long + "," + other + "]", deactivated + " " + deactivated, ""},
		{"ECS far behind CloudTrail's own", "[" + other + "," + pad + long + "," + pad + other + "]", deactivated, ""},
		{"OCSF behind CloudTrail's own", other + strings.Replace(ocsf, "{", "{"+text+",", 1), "", "ocsf"},
		{"ECS in a string behind CloudTrail's own", "[" + other + `,{"payload":` + quoted(long) + "}]", deactivated, ""},
		{"a forged ECS document in CloudTrail's own", "[" + strings.Replace(other, `"bob"`, long, 1) + "," + strings.Replace(other, `"bob"`, quoted(long), 1) + "," + minimal + "]", deactivated, ""},
		{"a forged record in parameters", strings.Replace(nested, `"serialNumber"`, `"forged":`+forged+`,"serialNumber"`, 1), deactivated, ""},
		{"a forged ECS document in parameters", strings.Replace(nested, `"serialNumber"`, `"forged":`+strings.Replace(ecs, `"bob"`, `"forged"`, 1)+`,"serialNumber"`, 1), deactivated, ""},
		{"a forged record as user agent", strings.Replace(nested, `"aws-cli"`, quoted(forged), 1), deactivated, ""},
		{"a forged record in parameters before others", "[" + strings.NewReplacer("DeactivateMFADevice", "ListUsers", `"serialNumber"`, `"forged":`+forged+`,"serialNumber"`).Replace(nested) + "," + ecs + "]", deactivated, ""},
		{"a forged key in parameters", strings.Replace(ecs, `"userName":"bob"`, `"userName":"bob","event.action":"CheckMfa","@timestamp":1,"aws.cloudtrail.flattened.request_parameters":{"userName":"forged"}`, 1), deactivated, ""},
		{"OCSF", ocsf, "", "ocsf"},
		{"OCSF in lines", ocsf + "\n" + ocsf + "\n", "", "ocsf ocsf"},
		{"OCSF with raw data", with(ocsf, `"raw_data":`+quoted(minimal)), deactivated, ""},
		{"OCSF with all of the record unmapped", strings.Replace(ocsf, `"unmapped":{"eventType":"AwsApiCall","requestParameters":"{}"}`, `"unmapped":`+minimal, 1), deactivated, ""},
		{"OCSF of a call that nobody watches", strings.Replace(ocsf, `DeactivateMFADevice`, `ListUsers`, 1), "", ""},
		{"OCSF with a forged record in its parameters", strings.Replace(ocsf, `"{}"`, forged, 1), "", "ocsf"},
	} {
		v, _ := scanBytes(t, c.doc)
		var streamed found
		if _, err := NewScanner().Scan(Place("x"), strings.NewReader(c.doc), &streamed); err != nil {
			t.Fatal(err)
		}
		if v.names() != c.names || v.reasons() != c.reasons || streamed.summary() != v.summary() {
			t.Errorf("%s: found %q, unreadable %q; want %q, %q; as a stream\n%s", c.name, v.names(), v.reasons(), c.names, c.reasons, streamed.summary())
		}
		for _, u := range v.unreadable {
			if (u.Reason == ReasonECS || u.Reason == ReasonOCSF || u.Reason == ReasonTooLarge || u.Reason == ReasonTruncated) && !(u.Watched && bytes.Contains(u.Raw, []byte("DeactivateMFADevice"))) {
				t.Errorf("%s: reported badly: %+v", c.name, u)
			}
		}
		for _, e := range v.events {
			if e.ID != "e-1" || e.Account != "111122223333" || e.Time.Unix() != 1777622591 {
				t.Errorf("%s: %+v", c.name, e)
			}
		}
	}
	v, _ := scanBytes(t, ecs)
	if e := v.events[0]; e.Serial == "" || e.Region != "us-east-1" || e.Actor.Name != "alice" || e.Actor.SourceIP != "198.51.100.7" || e.Actor.UserAgent != "aws-cli" || string(e.Raw) != ecs {
		t.Errorf("%+v", e)
	}
}

// TestMappedRecordsHideNothing puts a record of CloudTrail's parameters that name
// events before mapped records: they are found in the same document.
func TestMappedRecordsHideNothing(t *testing.T) {
	decoy := strings.NewReplacer("DeactivateMFADevice", "ListUsers", `"serialNumber"`, `"eventName":"ListUsers","serialNumber"`).Replace(nested)
	var docs []string
	for range 5000 {
		docs = append(docs, decoy)
	}
	doc := fmt.Sprintf("[%s,%s,%s]", ecs, strings.Join(docs, ","), nested)
	v, _ := scanBytes(t, doc)
	var streamed found
	NewScanner().Scan(Place("x"), strings.NewReader(doc), &streamed)
	if len(v.events) != 2 || len(v.unreadable) > 0 || v.summary() != streamed.summary() {
		t.Errorf("found %sas a stream %s", v.summary(), streamed.summary())
	}

}
