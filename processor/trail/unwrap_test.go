package trail

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

func gzipOf(doc string) string { return string(trailtest.Gzip([]byte(doc))) }

func deflated(doc string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	io.WriteString(w, doc)
	w.Close()
	return b.String()
}

func quoted(doc string) string {
	b, _ := json.Marshal(doc)
	return string(b)
}

func coded(doc string) string { return base64.StdEncoding.EncodeToString([]byte(doc)) }

func pretty(doc string) string {
	var b bytes.Buffer
	json.Indent(&b, []byte(doc), "", "  ")
	return b.String()
}

func TestR36_QuietlyIgnored(t *testing.T) {
	for name, doc := range map[string]string{
		"empty":             "",
		"white space":       " \r\n\t ",
		"no records":        `{"Records":[]}`,
		"test event":        `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-05-01T08:00:00.000Z","Bucket":"b","RequestId":"r","HostId":"h"}`,
		"validation":        "CloudTrail validation message.",
		"validation in SNS": `{"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:us-east-1:1:t","Message":"CloudTrail validation message."}`,
		"confirmation":      `{"Type":"SubscriptionConfirmation","MessageId":"m","Token":"t","Message":"You have chosen to subscribe","SubscribeURL":"https://example.com/"}`,
		"control message":   `{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: Checking health of destination"}]}`,
		"null":              "null",
		"digest":            `{"awsAccountId":"1","digestStartTime":"2026-05-01T08:00:00Z","logFiles":[{"s3Object":"AWSLogs/1/CloudTrail/us-east-1/2026/05/01/x.json.gz","hashValue":"00"}]}`,
		"insight": `{"Records":[{"eventVersion":"1.07","eventTime":"2026-05-01T08:00:00Z","awsRegion":"us-east-1","eventID":"i","eventType":"AwsCloudTrailInsight","recipientAccountId":"1",` +
			`"insightDetails":{"state":"Start","eventSource":"iam.amazonaws.com","eventName":"DeactivateMFADevice","insightType":"ApiCallRateInsight"},"eventCategory":"Insight"}]}`,
	} {
		v, _ := scanBytes(t, doc)
		if len(v.events) > 0 || len(v.unreadable) > 0 {
			t.Errorf("%s: events %q, unreadable %q", name, v.names(), v.reasons())
		}
	}
}

