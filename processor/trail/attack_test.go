package trail

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// envelopes are the ways in which records arrive together: each makes one
// document of some.
var envelopes = map[string]func(records []string) string{
	"Records":      func(r []string) string { return `{"Records":[` + strings.Join(r, ",") + `]}` },
	"pretty":       func(r []string) string { return pretty(`{"Records":[` + strings.Join(r, ",") + `]}`) },
	"lines":        func(r []string) string { return strings.Join(r, "\n") + "\n" },
	"array":        func(r []string) string { return `[` + strings.Join(r, ",") + `]` },
	"concatenated": func(r []string) string { return strings.Join(r, "") },
	"EventBridge": func(r []string) string {
		return each(r, ` `, `{"detail-type":"x","source":"aws.iam","detail":`, `}`, raw)
	},
	"SNS": func(r []string) string {
		return each(r, "", `{"Type":"Notification","Message":`, `,"Signature":"eyJ"}`, quoted)
	},
	"SQS": func(r []string) string {
		return `{"Messages":[` + each(r, ",", `{"MessageId":"m","Body":`, `}`, quoted) + `]}`
	},
	"SNS in SQS": func(r []string) string {
		return `{"Messages":[` + each(r, ",", `{"MessageId":"m","Body":`, `}`, func(s string) string { return quoted(`{"Message":` + quoted(s) + `}`) }) + `]}`
	},
	"CloudWatch": func(r []string) string {
		return `{"messageType":"DATA_MESSAGE","logEvents":[` + each(r, ",", `{"id":"1","message":`, `}`, quoted) + `]}`
	},
	"Firehose": func(r []string) string {
		return `{"records":[` + each(r, ",", `{"recordId":"1","data":`, `}`, func(s string) string { return `"` + coded(s) + `"` }) + `]}`
	},
	"logs in Lambda": func(r []string) string {
		return `{"awslogs":{"data":"` + coded(gzipOf(`{"logEvents":[`+each(r, ",", `{"message":`, `}`, quoted)+`]}`)) + `"}}`
	},
	"unknown": func(r []string) string {
		return `{"things":{"list":[` + each(r, ",", `{"a":{"b":[`, `]}}`, raw) + `],"n":1},"m":2}`
	},
}

func raw(s string) string { return s }

func each(records []string, between, before, behind string, how func(string) string) string {
	var b strings.Builder
	for i, r := range records {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString(before + how(r) + behind)
	}
	return b.String()
}

// denied is a call that needs no permission: what it asks for is recorded, be it
// before the members that mark a record or behind them.
func denied(values int, value string, first bool) string {
	items := strings.TrimSuffix(strings.Repeat(`{"value":`+value+`},`, values), ",")
	arguments := `"requestParameters":{"filterSet":{"items":[{"name":"tag:x","valueSet":{"items":[` + items + `]}}]}}`
	members := `"eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances","errorCode":"Client.UnauthorizedOperation","eventTime":"2026-05-01T08:00:00Z","eventID":"decoy"`
	if first {
		return "{" + arguments + "," + members + "}"
	}
	return "{" + members + "," + arguments + "}"
}

