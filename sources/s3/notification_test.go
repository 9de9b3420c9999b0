package s3

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/sources/bucket"
)

const trailKey = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/01/111122223333_CloudTrail_us-east-1_20260501T0805Z_AbCdEfGhIjKlMnOp.json.gz"

func s3Item(name, key string) string {
	return `{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2026-05-01T08:06:00.000Z","eventName":"` + name +
		`","s3":{"s3SchemaVersion":"1.0","bucket":{"name":"trail","arn":"arn:aws:s3:::trail"},"object":{"key":"` + key + `","size":4096,"eTag":"d41d8cd98f00b204e9800998ecf8427e","sequencer":"0055AED6DCD90281E5"}}}`
}

func s3Event(items ...string) string { return `{"Records":[` + strings.Join(items, ",") + `]}` }

func inSNS(message string) string {
	quoted, _ := json.Marshal(message)
	return `{"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:eu-west-1:111122223333:trail","Subject":"Amazon S3 Notification","Message":` +
		string(quoted) + `,"Timestamp":"2026-05-01T08:06:00.000Z","SignatureVersion":"1","Signature":"x","SigningCertURL":"https://x","UnsubscribeURL":"https://x"}`
}

func inEventBridge(kind, detail string) string {
	return `{"version":"0","id":"i","detail-type":"` + kind + `","source":"aws.s3","account":"111122223333","time":"2026-05-01T08:06:00Z","region":"eu-west-1","resources":["arn:aws:s3:::trail"],"detail":` + detail + `}`
}

func bridgeDetail(key string) string {
	return `{"version":"0","bucket":{"name":"trail"},"object":{"key":"` + key + `","size":4096,"etag":"e","sequencer":"s"},"request-id":"r","requester":"111122223333","source-ip-address":"1.2.3.4","reason":"PutObject"}`
}

func cloudTrailMessage(keys ...string) string {
	list, _ := json.Marshal(keys)
	return `{"s3Bucket":"trail","s3ObjectKey":` + string(list) + `}`
}

const aRecord = `{"eventVersion":"1.08","eventSource":"iam.amazonaws.com","eventName":"DeactivateMFADevice","eventID":"e","awsRegion":"us-east-1"}`