func TestR37_EveryEnvelopeGivesTheSameEvent(t *testing.T) {
	records := `{"Records":[` + minimal + `]}`
	sns := `{"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:us-east-1:1:t","Subject":"s","Message":` + quoted(minimal) + `,"Signature":"eyJ"}`
	logs := `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","subscriptionFilters":["f"],"logEvents":[{"id":"1","timestamp":1777622591000,"message":` + quoted(minimal) + `}]}`
	detail := `{"version":"0","id":"i","detail-type":"AWS API Call via CloudTrail","source":"aws.iam","account":"111122223333","time":"2026-05-01T08:03:11Z","region":"us-east-1","resources":[],"detail":` + minimal + `}`
	lambda := func(item string) string { return `{"Records":[` + item + `]}` }
	for name, doc := range map[string]string{
		"record":                 minimal,
		"Records":                records,
		"pretty":                 pretty(records),
		"array":                  "[" + minimal + "]",
		"JSON lines":             `{"x":1}` + "\n" + minimal + "\n" + `{"y":2}` + "\n",
		"lines with CRLF":        `{"x":1}` + "\r\n" + minimal + "\r\n",
		"concatenated":           `{"x":1}` + minimal + `{"y":2}`,
		"byte order mark":        "\xEF\xBB\xBF" + records,
		"JSON string":            quoted(minimal),
		"string of string":       quoted(quoted(minimal)),
		"EventBridge":            detail,
		"EventBridge, rewired":   strings.Replace(detail, "AWS API Call", "Amazon API Call", 1),
		"SNS":                    sns,
		"SNS in SQS":             `{"Messages":[{"MessageId":"m","Body":` + quoted(sns) + `}]}`,
		"EventBridge in SQS":     lambda(`{"messageId":"m","body":` + quoted(detail) + `,"eventSource":"aws:sqs","awsRegion":"us-east-1"}`),
		"SNS in Lambda":          lambda(`{"EventSource":"aws:sns","EventVersion":"1.0","Sns":` + sns + `}`),
		"SNS in EventBridge":     `{"detail-type":"x","source":"y","detail":` + sns + `}`,
		"CloudWatch Logs":        logs,
		"logs twice over":        gzipOf(logs) + gzipOf(`{"messageType":"CONTROL_MESSAGE","logEvents":[]}`),
		"logs in Lambda":         `{"awslogs":{"data":"` + coded(gzipOf(logs)) + `"}}`,
		"Kinesis in Lambda":      lambda(`{"kinesis":{"kinesisSchemaVersion":"1.0","data":"` + coded(minimal) + `","partitionKey":"1"},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shard:1","eventName":"aws:kinesis:record"}`),
		"logs in Kinesis":        lambda(`{"kinesis":{"data":"` + coded(gzipOf(logs)) + `"},"eventSource":"aws:kinesis","eventID":"shard:1","eventName":"aws:kinesis:record"}`),
		"Firehose":               `{"invocationId":"i","deliveryStreamArn":"arn:aws:firehose:us-east-1:1:d/s","records":[{"recordId":"1","data":"` + coded(minimal) + `"}]}`,
		"Kafka in Lambda":        `{"eventSource":"aws:kafka","bootstrapServers":"b:9092","records":{"trail-0":[{"topic":"trail","partition":0,"offset":15,"value":"` + coded(minimal) + `"}]}}`,
		"Kafka Connect":          `{"schema":{"type":"string"},"payload":` + quoted(minimal) + `}`,
		"Kafka Connect, object":  `{"schema":{"type":"struct"},"payload":` + minimal + `}`,
		"CloudEvents":            `{"specversion":"1.0","id":"1","source":"/trail","type":"t","data":` + minimal + `}`,
		"CloudEvents, base64":    `{"specversion":"1.0","id":"1","source":"/trail","type":"t","data_base64":"` + coded(minimal) + `"}`,
		"Filebeat":               `{"@timestamp":"2026-05-01T08:05:00Z","message":` + quoted(minimal) + `,"aws":{"s3":{}}}`,
		"Elastic Agent":          `{"event":{"original":` + quoted(minimal) + `},"tags":[]}`,
		"Elastic, flat":          `{"event.original":` + quoted(minimal) + `}`,
		"Vector":                 `{"bucket":"b","message":` + quoted(records) + `,"object":"k","region":"us-east-1","source_type":"aws_s3"}`,
		"Fluent Bit":             `{"@timestamp":1777622591.5,"log":` + quoted(minimal+"\n") + `}`,
		"lookup-events":          `{"Events":[{"EventId":"e-1","EventName":"DeactivateMFADevice","EventTime":1777622591.0,"CloudTrailEvent":` + quoted(minimal) + `}]}`,
		"quotes as \\u0022":      strings.ReplaceAll(`{"message":`+quoted(minimal)+`}`, `\"`, `\u0022`),
		"name spelt out":         strings.Replace(minimal, "DeactivateMFADevice", `Deactivate\u004dFADevice`, 1),
		"key spelt out":          strings.Replace(minimal, `"eventName"`, `"\u0065ventN\u0061me"`, 1),
		"name spelt in a string": `{"message":` + quoted(strings.Replace(minimal, "DeactivateMFADevice", `Deactivate\u004DFADevice`, 1)) + `}`,
		"key spelt in a string":  `{"message":` + quoted(strings.Replace(minimal, `"eventName"`, `"event\u004eame"`, 1)) + `}`,
		"white space":            strings.NewReplacer(`":`, "\" \n:\t ", `,"`, ",\r\n\"").Replace(minimal),
		"white space before":     strings.Repeat(" \n", 40000) + minimal,
		"unknown wrapper":        `{"cloudtrail_event":{"is":"here","it":` + minimal + `}}`,
	} {
		for how, wrap := range map[string]func(string) string{
			"plain":            func(s string) string { return s },
			"gzip":             gzipOf,
			"zlib":             deflated,
			"gzip in base64":   func(s string) string { return coded(gzipOf(s)) },
			"zlib in base64":   func(s string) string { return coded(deflated(s)) },
			"zstd in base64":   func(s string) string { return coded(zstdOf(s)) },
			"zip in base64":    func(s string) string { return coded(zipOf(s)) },
			"zlib in Kinesis":  func(s string) string { return `{"records":[{"data":"` + coded(deflated(s)) + `"}]}` },
			"zstd in Kinesis":  func(s string) string { return `{"records":[{"data":"` + coded(zstdOf(s)) + `"}]}` },
			"zip in Kinesis":   func(s string) string { return `{"records":[{"data":"` + coded(zipOf(s)) + `"}]}` },
			"two gzip members": func(s string) string { return gzipOf(s[:len(s)/2]) + gzipOf(s[len(s)/2:]) },
		} {
			if name == "byte order mark" && (strings.Contains(how, "base64") || strings.Contains(how, "Kinesis")) || name == "logs twice over" && how != "plain" {
				continue
			}
			v, stats := scanBytes(t, wrap(doc))
			if v.names() != "DeactivateMFADevice:bob" || len(v.unreadable) > 0 {
				t.Errorf("%s, %s: found %q, unreadable %q", name, how, v.names(), v.reasons())
				continue
			}
			if e := v.events[0]; e.ID != "e-1" || e.Serial != "arn:aws:iam::111122223333:mfa/bob-phone" {
				t.Errorf("%s, %s: %+v", name, how, e)
			}
			if stats.Records != 1 {
				t.Errorf("%s, %s: %d records, want 1", name, how, stats.Records)
			}
		}
	}
}