// Root loses MFA among denied calls whose filter values look like records: it is
// found, once, and none of the look-alikes is.
func TestDecoysHideNothing(t *testing.T) {
	forged := strings.Replace(minimal, `"e-1"`, `"forged"`, 1)
	root := `{"eventVersion":"1.11","userIdentity":{"type":"Root","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333"},` +
		`"eventTime":"2026-05-01T08:03:11Z","eventSource":"iam.amazonaws.com","eventName":"DeactivateMFADevice","awsRegion":"us-east-1",` +
		`"requestParameters":{"serialNumber":"arn:aws:iam::111122223333:mfa/root"},"responseElements":null,"eventID":"root"}`
	last := strings.Replace(root, `"eventVersion":"1.11"`, `"requestParameters":{"pad":[`+strings.Repeat(`{"eventName":"CheckMfa"},`, 2500)+`1]},"serviceEventDetails":null`, 1)
	last = strings.Replace(last, `"requestParameters":{"serialNumber":"arn:aws:iam::111122223333:mfa/root"},`, "", 1)
	decoys := map[string]string{
		"objects":            `{"eventName":"CheckMfa"}`,
		"strings":            quoted(`{"eventName":"CheckMfa"}`),
		"records":            forged,
		"records in strings": quoted(forged),
		"Records":            `{"Records":[` + forged + `]}`,
		"messages":           `{"detail":{"message":` + quoted(`{"Records":[`+forged+`]}`) + `}}`,
		"nested":             strings.Repeat(`{"eventName":"CheckMfa","Records":[`, 40) + strings.Repeat(`]}`, 40),
		"spelt":              quoted(strings.ReplaceAll(strings.ReplaceAll(forged, "eventName", `\u0065ventName`), `"eventID"`, `"event\u0049D"`)),
		"base64":             `"` + coded(forged) + `"`,
		"braces":             `"}]},{"`,
	}
	if trailtest.Short() {
		decoys = map[string]string{"objects": decoys["objects"], "messages": decoys["messages"]}
	}
	for name, decoy := range decoys {
		for envelope, wrap := range envelopes {
			for _, size := range []int{2, 500} {
				var calls []string
				values := min(200, size, 80<<10/len(decoy))
				for i := range max(2, size/80) {
					calls = append(calls, denied(values, decoy, i%2 == 0))
				}
				for where, records := range map[string][]string{
					"behind":  append(calls[:len(calls):len(calls)], root),
					"before":  append([]string{root}, calls...),
					"between": append(append(calls[:1:1], root), calls[1:]...),
					"with":    append(calls[:1:1], last),
				} {
					doc := wrap(records)
					var whole, streamed found
					NewScanner().ScanBytes(Place("attack"), []byte(doc), &whole)
					NewScanner().Scan(Place("attack"), strings.NewReader(doc), &streamed)
					for how, v := range map[string]*found{"in memory": &whole, "streamed": &streamed} {
						if len(v.events) != 1 || v.events[0].ID != "root" || v.events[0].User != RootUser || len(v.unreadable) > 0 {
							t.Errorf("%s, %s, %d calls of %d bytes, %s, %s: found %q, unreadable %q", name, envelope, len(calls), len(calls[0]), where, how, v.names(), v.reasons())
						}
					}
				}
			}
		}
	}
}

// Documents larger than the window keep their structure as they stream.
func TestDecoysInAStream(t *testing.T) {
	forged := strings.Replace(minimal, `"e-1"`, `"forged"`, 1)
	var calls []string
	for i := range 400 {
		calls = append(calls, denied(40, forged, i%2 == 0), strings.Replace(minimal, `"e-1"`, fmt.Sprintf(`"e-%d"`, i), 1))
	}
	for _, name := range []string{"Records", "pretty", "array", "concatenated", "lines", "EventBridge", "SQS", "unknown"} {
		doc := envelopes[name](calls)
		var whole, streamed found
		NewScanner().ScanBytes(Place("attack"), []byte(doc), &whole)
		NewScanner().Scan(Place("attack"), strings.NewReader(doc), &streamed)
		for how, v := range map[string]*found{"in memory": &whole, "streamed": &streamed} {
			if len(v.events) != 400 || len(v.unreadable) > 0 {
				t.Errorf("%s of %d bytes, %s: %d events, unreadable %q", name, len(doc), how, len(v.events), v.reasons())
			}
			for i, e := range v.events {
				if e.ID != fmt.Sprintf("e-%d", i) {
					t.Fatalf("%s, %s: %s where e-%d was due", name, how, e.ID, i)
				}
			}
		}
	}
}

// The members that mark a record stand behind any number of bytes.
func TestMembersBehindDecoys(t *testing.T) {
	for _, n := range []int{1, 100, 2500, 30000} {
		doc := `{"requestParameters":{"list":[` + strings.Repeat(`{"eventName":"CheckMfa"},`, n) + `{}],"userName":"bob"},` +
			strings.Replace(minimal, `"requestParameters":{"userName":"bob","serialNumber":"arn:aws:iam::111122223333:mfa/bob-phone"},`, "", 1)[1:]
		for _, doc := range []string{doc, `{"Records":[` + doc + `,` + doc + `]}`} {
			v, _ := scanBytes(t, doc)
			if len(v.events) != strings.Count(doc, `"e-1"`) || len(v.unreadable) > 0 {
				t.Errorf("%d decoys: found %d, unreadable %q", n, len(v.events), v.reasons())
			}
		}
	}
}