// R35, R36, R39: every carrier, in every wrapping, is known by its content.
func TestNotification(t *testing.T) {
	at := func(key, other, region string) []namedObject {
		return []namedObject{{Object: bucket.Object{Bucket: "trail", Key: key, Region: region}, other: other}}
	}
	plain := at(trailKey, "", "eu-west-1")
	twoOf := append(at("a", "", "eu-west-1"), at("b", "", "eu-west-1")...)
	for name, test := range map[string]struct {
		body string
		want notification
	}{
		"S3":                             {s3Event(s3Item("ObjectCreated:Put", trailKey)), notification{objects: plain}},
		"S3, of a multipart upload":      {s3Event(s3Item("ObjectCreated:CompleteMultipartUpload", trailKey)), notification{objects: plain}},
		"S3, several":                    {s3Event(s3Item("ObjectCreated:Put", "a"), s3Item("ObjectCreated:Copy", "b")), notification{objects: twoOf}},
		"S3, one of them removed":        {s3Event(s3Item("ObjectCreated:Put", trailKey), s3Item("ObjectRemoved:Delete", "b")), notification{objects: plain, ignored: ignoredEvent}},
		"S3, removed":                    {s3Event(s3Item("ObjectRemoved:Delete", trailKey)), notification{ignored: ignoredEvent}},
		"S3, restored":                   {s3Event(s3Item("ObjectRestore:Completed", trailKey)), notification{ignored: ignoredEvent}},
		"S3, a key with spaces":          {s3Event(s3Item("ObjectCreated:Put", "our+logs%2B/a%C3%A4.gz")), notification{objects: at("our logs+/aä.gz", "our+logs%2B/a%C3%A4.gz", "eu-west-1")}},
		"S3, a key that is not encoded":  {s3Event(s3Item("ObjectCreated:Put", "100%zz")), notification{objects: at("100%zz", "", "eu-west-1")}},
		"S3, a region of nobody":         {strings.ReplaceAll(s3Event(s3Item("ObjectCreated:Put", trailKey)), "eu-west-1", "evil.example.net"), notification{objects: at(trailKey, "", "")}},
		"MinIO":                          {`{"EventName":"s3:ObjectCreated:Put","Key":"trail/x","Records":[` + strings.Replace(s3Item("s3:ObjectCreated:Put", url.QueryEscape(trailKey)), "aws:s3", "minio:s3", 1) + `]}`, notification{objects: at(trailKey, url.QueryEscape(trailKey), "eu-west-1")}},
		"S3 in SNS":                      {inSNS(s3Event(s3Item("ObjectCreated:Put", trailKey))), notification{objects: plain}},
		"CloudTrail's, raw":              {cloudTrailMessage(trailKey), notification{objects: at(trailKey, "", "")}},
		"CloudTrail's in SNS, two keys":  {inSNS(cloudTrailMessage("a", "b")), notification{objects: append(at("a", "", ""), at("b", "", "")...)}},
		"CloudTrail's, a key with +":     {cloudTrailMessage("our+logs/a%2Bb"), notification{objects: at("our+logs/a%2Bb", "our logs/a+b", "")}},
		"CloudTrail's, no list":          {`{"s3Bucket":"trail","s3ObjectKey":"a"}`, notification{objects: at("a", "", "")}},
		"CloudTrail's, none":             {`{"s3Bucket":"trail","s3ObjectKey":[]}`, notification{ignored: ignoredEmpty}},
		"EventBridge":                    {inEventBridge("Object Created", bridgeDetail(trailKey)), notification{objects: plain}},
		"EventBridge, a key with +":      {inEventBridge("Object Created", bridgeDetail("a+b%20c")), notification{objects: at("a+b%20c", "a b c", "eu-west-1")}},
		"EventBridge, deleted":           {inEventBridge("Object Deleted", bridgeDetail(trailKey)), notification{ignored: ignoredEvent}},
		"EventBridge in SNS":             {inSNS(inEventBridge("Object Created", bridgeDetail(trailKey))), notification{objects: plain}},
		"SNS in EventBridge":             {inEventBridge("Anything", inSNS(s3Event(s3Item("ObjectCreated:Put", trailKey)))), notification{objects: plain}},
		"SNS in EventBridge in SNS":      {inSNS(inEventBridge("Anything", inSNS(cloudTrailMessage(trailKey)))), notification{objects: at(trailKey, "", "")}},
		"SNS's for Lambda":               {`{"Records":[{"EventSource":"aws:sns","Sns":` + inSNS(s3Event(s3Item("ObjectCreated:Put", trailKey))) + `}]}`, notification{objects: plain}},
		"SQS's for Lambda":               {`{"Records":[{"messageId":"m","eventSource":"aws:sqs","body":` + string(must(json.Marshal(s3Event(s3Item("ObjectCreated:Put", trailKey))))) + `}]}`, notification{objects: plain}},
		"as a text in JSON":              {string(must(json.Marshal(s3Event(s3Item("ObjectCreated:Put", trailKey))))), notification{objects: plain}},
		"with a byte order mark":         {"\uFEFF " + s3Event(s3Item("ObjectCreated:Put", trailKey)), notification{objects: plain}},
		"test event":                     {`{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-05-01T08:00:00.000Z","Bucket":"trail","RequestId":"r","HostId":"h"}`, notification{ignored: ignoredTest}},
		"test event in SNS":              {inSNS(`{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"trail"}`), notification{ignored: ignoredTest}},
		"subscription":                   {`{"Type":"SubscriptionConfirmation","MessageId":"m","Token":"t","Message":"You have chosen to subscribe…","SubscribeURL":"https://x"}`, notification{ignored: ignoredSubscription}},
		"validation":                     {"CloudTrail validation message.", notification{ignored: ignoredValidation}},
		"validation in SNS":              {inSNS("CloudTrail validation message."), notification{ignored: ignoredValidation}},
		"an empty list":                  {`{"Records":[]}`, notification{ignored: ignoredEmpty}},
		"R39, records, not objects":      {`{"Records":[` + aRecord + `]}`, notification{records: true}},
		"R39, a record of S3":            {`{"Records":[{"eventSource":"s3.amazonaws.com","eventName":"PutObject"}]}`, notification{records: true}},
		"a record":                       {aRecord, notification{records: true}},
		"a record from EventBridge":      {inEventBridge("AWS API Call via CloudTrail", aRecord), notification{records: true}},
		"a record from EventBridge, SNS": {inSNS(inEventBridge("AWS API Call via CloudTrail", aRecord)), notification{records: true}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseNotification(test.body)
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, test.want)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A message that is no notification is an error, and the understood part is
// returned.
func TestNotificationGarbage(t *testing.T) {
	deep := s3Event(s3Item("ObjectCreated:Put", "a"))
	for range 6 {
		deep = inSNS(deep)
	}
	for name, test := range map[string]struct {
		body    string
		objects int
	}{
		"nothing":            {"", 0},
		"text":               {"hello", 0},
		"cut":                {`{"Records":[`, 0},
		"null":               {"null", 0},
		"a number":           {"7", 0},
		"an array":           {"[]", 0},
		"an object":          {`{"a":1}`, 0},
		"SNS, text":          {inSNS("the disk is full"), 0},
		"a list of numbers":  {`{"Records":[1]}`, 0},
		"no event name":      {`{"Records":[{"s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}]}`, 0},
		"no key":             {s3Event(s3Item("ObjectCreated:Put", "")), 0},
		"no bucket":          {`{"s3Bucket":"","s3ObjectKey":["a"]}`, 0},
		"a number for a key": {`{"s3Bucket":"b","s3ObjectKey":[1]}`, 0},
		"null for a key":     {`{"s3Bucket":"b","s3ObjectKey":null}`, 0},
		"one of two":         {s3Event(`{"a":1}`, s3Item("ObjectCreated:Put", "a")), 1},
		"too deep":           {deep, 0},
		"too many":           {`{"s3Bucket":"b","s3ObjectKey":["a"` + strings.Repeat(`,"a"`, maxNamed) + `]}`, maxNamed},
		"another's event":    {inEventBridge("EC2 Instance State-change Notification", `{"instance-id":"i","state":"running"}`), 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseNotification(test.body)
			if err == nil || len(got.objects) != test.objects || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %d objects, %v", len(got.objects), err)
			}
		})
	}
}