func TestR37_ManyAtOnce(t *testing.T) {
	var lines, events []string
	for i := range 300 {
		doc := strings.Replace(minimal, `"e-1"`, fmt.Sprintf(`"e-%d"`, i), 1)
		switch i % 5 {
		case 0:
			doc = `{"message":` + quoted(doc) + `}`
		case 1:
			doc = `{"records":[{"data":"` + coded(doc) + `"}]}`
		case 2:
			doc = `{"Records":[` + doc + `]}`
		}
		lines = append(lines, doc)
		events = append(events, `{"id":"1","message":`+quoted(strings.Replace(minimal, `"e-1"`, fmt.Sprintf(`"e-%d"`, i), 1))+`}`)
	}
	for name, doc := range map[string]string{
		"lines of every kind": strings.Join(lines, "\n"),
		"log events":          `{"logEvents":[` + strings.Join(events, ",") + `]}`,
	} {
		v, stats := scanBytes(t, doc)
		if len(v.events) != 300 || stats.Records != 300 || len(v.unreadable) > 0 {
			t.Errorf("%s: %d events of %d records, unreadable %q", name, len(v.events), stats.Records, v.reasons())
		}
		for i, e := range v.events {
			if want := fmt.Sprintf("e-%d", i); e.ID != want {
				t.Fatalf("%s: %s where %s was due", name, e.ID, want)
			}
		}
	}
}

