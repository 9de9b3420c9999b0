package s3

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"weak"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/awstest"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// A message may name 20,000 objects that are missing. The error of each holds the
// response of S3; the first one alone is kept.
func TestMissingObjectsKeepOneError(t *testing.T) {
	const missing = 500
	type answer struct{ error }
	var answers []weak.Pointer[answer]
	get := func(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
		a := &answer{errors.New("missing")}
		answers = append(answers, weak.Make(a))
		return nil, a
	}
	s := newSource("trail", Config{}, queueCalls{}, bucket.Over(bucket.Calls{Get: get}, "us-east-1"), sources.Options{})
	a := &attempt{ctx: t.Context(), m: new(message), worker: &worker{run: &run{Source: s, handle: func(_ context.Context, d processor.Delivery) error {
		for _, err := range d.Parts {
			return err
		}
		return nil
	}}}}
	for i := range missing {
		a.objects = append(a.objects, namedObject{Object: bucket.Object{Bucket: "trail", Key: strconv.Itoa(i)}})
	}
	if err := a.deliver(); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	kept := 0
	for _, a := range answers {
		if a.Value() != nil {
			kept++
		}
	}
	if err := a.joined(); len(answers) != missing || kept != 1 || err == nil || !strings.HasSuffix(err.Error(), "(and 499 more)") {
		t.Errorf("%d of %d errors are kept: %v", kept, len(answers), err)
	}
}

// A message of 1 MiB of open brackets is refused before any recursive check, with
// next to no memory, and however it is wrapped.
func TestNestedMessageCostsNothing(t *testing.T) {
	for name, body := range map[string]string{
		"lists":     strings.Repeat("[", 1<<20),
		"objects":   strings.Repeat(`{"a":`, 1<<18),
		"in SNS":    inSNS(strings.Repeat("[", 1<<20)),
		"a string":  `{"a":"\"","b":` + strings.Repeat("[", 1<<20),
		"too deep":  strings.Repeat("[", maxNesting+1) + strings.Repeat("]", maxNesting+1),
		"in detail": `{"detail-type":"Object Created","detail":` + strings.Repeat(`{"a":`, 1<<18),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := parseNotification(body)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), "levels of JSON") {
				t.Errorf("got %v", err)
			}
			heap, stack := after.TotalAlloc-before.TotalAlloc, int64(after.StackSys)-int64(before.StackSys)
			if heap > 4<<20 || stack > 4<<20 {
				t.Errorf("%d bytes of heap and %d of stack for %d bytes", heap, stack, len(body))
			}
		})
	}
}

// Brackets in strings do not count, and a record as deep as the scanner allows is
// read.
func TestNestingOfRecords(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 250) + "1" + strings.Repeat("}", 250)
	for name, body := range map[string]string{
		"deep":    `{"eventSource":"iam.amazonaws.com","eventName":"X","requestParameters":` + deep + `}`,
		"strings": `{"eventSource":"iam.amazonaws.com","eventName":"` + strings.Repeat(`[\"{`, 10_000) + `"}`,
	} {
		if n, err := parseNotification(body); err != nil || !n.records {
			t.Errorf("%s: got %v, records %v", name, err, n.records)
		}
	}
}

// A sender to the queue cannot have objects of other buckets read: no request is
// made for them, and they are counted and named.
func TestOtherBuckets(t *testing.T) {
	s := awstest.Start(t)
	s.Put("trail", "ours", []byte("read"))
	s.Put("others", "theirs", []byte("forged"))
	s.Send(s3Event(s3Item("ObjectCreated:Put", "ours")))
	s.Send(`{"s3Bucket":"others","s3ObjectKey":["theirs","elsewhere/theirs"]}`)
	r := newS3Rig(t, s, func(c *Config) { c.Buckets, c.Regions, c.AuditEvery = []string{"trail"}, []string{"us-east-1"}, 1 })
	r.run(t, r.drained)
	if _, ok := r.taken["s3://trail/ours"]; !ok || len(r.taken) != 1 {
		t.Errorf("took %v", r.taken)
	}
	if n := s.Calls("GetObject"); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	if n := r.value(t, "mfawatch_s3_skipped_total", "bucket"); n != 2 {
		t.Errorf("%v skipped, want 2", n)
	}
	if !strings.Contains(r.log.String(), "object=s3://others/theirs") {
		t.Errorf("log:\n%s", r.log)
	}
}

func TestConfigBuckets(t *testing.T) {
	c := DefaultConfig()
	c.QueueURL = "https://sqs.us-east-1.amazonaws.com/111122223333/trail"
	if c.Buckets = []string{"my-trail", "My_Old.Trail"}; c.Validate() != nil {
		t.Error(c.Validate())
	}
	for _, name := range []string{"", "s3://trail", "trail/AWSLogs", "arn:aws:s3:::trail"} {
		if c.Buckets = []string{name}; c.Validate() == nil || !strings.HasPrefix(c.Validate().Error(), "buckets[0]: ") {
			t.Errorf("%q: got %v", name, c.Validate())
		}
	}
}