func FuzzNotification(f *testing.F) {
	for _, body := range []string{
		s3Event(s3Item("ObjectCreated:Put", "our+logs%2B/a")), inSNS(cloudTrailMessage("a", "b")), inEventBridge("Object Created", bridgeDetail("a+b")),
		inEventBridge("x", inSNS(s3Event(s3Item("ObjectCreated:Put", "a")))), `{"Records":[` + aRecord + `]}`, "CloudTrail validation message.", `{"Event":"s3:TestEvent"}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		n, err := parseNotification(body)
		if err == nil && len(n.objects) == 0 && !n.records && n.ignored == "" {
			t.Errorf("%q says nothing, and no error", body)
		}
		for _, o := range n.objects {
			if o.Bucket == "" || o.Key == "" || o.other == o.Key || o.Region != "" && !bucket.IsRegion(o.Region) {
				t.Errorf("%q names %+v", body, o)
			}
		}
		if again, _ := parseNotification(inSNS(body)); err == nil && json.Valid([]byte(body)) && len(again.objects) != len(n.objects) && !strings.Contains(body, `\u`) {
			// One carrier more may be one too many, which is an error then.
			if _, err := parseNotification(inSNS(body)); err == nil {
				t.Errorf("%q names %d objects, in SNS %d", body, len(n.objects), len(again.objects))
			}
		}
	})
}

func BenchmarkNotification(b *testing.B) {
	body := s3Event(s3Item("ObjectCreated:Put", trailKey))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := parseNotification(body); err != nil || len(n.objects) != 1 {
			b.Fatal(n, err)
		}
	}
}