func TestR38_BoundsAndNeighbours(t *testing.T) {
	neighbour := strings.Replace(minimal, `"userName":"bob"`, `"userName":"carol"`, 1)
	padded := func(n int) string {
		return strings.Replace(minimal, `"requestParameters"`, `"pad":"`+strings.Repeat("x", n)+`","requestParameters"`, 1)
	}
	deep := func(n int) string {
		return strings.Replace(minimal, `"requestParameters"`, `"deep":`+strings.Repeat("[", n)+strings.Repeat("]", n)+`,"requestParameters"`, 1)
	}
	for _, c := range []struct{ name, doc, names, reasons string }{
		{"a long record", "[" + padded(1<<19) + "," + neighbour + "]", "DeactivateMFADevice:bob DeactivateMFADevice:carol", ""},
		{"a 10 MB record", "[" + neighbour + "," + padded(10<<20) + "," + neighbour + "]", "DeactivateMFADevice:carol DeactivateMFADevice:carol", "too_large"},
		{"nested deep", "[" + deep(200) + "," + neighbour + "]", "DeactivateMFADevice:bob DeactivateMFADevice:carol", ""},
		{"nested too deep", "[" + deep(10000) + "," + neighbour + "]", "DeactivateMFADevice:carol", "too_deep"},
		{"a million brackets", strings.Repeat("[", 1<<20), "", "truncated"},
		{"doubled names", "[" + strings.Replace(minimal, `"eventName"`, `"eventName":"GetUser","eventName"`, 1) + "," + neighbour + "]", "DeactivateMFADevice:carol", "ambiguous"},
		{"doubled names, the other way", "[" + strings.Replace(minimal, `"eventSource"`, `"eventName":"DeactivateMFADevice","eventSource"`, 1) + "]", "", "ambiguous"},
		{"no time", "[" + strings.Replace(minimal, "2026-05-01T08:03:11Z", "...", 1) + "," + neighbour + "]", "DeactivateMFADevice:carol", "record"},
		{"broken inside", "[" + strings.Replace(minimal, "null", "nil", 1) + "," + neighbour + "]", "DeactivateMFADevice:carol", "syntax"},
		{"cut in a record", `{"Records":[` + neighbour + "," + minimal[:len(minimal)-40], "DeactivateMFADevice:carol", "truncated"},
		{"cut between records", `{"Records":[` + neighbour + "," + minimal, "DeactivateMFADevice:carol DeactivateMFADevice:bob", "truncated"},
		{"cut after the first record", `{"Records":[` + minimal, "DeactivateMFADevice:bob", "truncated"},
		{"cut before the last brace", `{"Records":[` + minimal + "]", "DeactivateMFADevice:bob", "truncated"},
		{"cut in an envelope", `{"message":` + quoted(minimal)[:300], "", "truncated"},
		{"gzip cut", gzipOf(minimal)[:20], "", "truncated"},
		{"gzip cut in its header", gzipOf(minimal)[:5], "", "truncated"},
		{"gzip and garbage", gzipOf(minimal) + "this is no gzip member", "DeactivateMFADevice:bob", "garbage"},
		{"gzip damaged", strings.Replace(gzipOf(minimal), "\x1f\x8b\x08", "\x1f\x8b\x07", 1), "", "corrupt"},
		{"an empty gzip", gzipOf(""), "", ""},
		{"a zip that is cut", "PK\x03\x04....", "", "corrupt"},
		{"zstd that is damaged", "\x28\xb5\x2f\xfd....", "", "corrupt"},
		{"text", "May  1 08:00:00 host sshd: hello", "", "format"},
		{"one line is text", minimal + "\n" + "hello\n" + neighbour + "\n", "DeactivateMFADevice:bob DeactivateMFADevice:carol", "format"},
		{"wrapped too often", func() string {
			doc := minimal
			for range maxDepth + 1 {
				doc = `{"message":` + quoted(doc) + `}`
			}
			return doc
		}(), "", "too_deep"},
	} {
		v, _ := scanBytes(t, c.doc)
		if v.names() != c.names || v.reasons() != c.reasons {
			t.Errorf("%s: found %q, unreadable %q; want %q, %q", c.name, v.names(), v.reasons(), c.names, c.reasons)
		}
		for _, u := range v.unreadable {
			if u.Err == nil || u.Err.Error() == "" || u.Offset < 0 || len(u.Raw) > 64<<10 || u.Watched != (u.Raw != nil) {
				t.Errorf("%s: reported badly: %+v", c.name, u)
			}
		}
	}
}

// bomb inflates to n bytes of white space between two records.
func bomb(n int) io.Reader {
	r, w := io.Pipe()
	go func() {
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		io.WriteString(z, "["+minimal+",")
		space := bytes.Repeat([]byte(" "), 1<<20)
		for range n >> 20 {
			z.Write(space)
		}
		io.WriteString(z, minimal+"]")
		z.Close()
		w.Close()
	}()
	return r
}

func TestR38_GzipBomb(t *testing.T) {
	var v found
	s := NewScanner()
	stats, err := s.Scan(Place("bomb"), bomb(64<<20), &v)
	if err != nil || len(v.events) != 2 || len(v.unreadable) > 0 || stats.Inflated < 64<<20 {
		t.Errorf("%d events, %q, %+v, %v", len(v.events), v.reasons(), stats, err)
	}
	if w := s.inflater.steps.n; w > maxWindow {
		t.Errorf("the window grew to %d", w)
	}
	v = found{} // inside an envelope the bound is lower
	var b bytes.Buffer
	io.Copy(&b, bomb(maxInflatedWithin+1<<20))
	s.ScanBytes(Place("bomb"), []byte(`{"data":"`+coded(b.String())+`"}`), &v)
	if v.reasons() != "too_inflated" || len(v.events) != 1 {
		t.Errorf("in an envelope: %d events, %q", len(v.events), v.reasons())
	}
}

