package trail

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// A caller's text is no record, however far it stands from the place where it
// would show: here it would end an exposure.
func TestForgedRecordsBehindPadding(t *testing.T) {
	forged := `{"eventSource":"iam.amazonaws.com","eventName":"EnableMFADevice","eventTime":"2026-05-01T08:03:11Z","recipientAccountId":"111122223333","requestParameters":{"userName":"bob"}}`
	outer := strings.Replace(minimal, "DeactivateMFADevice", "CreateTags", 1)
	within := func(members string) string { return strings.Replace(outer, `"responseElements":null`, members, 1) }
	pad := strings.Repeat("x", 5000)
	var tags []string
	for i := range 18 {
		tags = append(tags, fmt.Sprintf(`{"key":"k%d","value":"%s"}`, i, pad[:250]))
	}
	for name, doc := range map[string]string{
		"tags":    within(`"requestParameters":{"tagSet":{"items":[` + strings.Join(tags, ",") + `,{"key":"k","value":` + quoted(forged) + `}]}}`),
		"strings": within(`"requestParameters":{"values":["` + pad + `",` + quoted(forged) + `]}`),
		"object":  within(`"requestParameters":{"pad":"` + pad + `","data":` + forged + `}`),
		"list":    within(`"requestParameters":{"events":["` + pad + `",` + forged + `]}`),
		"member":  within(`"pad":"` + pad + `","message":` + quoted(forged)),
		"base64":  within(`"requestParameters":{"pad":"` + pad + `","data":"` + coded(forged) + `"}`),
	} {
		for how, doc := range map[string]string{"alone": doc, "in a file": `{"Records":[` + outer + `,` + doc + `,` + outer + `]}`} {
			if v, _ := scanBytes(t, doc); len(v.events) > 0 {
				t.Errorf("%s, %s: a forged record was taken", name, how)
			}
		}
	}
}

// Unknown wrappers give their records too, in long batches and
// in lines.
func TestUnknownWrappersInBatches(t *testing.T) {
	const n = 60
	record := func(i int) string { return strings.Replace(minimal, `"e-1"`, fmt.Sprintf(`"e-%d"`, i), 1) }
	for name, item := range map[string]func(string) string{
		"SQS":     func(r string) string { return `{"MessageId":"m","Body":` + quoted(r) + `}` },
		"Elastic": func(r string) string { return `{"_index":"i","_source":` + r + `}` },
		"Splunk":  func(r string) string { return `{"result":{"_raw":` + quoted(r) + `}}` },
		"OTLP":    func(r string) string { return `{"body":{"stringValue":` + quoted(r) + `}}` },
		"deep":    func(r string) string { return `{"a":{"b":[{"c":` + r + `}]}}` },
	} {
		var items []string
		for i := range n {
			items = append(items, item(record(i)))
		}
		for how, doc := range map[string]string{
			"batch": `{"things":{"list":[` + strings.Join(items, ",") + `]}}`,
			"array": `[` + strings.Join(items, ",") + `]`,
			"lines": strings.Join(items, "\n"),
		} {
			v, stats := scanBytes(t, doc)
			if len(v.events) != n || stats.Records != n || len(v.unreadable) > 0 {
				t.Errorf("%s, %s: %d events of %d records, unreadable %q", name, how, len(v.events), stats.Records, v.reasons())
			}
		}
	}
	pad := `{"pad":"` + strings.Repeat("x", 5000) + `","cloudtrail":` + minimal + `}`
	if v, _ := scanBytes(t, pad); v.names() != "DeactivateMFADevice:bob" {
		t.Errorf("behind padding: found %q", v.names())
	}
}

// Input that is made to be walked again and again is walked once, with a bounded
// part of it kept, and hides none of its neighbours.
func TestWorkIsBounded(t *testing.T) {
	name := `"eventName":"CheckMfa"`
	for what, doc := range map[string]string{
		"nested names":       strings.Repeat(`{`+name+`,"a":`, 2500),
		"nested, closed":     "[" + strings.Repeat("["+strings.Repeat(`{`+name+`,"a":`, 200)+"1"+strings.Repeat("}", 200)+"],", 12) + "1]",
		"names in one":       `{` + strings.Repeat(name+",", 45000) + `"x":1}`,
		"names in one, open": `{` + strings.Repeat(name+",", 11000),
		"names in a string":  `{"a":"` + strings.Repeat(`\"eventName\":\"CheckMfa\",`, 10000),
		"escapes":            `{"a":"` + strings.Repeat(`NNNN\u003c`, 20000) + `"}`,
	} {
		lines := `{"x":1}` + "\n" + minimal + "\n" + doc + "\n" + minimal + "\n"
		for how, doc := range map[string]string{"alone": doc, "in lines": lines, "in a list": "[" + minimal + "," + doc + "," + minimal + "]"} {
			var v found
			s := NewScanner()
			s.ScanBytes(Place("hostile"), []byte(doc), &v)
			kept, want := 0, strings.Count(doc, `"e-1"`)
			for _, u := range v.unreadable {
				kept += len(u.Raw)
			}
			if how == "in a list" && v.reasons() != "" { // cut off, and reported: it swallows what is behind it
				want = 1
			}
			if s.walked > 3*int64(len(doc)) || kept > maxRecord || len(v.events) != want {
				t.Errorf("%s, %s: %d bytes walked for %d, %d kept, found %q, unreadable %.100q", what, how, s.walked, len(doc), kept, v.names(), v.reasons())
			}
		}
	}
}