// Nothing is passed over in silence: damage is read around, or reported.
func TestDamageIsReported(t *testing.T) {
	u := func(n int) string {
		return strings.Replace(minimal, `"userName":"bob"`, fmt.Sprintf(`"userName":"u%d"`, n), 1)
	}
	names := func(n ...int) string {
		var s []string
		for _, n := range n {
			s = append(s, fmt.Sprintf("DeactivateMFADevice:u%d", n))
		}
		return strings.Join(s, " ")
	}
	edit := func(old, new string) string { return strings.Replace(u(1), old, new, 1) }
	for _, c := range []struct{ name, doc, names, reasons string }{
		{"records behind their list", `{"Records":[` + u(0) + `,` + u(1) + `,` + u(2) + `],` + u(3) + `,` + u(4) + `,` + u(5) + `]}`, names(0, 1, 2, 3, 4, 5), ""},
		{"a stray brace", `{"Records":[` + u(0) + `}` + `,` + u(1) + `,` + u(2) + `]}`, names(0, 1, 2), "structure"},
		{"two stray braces", `{"Records":[` + u(0) + `}},` + u(1) + `]}`, names(0, 1), "structure"},
		{"an unquoted key", `{Records:[` + u(0) + `,` + u(1) + `]}`, names(0, 1), "structure"},
		{"a stray brace in a record", `{"Records":[` + edit(`"eventName"`, `},"eventName"`) + `,` + u(2) + `]}`, names(2), "structure"},
		{"no eventSource", `{"Records":[` + edit(`"eventSource":"iam.amazonaws.com",`, ``) + `,` + u(2) + `]}`, names(2), "record"},
		{"an object as eventSource", `[` + edit(`"iam.amazonaws.com"`, `{}`) + `,` + u(2) + `]`, names(2), "record"},
		{"null as eventSource", `[` + edit(`"iam.amazonaws.com"`, `null`) + `,` + u(2) + `]`, names(2), "record"},
		{"an object as eventTime and eventID", strings.Replace(edit(`"2026-05-01T08:03:11Z"`, `{}`), `"e-1"`, `{"a":1}`, 1), "", "record"},
		{"a number as eventTime, an object as eventID", strings.Replace(edit(`"2026-05-01T08:03:11Z"`, `1777622591`), `"e-1"`, `{"a":1}`, 1), names(1), ""},
		{"milliseconds as eventTime", edit(`"2026-05-01T08:03:11Z"`, `1777622591000`), names(1), ""},
		{"eventTime as SQL has it", edit(`2026-05-01T08:03:11Z`, `2026-05-01 08:03:11`), names(1), ""},
		{"eventTime that is none", edit(`2026-05-01T08:03:11Z`, `yesterday`), "", "record"},
		{"a line that is cut", `{"x":1}` + "\n" + u(1)[:len(u(1))-40] + "\n" + u(2) + "\n", names(2), "truncated"},
		{"a record that is not closed", `{"Records":[` + strings.TrimSuffix(u(1), "}") + `,` + u(2) + `]}`, "", "ambiguous truncated"},
		{"an unwatched record that is not closed", `{"Records":[` + strings.TrimSuffix(edit("DeactivateMFADevice", "GetUser"), "}") + `,` + u(2) + `,` + u(3) + `]}`, "", "truncated"},
		{"a quote too many", `{"x":"""",` + u(1)[1:], "", "syntax"},
		{"a quote too many before records", `{"Records":["x"",` + u(1) + `,` + u(2) + `]}`, names(1, 2), ""},
		{"a name outside of objects", `{"x":1},"eventName":"DeactivateMFADevice"`, "", "structure truncated"},
		{"a name in a string that is none", `{"x":1,\"eventName\":\"DeactivateMFADevice\"}`, "", "truncated"},
	} {
		v, _ := scanBytes(t, c.doc)
		if v.names() != c.names || v.reasons() != c.reasons {
			t.Errorf("%s: found %q, unreadable %q; want %q, %q", c.name, v.names(), v.reasons(), c.names, c.reasons)
		}
		for _, u := range v.unreadable {
			if u.Watched != (u.Raw != nil) || strings.Contains(c.name, "not closed") && !u.Watched || u.Reason == ReasonRecord && !bytes.Contains(u.Raw, []byte("DeactivateMFADevice")) {
				t.Errorf("%s: reported badly: %+v", c.name, u)
			}
		}
	}
	// In a document of lines whose first is long, damage ends with its line.
	pad := strings.Repeat("x", 2*block)
	doc := `{"pad":"` + pad + `"}` + "\n" + strings.TrimSuffix(u(1), "}") + "\n" + u(2) + "\n" + u(3)
	if v, _ := scanBytes(t, doc); v.names() != names(2, 3) || v.reasons() != "truncated" {
		t.Errorf("long lines: found %q, unreadable %q", v.names(), v.reasons())
	}
}