func TestR38_CutGzipGivesWhatItHad(t *testing.T) {
	doc := trailtest.Gzip(trailtest.New(4).Object(4000, 2))
	v, _ := scanBytes(t, string(doc[:len(doc)*9/10]))
	if len(v.events) < 1500 || len(v.events) > 1900 || !strings.HasPrefix(v.reasons(), "truncated") {
		t.Errorf("%d events, unreadable %q", len(v.events), v.reasons())
	}
}

func TestR39_NotificationsAreNoRecords(t *testing.T) {
	notification := `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":"2026-05-01T08:03:11.000Z","eventName":"ObjectCreated:Put",` +
		`"s3":{"bucket":{"name":"DeactivateMFADevice"},"object":{"key":"AWSLogs/1/CloudTrail/us-east-1/2026/05/01/x.json.gz"}}}]}`
	for name, doc := range map[string]string{
		"S3":                  notification,
		"S3 in SNS":           `{"Type":"Notification","Message":` + quoted(notification) + `}`,
		"S3 with our name":    strings.Replace(notification, "ObjectCreated:Put", "DeactivateMFADevice", 1),
		"source of a record":  strings.NewReplacer("ObjectCreated:Put", "DeactivateMFADevice", "aws:s3", "iam.amazonaws.com").Replace(notification),
		"CloudTrail's own":    `{"s3Bucket":"b","s3ObjectKey":["AWSLogs/1/CloudTrail/us-east-1/2026/05/01/DeactivateMFADevice.json.gz"]}`,
		"DynamoDB stream":     `{"Records":[{"eventID":"1","eventName":"INSERT","eventSource":"aws:dynamodb","dynamodb":{}}]}`,
		"the name in a value": `[{"eventName":"eventName","eventSource":"iam.amazonaws.com","eventID":"DeactivateMFADevice"}]`,
	} {
		if v, _ := scanBytes(t, doc); len(v.events) > 0 || len(v.unreadable) > 0 {
			t.Errorf("%s: events %q, unreadable %q", name, v.names(), v.reasons())
		}
	}
	v, stats := scanBytes(t, notification)
	if stats.Records != 0 {
		t.Errorf("a notification counts as %d records (%q)", stats.Records, v.names())
	}
}

// TestRecordsInStringsAreCounted has records in a string, with look-alikes in
// strings of theirs.
func TestRecordsInStringsAreCounted(t *testing.T) {
	for _, name := range []string{"ListUsers", "DeactivateMFADevice"} {
		r := strings.NewReplacer("DeactivateMFADevice", name, `"bob"`, quoted(`{"eventName":"`+name+`"}`)).Replace(minimal)
		doc := quoted(`{"Records":[` + r + "," + r + `]}`)
		for _, doc := range []string{doc, strings.ReplaceAll(doc, `\"`, `\u0022`), `{"Message":` + quoted(doc) + `}`} {
			if _, stats := scanBytes(t, doc); stats.Records != 2 {
				t.Errorf("%d records, want 2, in %s", stats.Records, doc)
			}
		}
	}
}

// Text that callers write into their own requests is not a record, however much
// it looks like one.
func TestForgedRecords(t *testing.T) {
	forged := strings.Replace(minimal, `"e-1"`, `"forged"`, 1)
	outer := strings.Replace(minimal, "DeactivateMFADevice", "GetUser", 1)
	within := func(members string) string { return strings.Replace(outer, `"responseElements":null`, members, 1) }
	for name, doc := range map[string]string{
		"object":                         within(`"requestParameters":` + forged),
		"deeper":                         within(`"requestParameters":{"detail":{"Records":[` + forged + `]}}`),
		"list":                           within(`"requestParameters":{"items":[` + forged + `,` + forged + `]}`),
		"string":                         within(`"userAgent":` + quoted(forged)),
		"string under an envelope's key": within(`"requestParameters":{"message":` + quoted(forged) + `}`),
		"error message":                  within(`"errorMessage":` + quoted(forged)),
		"base64":                         within(`"requestParameters":{"data":"` + coded(forged) + `"}`),
		"response":                       within(`"responseElements":{"body":` + quoted(`{"Records":[`+forged+`]}`) + `}`),
		"a top-level message":            within(`"message":` + quoted(forged)),
		"before the name":                strings.Replace(outer, `"eventVersion"`, `"requestParameters":`+forged+`,"eventVersion"`, 1),
	} {
		for how, doc := range map[string]string{"alone": doc, "in a file": `{"Records":[` + outer + `,` + doc + `,` + outer + `]}`, "in SNS": `{"Message":` + quoted(doc) + `}`} {
			if v, _ := scanBytes(t, doc); len(v.events) > 0 {
				t.Errorf("%s, %s: taken for %s", name, how, v.events[0].ID)
			}
		}
	}
}