// A whole file in one string is more than a stream holds, which is reported once.
func TestEnvelopeLongerThanTheWindow(t *testing.T) {
	doc := `{"message":` + quoted(string(trailtest.New(1).Object(3000, 2))) + `}`
	var v found
	if _, err := NewScanner().Scan(Place("test"), strings.NewReader(doc), &v); err != nil || len(v.unreadable) == 0 || len(v.unreadable) > 20 {
		t.Errorf("%d events, %d unreadable, %v", len(v.events), len(v.unreadable), err)
	}
	v = found{}
	NewScanner().ScanBytes(Place("test"), []byte(doc), &v)
	if len(v.events) != 1500 || len(v.unreadable) > 0 {
		t.Errorf("in memory: %d events, %q", len(v.events), v.reasons())
	}
}

// Text that only begins like base64 is no envelope, and none is cut off.
func TestWordsLikeBase64(t *testing.T) {
	for _, doc := range []string{
		`{"city":"Wyoming"}`, `{"Type":"Notification","Message":"CloudTrail validation message.","Signature":"eyes"}`,
		`{"Signature":"ewXb0qq8hGvOYyN4a9S4mC3vJ0hFjQ=="}`, `["ey","W3","Wyvern"]`,
		`["eAGe","eJxy","eNpsomething","eF5w","KLUv/word","UEsDByword"]`, `{"token":"eJw` + strings.Repeat("x", 100) + `"}`,
		`{"level":"info","msg":"user agent \"` + base64.StdEncoding.EncodeToString([]byte(minimal)) + `"}`,
	} {
		if v, _ := scanBytes(t, doc); len(v.events) > 0 || len(v.unreadable) > 0 {
			t.Errorf("%s: events %q, unreadable %q", doc, v.names(), v.reasons())
		}
	}
}

// JSON escapes what base64 may hold, and some do so for all of it.
func TestEscapesInBase64(t *testing.T) {
	doc := strings.NewReplacer("=", `\u003d`, "+", `\u002B`, "/", `\/`).Replace(coded(strings.Replace(minimal, "alice", "al>~?ice", 1)))
	if v, _ := scanBytes(t, `{"records":[{"data":"`+doc+`"}]}`); v.names() != "DeactivateMFADevice:bob" {
		t.Errorf("found %q, unreadable %q", v.names(), v.reasons())
	}
}

// Bombs within each other share one bound.
func TestNestedBombs(t *testing.T) {
	inner := `{"data":"` + coded(gzipOf(`{"pad":"`+strings.Repeat(" ", 4<<20)+`"}`)) + `"}`
	doc := `{"records":[{"data":"` + coded(gzipOf(`{"records":[`+strings.Repeat(inner+",", 199)+inner+`]}`)) + `"}]}`
	var v found
	NewScanner().ScanBytes(Place("bomb"), []byte(doc), &v)
	if !strings.Contains(v.reasons(), "too_inflated") {
		t.Errorf("unreadable %q", v.reasons())
	}
}

// Base64 that straddles the windows of a stream is found wherever they end.
func TestBase64AcrossWindows(t *testing.T) {
	item := `{"id":"n","data":"` + coded(minimal) + `"}`
	for shift := range 40 {
		doc := `{"records":[{"pad":"` + strings.Repeat("x", 37*shift) + `"},` + strings.Repeat(item+",", 5600) + item + `]}`
		var v found
		if _, err := NewScanner().Scan(Place("test"), strings.NewReader(doc), &v); err != nil || len(v.events) != 5601 || len(v.unreadable) > 0 {
			t.Fatalf("shift %d: %d events, %q, %v", shift, len(v.events), v.reasons(), err)
		}
		if trailtest.Short() {
			break
		}
	}
}

// A line that is no JSON does no harm to the lines beside it, the first one neither.
func TestFirstLineIsNoJSON(t *testing.T) {
	for _, first := range []string{"words", "null", "1", "\x1b[32minfo\x1b[0m {", "CloudTrail validation message.", "\xEF\xBB\xBFwords"} {
		doc := first + "\nmore words\n" + minimal + "\r\n" + minimal + "\n"
		for how, doc := range map[string]string{"plain": doc, "gzip": gzipOf(doc)} {
			v, _ := scanBytes(t, doc)
			var streamed found
			if _, err := NewScanner().Scan(Place("test"), iotest.OneByteReader(strings.NewReader(doc)), &streamed); err != nil {
				t.Fatal(err)
			}
			if len(v.events) != 2 || len(streamed.events) != 2 || !strings.Contains(v.reasons(), "format") {
				t.Errorf("%q, %s: found %q, and streamed %q; unreadable %q", first, how, v.names(), streamed.names(), v.reasons())
			}
		}
	}
}

// Text around a record is not read, and yet what may be a watched event is quarantined.
func TestWatchedNameInWords(t *testing.T) {
	for _, doc := range []string{"<13>1 2026-05-01T08:03:11Z host app - - - " + minimal, "\x00\x00\x00" + minimal, "\x1e" + minimal + "\n", "CloudTrail validation message." + minimal} {
		v, _ := scanBytes(t, doc)
		if len(v.unreadable) != 1 || !v.unreadable[0].Watched || string(v.unreadable[0].Raw) != strings.TrimSpace(doc) {
			t.Errorf("%q: unreadable %+v", doc, v.unreadable)
		}
	}
	if v, _ := scanBytes(t, "the event DeactivateMFADevice in words"); len(v.unreadable) != 1 || v.unreadable[0].Watched {
		t.Errorf("words: unreadable %+v", v.unreadable)
	}
}