// The bytes arrive as they like.
func TestScanInPieces(t *testing.T) {
	m := trailtest.New(5)
	doc := m.Object(400, 7)
	var whole found
	want := NewScanner().ScanBytes(Place("test"), doc, &whole)
	if len(whole.events) != 57 || want.Records != 400 {
		t.Fatalf("%d events of %d records", len(whole.events), want.Records)
	}
	for name, r := range map[string]io.Reader{
		"bytes":         iotest.OneByteReader(bytes.NewReader(doc)),
		"halves":        iotest.HalfReader(bytes.NewReader(doc)),
		"with the end":  iotest.DataErrReader(bytes.NewReader(doc)),
		"gzip in bytes": iotest.OneByteReader(bytes.NewReader(trailtest.Gzip(doc))),
	} {
		var v found
		got, err := NewScanner().Scan(Place("test"), r, &v)
		if err != nil || got.Records != want.Records || v.names() != whole.names() || len(v.unreadable) > 0 {
			t.Errorf("%s: %d events of %d records, %q, %v", name, len(v.events), got.Records, v.reasons(), err)
		}
	}
}

// An error of the reader is the caller's, not the input's.
func TestScanReadError(t *testing.T) {
	m := trailtest.New(6)
	broken := errors.New("connection reset")
	for name, doc := range map[string][]byte{
		"small": m.Object(8, 2), "big": m.Object(400, 200), "small gzip": trailtest.Gzip(m.Object(8, 2)), "big gzip": trailtest.Gzip(m.Object(4000, 200)),
	} {
		var v found
		r := io.MultiReader(bytes.NewReader(doc[:len(doc)*9/10]), iotest.ErrReader(broken))
		if _, err := NewScanner().Scan(Place("test"), r, &v); !errors.Is(err, broken) || len(v.unreadable) > 0 {
			t.Errorf("%s: error %v, unreadable %q", name, err, v.reasons())
		}
	}
}

func TestNoMatchCostsNoAllocation(t *testing.T) {
	m := trailtest.New(8)
	login := `{"eventVersion":"1.08","userIdentity":{"type":"AssumedRole"},"eventTime":"2026-05-01T08:03:11Z","eventSource":"signin.amazonaws.com",` +
		`"eventName":"ConsoleLogin","responseElements":{"ConsoleLogin":"Success"},"additionalEventData":{"MFAUsed":"No"},"eventID":"e-2"}`
	for name, doc := range map[string][]byte{
		"record":            m.Record(),
		"object":            m.Object(200, 0),
		"gzip":              trailtest.Gzip(m.Object(200, 0)),
		"lines":             bytes.Join([][]byte{m.Record(), m.Record(), m.Record()}, []byte("\n")),
		"SNS":               []byte(`{"Message":` + quoted(string(m.Record())) + `}`),
		"base64":            []byte(`{"records":[{"data":"` + coded(string(m.Record())) + `"}]}`),
		"a role's sign-in":  []byte(login),
		"the same, wrapped": []byte(`{"Message":` + quoted(login) + `}`),
	} {
		s, v := NewScanner(), new(discard)
		scan := func() { s.ScanBytes(At("kafka://trail/3", 1042), doc, v) }
		scan() // makes the buffers
		if n := testing.AllocsPerRun(100, scan); n != 0 {
			t.Errorf("%s: %v allocations in memory", name, n)
		}
		var r bytes.Reader
		stream := func() { r.Reset(doc); s.Scan(Place("file"), &r, v) }
		stream()
		if n := testing.AllocsPerRun(100, stream); n != 0 {
			t.Errorf("%s: %v allocations as a stream", name, n)
		}
		if v.events > 0 || v.unreadable > 0 {
			t.Errorf("%s: %+v", name, *v)
		}
	}
}
