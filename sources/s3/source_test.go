package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/awstest"
)

// An s3Rig is a source at a server, with a handler that takes what it gets.
type s3Rig struct {
	*Source
	server *awstest.Server
	reg    *prometheus.Registry
	log    *lockedBuffer

	mu    sync.Mutex
	taken map[string]string             // by origin
	given map[string]*processor.GivenUp // by origin
	err   error                         // what the handler says
	hook  func(context.Context)         // called for each delivery
	slow  func(context.Context)         // called for each part that is read
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newS3Rig(t *testing.T, s *awstest.Server, change func(*Config)) *s3Rig {
	t.Helper()
	c := DefaultConfig()
	c.QueueURL = awstest.QueueURL
	c.Concurrency = 4
	c.Retry = RetryConfig{Min: time.Second, Max: 4 * time.Second}
	if change != nil {
		change(&c)
	}
	r := &s3Rig{server: s, reg: prometheus.NewPedanticRegistry(), log: new(lockedBuffer), taken: map[string]string{}, given: map[string]*processor.GivenUp{}}
	source, err := New("trail", c, s.Config(1), sources.Options{Logger: slog.New(slog.NewTextHandler(r.log, nil)), Registerer: r.reg})
	if err != nil {
		t.Fatal(err)
	}
	source.retry, source.linger = sources.Backoff{First: time.Millisecond, Longest: 50 * time.Millisecond}, time.Millisecond
	source.objects.Backoff = source.retry
	r.Source = source
	return r
}

func (r *s3Rig) take(ctx context.Context, d processor.Delivery) error {
	if r.hook != nil {
		r.hook(ctx)
	}
	r.mu.Lock()
	failing := r.err
	r.mu.Unlock()
	if failing != nil {
		return failing
	}
	taken := map[string]string{}
	for part, err := range d.Parts {
		if err != nil {
			return err
		}
		if part.GivenUp != nil {
			r.mu.Lock()
			if r.given[part.Origin.String()] != nil {
				panic("given up twice: " + part.Origin.String())
			}
			r.given[part.Origin.String()] = part.GivenUp
			r.mu.Unlock()
			continue
		}
		if r.slow != nil {
			r.slow(ctx)
		}
		b := part.Bytes
		if part.Body != nil {
			if b, err = io.ReadAll(part.Body); err != nil {
				return fmt.Errorf("read: %w", err)
			}
		}
		if bytes.HasPrefix(b, []byte("damaged")) {
			d.Unreadable(trail.Unreadable{Origin: part.Origin, Reason: trail.ReasonCorrupt, Err: errors.New("flipped")})
		}
		taken[part.Origin.String()] = string(b)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.taken, taken)
	return ctx.Err()
}

// run runs the source until the queue is empty or the time is over.
func (r *s3Rig) run(t *testing.T, until func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx, r.take) }()
	for end := time.Now().Add(time.Minute); !until() && time.Now().Before(end); {
		time.Sleep(2 * time.Millisecond)
	}
	if !until() {
		t.Error("it did not come to its end; log:\n" + r.log.String())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func (r *s3Rig) drained() bool { return r.server.Left() == 0 }

func (r *s3Rig) value(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() != "source" && !slices.Contains(labels, l.GetValue()) {
					continue series
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	t.Errorf("no metric %s %v", name, labels)
	return -1
}

func accountKey(account, kind, region, name string) string {
	return "AWSLogs/" + account + "/" + kind + "/" + region + "/2026/05/01/" + account + "_" + kind + "_" + region + "_20260501T0805Z_" + name + ".json.gz"
}

// Everything a queue may hold, mixed: each object is read once, the test
// messages are acknowledged, and the queue is empty in the end.
func TestReadsAMixedQueue(t *testing.T) {
	s := awstest.Start(t)
	big := string(awstest.Noise(3 << 20))
	for key, body := range map[string]string{"a": "A", "b": "B", "c": "C", "d e": "D", "f+g": "F", "big": big, "empty": ""} {
		s.Put("trail", key, []byte(body))
	}
	s.Send(s3Event(s3Item("ObjectCreated:Put", "a"), s3Item("ObjectCreated:Put", "b"), s3Item("ObjectRemoved:Delete", "x")))
	s.Send(inSNS(s3Event(s3Item("ObjectCreated:Put", "d+e"))))
	s.Send(inSNS(cloudTrailMessage("c", "f+g", "empty")))
	s.Send(inEventBridge("Object Created", bridgeDetail("big")))
	s.Send(`{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"trail"}`)
	s.Send(inSNS("CloudTrail validation message."))
	record := s.Send(inEventBridge("AWS API Call via CloudTrail", aRecord))
	r := newS3Rig(t, s, nil)
	r.run(t, r.drained)

	want := map[string]string{
		"s3://trail/a": "A", "s3://trail/b": "B", "s3://trail/c": "C", "s3://trail/d e": "D", "s3://trail/f+g": "F", "s3://trail/big": big, "s3://trail/empty": "",
		"sqs://trail/" + record: inEventBridge("AWS API Call via CloudTrail", aRecord),
	}
	if !maps.Equal(r.taken, want) {
		t.Errorf("took %v", slices.Sorted(maps.Keys(r.taken)))
	}
	for name, n := range map[string]float64{
		"mfawatch_sqs_received_total": 7, "mfawatch_sqs_deleted_total": 7, "mfawatch_sqs_returned_total": 0, "mfawatch_sqs_in_flight_messages": 0,
		"mfawatch_s3_objects_total": 7, "mfawatch_sqs_message_age_seconds": 7,
	} {
		if got := r.value(t, name); got != n {
			t.Errorf("%s is %v, want %v", name, got, n)
		}
	}
	for reason, n := range map[string]float64{"test": 1, "validation": 1, "event": 0} {
		if got := r.value(t, "mfawatch_sqs_ignored_total", reason); got != n {
			t.Errorf("%v ignored as %s, want %v", got, reason, n)
		}
	}
}

// R35: on a 404 the other reading of the key is tried, once.
func TestOtherReadingOfAKey(t *testing.T) {
	s := awstest.Start(t)
	s.Put("trail", "a+b", []byte("literal"))
	s.Put("trail", "c d", []byte("decoded"))
	s.Send(s3Event(s3Item("ObjectCreated:Put", "a+b")))
	s.Send(cloudTrailMessage("c+d"))
	s.Send(inEventBridge("Object Created", bridgeDetail("c%20d")))
	r := newS3Rig(t, s, nil)
	r.run(t, r.drained)
	if want := (map[string]string{"s3://trail/a+b": "literal", "s3://trail/c d": "decoded"}); !maps.Equal(r.taken, want) {
		t.Errorf("took %v", r.taken)
	}
	if n := s.Calls("GetObject"); n != 6 {
		t.Errorf("%d requests, want 6", n)
	}
}

// An object that was overwritten or deleted since its notification is read as it was. If
// the role may not, that is said, and what is there is read.
func TestVersionNotified(t *testing.T) {
	const version = "3HL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY"
	for name, test := range map[string]struct {
		overwrite, remove, deny bool
		want                    string
		calls                   int
	}{
		"unchanged":              {want: "records", calls: 1},
		"overwritten":            {overwrite: true, want: "records", calls: 2},
		"removed":                {remove: true, want: "records", calls: 2},
		"overwritten and denied": {overwrite: true, deny: true, want: "[]", calls: 2},
	} {
		for kind, event := range map[string]func(etag string) string{
			"S3": func(etag string) string {
				return strings.NewReplacer(`"eTag":"d41d8cd98f00b204e9800998ecf8427e"`, `"eTag":"`+etag+`","versionId":"`+version+`"`).Replace(s3Event(s3Item("ObjectCreated:Put", "a+b")))
			},
			"EventBridge": func(etag string) string {
				return inEventBridge("Object Created", strings.Replace(bridgeDetail("a b"), `"etag":"e"`, `"etag":"`+etag+`","version-id":"`+version+`"`, 1))
			},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				s := awstest.Start(t)
				s.Put("trail", "a b", []byte("records"))
				s.KeepVersion("trail", "a b", version)
				if test.overwrite {
					s.Put("trail", "a b", []byte("[]"))
				}
				if test.remove {
					s.Remove("trail", "a b")
				}
				s.Fault = func(c awstest.Call) awstest.Fault {
					if test.deny && c.Query.Has("versionId") {
						return awstest.Fault{Status: 403, Code: "AccessDenied"}
					}
					return awstest.Fault{}
				}
				sum := md5.Sum([]byte("records"))
				s.Send(event(hex.EncodeToString(sum[:])))
				r := newS3Rig(t, s, nil)
				r.run(t, r.drained)
				if got := r.taken["s3://trail/a b"]; got != test.want {
					t.Errorf("took %q, want %q", got, test.want)
				}
				if said := strings.Contains(r.log.String(), "allow s3:GetObjectVersion"); said != test.deny || r.value(t, "mfawatch_s3_errors_total", "changed") > 0 != test.deny {
					t.Errorf("log:\n%s", r.log)
				}
				if n := s.Calls("GetObject"); n != test.calls && !(test.remove && kind == "S3") {
					t.Errorf("%d requests, want %d", n, test.calls)
				}
			})
		}
	}
}

// A role that may not list a bucket is denied missing objects; and an outage at
// the other reading is no proof that the object is missing.
func TestOtherReadingDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := awstest.NewInMemory()
		defer s.Close()
		s.Put("trail", "a b", []byte("decoded"))
		slow := 0
		s.Fault = func(c awstest.Call) awstest.Fault {
			switch {
			case c.Key == "a+b":
				return awstest.Fault{Status: 403, Code: "AccessDenied"}
			case c.Key == "a b":
				if slow++; slow <= 3 {
					return awstest.Fault{Status: 503, Code: "SlowDown"}
				}
			}
			return awstest.Fault{}
		}
		s.Send(cloudTrailMessage("a+b"))
		r := newS3Rig(t, s, func(c *Config) { c.MaxReceives = 1 })
		r.run(t, r.drained)
		if r.taken["s3://trail/a b"] != "decoded" || len(r.given) > 0 || slow != 4 {
			t.Errorf("took %v, given up %v, asked %d times", r.taken, r.given, slow)
		}
	})
}

// R33, R34: what a key says is not worth reading is not read, but counted.
func TestSkips(t *testing.T) {
	s := awstest.Start(t)
	keys := map[string]string{ // by reason
		"":                 accountKey("111122223333", "CloudTrail", "us-east-1", "a"),
		"digest":           strings.Replace(accountKey("111122223333", "CloudTrail-Digest", "us-east-1", "a"), "_a", "", 1),
		"insight":          accountKey("111122223333", "CloudTrail-Insight", "us-east-1", "a"),
		"network_activity": accountKey("111122223333", "CloudTrail-NetworkActivity", "us-east-1", "a"),
		"aggregated":       accountKey("111122223333", "CloudTrail-Aggregated", "us-east-1", "a"),
		"foreign":          "AWSLogs/111122223333/Config/us-east-1/2026/5/1/ConfigHistory/111122223333_Config_us-east-1_ConfigHistory_AWS::S3::Bucket_20260501T080000Z_1.json.gz",
		"folder":           "AWSLogs/111122223333/CloudTrail/",
		"account":          accountKey("444455556666", "CloudTrail", "us-east-1", "a"),
		"region":           accountKey("111122223333", "CloudTrail", "eu-west-1", "a"),
		"prefix":           "elsewhere/" + accountKey("111122223333", "CloudTrail", "us-east-1", "a"),
		"unknown":          "AWSLogs/whatever.json",
	}
	for _, key := range keys {
		s.Put("trail", key, []byte("read"))
		s.Send(s3Event(s3Item("ObjectCreated:Put", strings.ReplaceAll(key, ":", "%3A"))))
	}
	r := newS3Rig(t, s, func(c *Config) {
		c.Accounts, c.Regions, c.Prefixes, c.AuditEvery = []string{"111122223333"}, []string{"us-east-1"}, []string{"AWSLogs/"}, 0
	})
	r.run(t, r.drained)
	if got, want := slices.Sorted(maps.Keys(r.taken)), []string{"s3://trail/" + keys[""], "s3://trail/" + keys["unknown"]}; !slices.Equal(got, want) {
		t.Errorf("took %v, want %v", got, want)
	}
	if n := s.Calls("GetObject"); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
	for reason := range keys {
		if reason == "" || reason == "unknown" {
			continue
		}
		if got := r.value(t, "mfawatch_s3_skipped_total", reason); got != 1 {
			t.Errorf("%v skipped as %s, want 1", got, reason)
		}
	}
}

// Of what a filter skips one of so many is looked into: if it holds a record of
// IAM, that is an alarm, and it is read.
func TestAudit(t *testing.T) {
	filler := strings.Repeat(" ", 150_000)
	for name, test := range map[string]struct {
		body   []byte
		alarms float64
	}{
		"IAM, compressed": {trailtest.Gzip([]byte(`{"Records":[` + filler + aRecord + `]}`)), 3},
		"IAM, plain":      {[]byte(`{"Records":[` + filler + aRecord + `]}`), 3},
		"another service": {trailtest.Gzip([]byte(`{"Records":[{"eventSource":"ec2.amazonaws.com","x":"{\"eventSource\":\"iam.amazonaws.com\"}"}]}`)), 0},
		"damaged":         {[]byte("\x1f\x8b damaged"), 0},
		"empty":           {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := awstest.Start(t)
			for i := range 30 {
				key := accountKey("111122223333", "CloudTrail", "eu-west-1", fmt.Sprint("k", i))
				s.Put("trail", key, test.body)
				s.Send(s3Event(s3Item("ObjectCreated:Put", key)))
			}
			r := newS3Rig(t, s, func(c *Config) { c.Regions, c.AuditEvery = []string{"us-east-1"}, 10 })
			r.run(t, r.drained)
			for metric, want := range map[string]float64{"mfawatch_s3_audited_total": 3, "mfawatch_s3_audit_alarms_total": test.alarms} {
				if got := r.value(t, metric); got != want {
					t.Errorf("%s is %v, want %v", metric, got, want)
				}
			}
			if got := r.value(t, "mfawatch_s3_skipped_total", "region"); got != 30-test.alarms || len(r.taken) != int(test.alarms) {
				t.Errorf("skipped %v, took %d", got, len(r.taken))
			}
			if strings.Contains(r.log.String(), "a filter skips objects that hold records of IAM") != (test.alarms > 0) {
				t.Errorf("log:\n%s", r.log)
			}
		})
	}
}

// A message that fails comes back after a wait that grows, and in the end is
// given up with its cause: kept, and only then deleted. Its other objects are
// read immediately.
func TestQuarantines(t *testing.T) {
	for name, test := range map[string]struct {
		body  string
		fault awstest.Fault // of the object "bad"
		cause string
		waits int
	}{
		"missing":    {s3Event(s3Item("ObjectCreated:Put", "bad"), s3Item("ObjectCreated:Put", "good")), awstest.Fault{Status: 404, Code: "NoSuchKey"}, "missing", 2},
		"denied":     {s3Event(s3Item("ObjectCreated:Put", "good"), s3Item("ObjectCreated:Put", "bad")), awstest.Fault{Status: 403, Code: "AccessDenied"}, "denied", 2},
		"kms":        {s3Event(s3Item("ObjectCreated:Put", "bad"), s3Item("ObjectCreated:Put", "good")), awstest.Fault{Status: 400, Code: "KMS.DisabledException"}, "kms", 2},
		"damaged":    {s3Event(s3Item("ObjectCreated:Put", "damaged"), s3Item("ObjectCreated:Put", "good")), awstest.Fault{}, "corrupt", 2},
		"not JSON":   {"hello", awstest.Fault{}, "message", 0},
		"half of it": {s3Event(`{"a":1}`, s3Item("ObjectCreated:Put", "good")), awstest.Fault{}, "message", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := awstest.NewInMemory()
				defer s.Close()
				s.Put("trail", "good", []byte("good"))
				s.Put("trail", "damaged", []byte("damaged"))
				s.Fault = func(c awstest.Call) awstest.Fault {
					if c.Key == "bad" {
						return test.fault
					}
					return awstest.Fault{}
				}
				id := s.Send(test.body)
				r := newS3Rig(t, s, func(c *Config) { c.MaxReceives = 3 })
				early := false
				r.hook = func(context.Context) {
					r.mu.Lock()
					defer r.mu.Unlock()
					early = early || r.taken["s3://trail/good"] == "good" && len(r.given) == 0
				}
				r.run(t, r.drained)
				given := r.given["sqs://trail/"+id]
				if given == nil || given.Reason != test.cause || len(r.given) != 1 {
					t.Fatalf("given up: %v", r.given)
				}
				if r.value(t, "mfawatch_sqs_quarantined_total", test.cause) != 1 || !strings.Contains(r.log.String(), "mfawatch quarantine") {
					t.Errorf("log:\n%s", r.log)
				}
				m := s.Messages()[0]
				if !m.Deleted || len(m.Waits) != test.waits {
					t.Errorf("waits %v", m.Waits)
				}
				for i, w := range m.Waits {
					if w < time.Second || i > 0 && w < m.Waits[i-1] {
						t.Errorf("waits %v", m.Waits)
					}
				}
				if err := r.Again(t.Context(), r.take, test.body); err == nil {
					t.Error("read again, though nothing has changed")
				}
				s.Fault = nil
				s.Put("trail", "bad", []byte("mended"))
				s.Put("trail", "damaged", []byte("mended"))
				if err := r.Again(t.Context(), r.take, test.body); (err == nil) != (test.cause != causeUnparsable) {
					t.Errorf("again, after it was mended: %v", err)
				}
				if strings.Contains(test.body, "good") && r.taken["s3://trail/good"] != "good" || test.waits > 0 && !early {
					t.Errorf("the good object was taken: %q, early: %v", r.taken["s3://trail/good"], early)
				}
			})
		})
	}
}

// Left to the queue's redrive policy, a message is never given up; nor is one
// for an outage.
func TestNeverQuarantines(t *testing.T) {
	for name, test := range map[string]struct {
		max   int
		fault awstest.Fault
	}{
		"redrive policy": {0, awstest.Fault{Status: 404, Code: "NoSuchKey"}},
		"throttled":      {2, awstest.Fault{Status: 503, Code: "SlowDown"}},
		"server":         {2, awstest.Fault{Status: 500, Code: "InternalError"}},
		"network":        {2, awstest.Fault{Reset: true}},
		"credentials":    {2, awstest.Fault{Status: 403, Code: "InvalidAccessKeyId"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := awstest.NewInMemory()
				defer s.Close()
				s.Fault = func(c awstest.Call) awstest.Fault {
					if c.Operation == "GetObject" {
						return test.fault
					}
					return awstest.Fault{}
				}
				s.Send(s3Event(s3Item("ObjectCreated:Put", "bad")))
				r := newS3Rig(t, s, func(c *Config) { c.MaxReceives = test.max; c.Retry.Max = time.Minute })
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- r.Run(ctx, r.take) }()
				time.Sleep(10 * time.Minute)
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				m := s.Messages()[0]
				if m.Deleted || len(r.given) > 0 || m.Receives < 8 || m.Receives > 25 {
					t.Errorf("deleted %v, given up %v, received %d times", m.Deleted, r.given, m.Receives)
				}
			})
		})
	}
}

// While a message is worked on its visibility is prolonged at half time, so
// that no other consumer gets it; at the bound the work is stopped.
func TestVisibility(t *testing.T) {
	for name, test := range map[string]struct {
		work     time.Duration
		receives int
		stopped  int
	}{
		"long work":     {10 * time.Minute, 1, 0},
		"too long work": {24 * time.Hour, 2, 2}, // given up the second time
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := awstest.NewInMemory()
				defer s.Close()
				s.Put("trail", "k", []byte("K"))
				s.Send(s3Event(s3Item("ObjectCreated:Put", "k")))
				r := newS3Rig(t, s, func(c *Config) { c.VisibilityTimeout, c.MaxReceives = 2*time.Minute, 2 })
				r.longest = 20 * time.Minute
				stopped := 0
				r.slow = func(ctx context.Context) {
					select {
					case <-time.After(test.work):
					case <-ctx.Done():
						stopped++
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- r.Run(ctx, r.take) }()
				time.Sleep(3 * time.Hour)
				cancel()
				<-ended
				m := s.Messages()[0]
				if m.Receives != test.receives || !m.Deleted || stopped != test.stopped || len(r.given) != min(1, stopped) {
					t.Errorf("received %d times, deleted %v, stopped %d times, given up %v, waits %v\n%s", m.Receives, m.Deleted, stopped, r.given, m.Waits, r.log)
				}
				for _, w := range m.Waits {
					if w != 2*time.Minute && w > 5*time.Second {
						t.Errorf("waits %v", m.Waits)
					}
				}
			})
		})
	}
}

// Deletes that fail are tried again, one by one; a stop puts back what is
// waiting.
func TestDeleteFaults(t *testing.T) {
	s := awstest.Start(t)
	s.Put("trail", "k", []byte("K"))
	for range 40 {
		s.Send(s3Event(s3Item("ObjectCreated:Put", "k")))
	}
	var mu sync.Mutex
	tries := map[string]int{} // of a batch, by its first message: batches are deleted concurrently
	s.Fault = func(c awstest.Call) awstest.Fault {
		if c.Operation != "DeleteMessageBatch" {
			return awstest.Fault{}
		}
		var batch struct {
			Entries []struct{ ReceiptHandle string }
		}
		if err := json.Unmarshal(c.Body, &batch); err != nil || len(batch.Entries) == 0 {
			t.Errorf("%s: %v", c.Body, err)
			return awstest.Fault{}
		}
		mu.Lock()
		defer mu.Unlock()
		tries[batch.Entries[0].ReceiptHandle]++
		switch tries[batch.Entries[0].ReceiptHandle] {
		case 1:
			return awstest.Fault{Status: 500, Code: "InternalFailure"}
		case 2:
			return awstest.Fault{Reset: true}
		case 3:
			return awstest.Fault{Reset: true, Undone: true} // done, but the answer is lost
		}
		return awstest.Fault{}
	}
	r := newS3Rig(t, s, nil)
	r.run(t, r.drained)
	for _, m := range s.Messages() {
		if m.Receives != 1 {
			t.Errorf("%s was received %d times", m.ID, m.Receives)
		}
	}
}

// The log names a refusal of the queue, with the mend, and the call is tried
// again until it works.
func TestQueueFaults(t *testing.T) {
	for name, test := range map[string]struct {
		fault awstest.Fault
		says  string
		label string
	}{
		"denied":    {awstest.Fault{Status: 400, Code: "AccessDeniedException"}, "allow sqs:ReceiveMessage on the queue", "denied"},
		"no queue":  {awstest.Fault{Status: 400, Code: "QueueDoesNotExist"}, "correct queue_url or region", "missing"},
		"throttled": {awstest.Fault{Status: 400, Code: "RequestThrottled"}, "RequestThrottled", "throttled"},
		"reset":     {awstest.Fault{Reset: true}, "EOF", "network"},
		"internal":  {awstest.Fault{Status: 500, Code: "InternalFailure"}, "InternalFailure", "server"},
	} {
		t.Run(name, func(t *testing.T) {
			s := awstest.Start(t)
			s.Put("trail", "k", []byte("K"))
			s.Send(s3Event(s3Item("ObjectCreated:Put", "k")))
			r := newS3Rig(t, s, nil)
			var ready error
			if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "not polled yet") {
				t.Errorf("ready before it began: %v", err)
			}
			var mu sync.Mutex
			s.Fault = func(c awstest.Call) awstest.Fault {
				mu.Lock()
				defer mu.Unlock()
				if c.Operation == "ReceiveMessage" && c.Number <= 12 {
					if c.Number == 12 {
						ready = r.Ready()
					}
					return test.fault
				}
				if c.Operation == "ReceiveMessage" {
					return awstest.Fault{Delay: 100 * time.Millisecond} // so that the source hears of every fault first
				}
				return awstest.Fault{}
			}
			r.run(t, r.drained)
			mu.Lock()
			defer mu.Unlock()
			if ready == nil || !strings.Contains(ready.Error(), test.says) || !strings.HasPrefix(ready.Error(), "s3 source trail: queue https://") {
				t.Errorf("ready %v", ready)
			}
			if n := strings.Count(r.log.String(), "cannot receive"); n != 1 {
				t.Errorf("%d warnings:\n%s", n, r.log)
			}
			if got := r.value(t, "mfawatch_sqs_errors_total", "ReceiveMessage", test.label); got < 10 {
				t.Errorf("%v counted", got)
			}
		})
	}
}

// To stop: what is being handled is finished and deleted, what waits is put back
// with a wait.
func TestStop(t *testing.T) {
	s := awstest.Start(t)
	s.Put("trail", "k", []byte("K"))
	for range 30 {
		s.Send(s3Event(s3Item("ObjectCreated:Put", "k")))
	}
	r := newS3Rig(t, s, func(c *Config) { c.Concurrency = 2 })
	ctx, cancel := context.WithCancel(t.Context())
	busy := make(chan struct{}, 30)
	release := make(chan struct{})
	r.hook = func(ctx context.Context) {
		busy <- struct{}{}
		<-release
	}
	ended := make(chan error)
	go func() { ended <- r.Run(ctx, r.take) }()
	<-busy
	<-busy
	for testutil.ToFloat64(r.metrics.inFlight) < 20 { // two receives of ten
		time.Sleep(time.Millisecond)
	}
	cancel()
	for back := 0; back < 18; { // two are being handled
		back = 0
		for _, m := range s.Messages() {
			if len(m.Waits) == 1 && m.Waits[0] >= time.Second {
				back++
			}
		}
		time.Sleep(time.Millisecond)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	deleted := 0
	for _, m := range s.Messages() {
		if m.Deleted {
			deleted++
		}
	}
	if deleted != 2 {
		t.Errorf("%d deleted, want the 2 that were being handled", deleted)
	}
	if r.value(t, "mfawatch_sqs_in_flight_messages") != 0 {
		t.Error("messages are still held")
	}
}

// A handler that hangs is left after the patience, and its message put back.
func TestStopWithoutPatience(t *testing.T) {
	s := awstest.Start(t)
	s.Put("trail", "k", []byte("K"))
	s.Send(s3Event(s3Item("ObjectCreated:Put", "k")))
	r := newS3Rig(t, s, nil)
	r.patience = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	r.hook = func(ctx context.Context) {
		cancel()
		<-ctx.Done()
	}
	if err := r.Run(ctx, r.take); err != nil {
		t.Error(err)
	}
	if m := s.Messages()[0]; m.Deleted || len(m.Waits) != 1 || m.Waits[0] != time.Second || len(r.given) > 0 {
		t.Errorf("deleted %v, waits %v", m.Deleted, m.Waits)
	}
	if got := testutil.ToFloat64(r.metrics.Failed); got != 0 {
		t.Errorf("a stop counts as %v failures", got)
	}
}

// A handler that refuses is no cause of the message's own.
func TestHandlerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := awstest.NewInMemory()
		defer s.Close()
		s.Put("trail", "k", []byte("K"))
		s.Send(s3Event(s3Item("ObjectCreated:Put", "k")))
		r := newS3Rig(t, s, func(c *Config) { c.MaxReceives = 1 })
		r.err = errors.New("the disk is full")
		n := 0
		r.hook = func(context.Context) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if n++; n == 3 {
				r.err = nil
			}
		}
		r.run(t, r.drained)
		if len(r.given) > 0 || r.taken["s3://trail/k"] != "K" || !strings.Contains(r.log.String(), "the disk is full") {
			t.Errorf("given up %v, took %v", r.given, r.taken)
		}
	})
}

// If every answer takes 20 ms, the throughput grows with the number in flight.
func TestThroughputGrows(t *testing.T) {
	const each = 50
	a := newBenchAWS()
	a.delay = 20 * time.Millisecond
	for _, concurrency := range []int{1, 8, 64} {
		synctest.Test(t, func(t *testing.T) {
			took := a.readInto(t, each*concurrency, concurrency, func(_ context.Context, d processor.Delivery) error {
				for range d.Parts {
				}
				return nil
			})
			// An ideal worker would take 20 ms for each; asking for messages is to
			// cost little of that.
			if ideal := each * a.delay; took > ideal*13/10 {
				t.Errorf("%d in flight: %s, want little more than %s", concurrency, took, ideal)
			}
		})
	}
}

func TestQueueRegion(t *testing.T) {
	for address, want := range map[string]string{
		"https://sqs.eu-west-1.amazonaws.com/111122223333/trail":                  "eu-west-1",
		"https://sqs.cn-north-1.amazonaws.com.cn/111122223333/trail":              "cn-north-1",
		"https://sqs-fips.us-gov-west-1.amazonaws.com/111122223333/trail":         "us-gov-west-1",
		"https://vpce-0a1b-x.sqs.eu-west-1.vpce.amazonaws.com/111122223333/trail": "eu-west-1",
		"https://eu-west-1.queue.amazonaws.com/111122223333/trail":                "eu-west-1",
		"https://queue.amazonaws.com/111122223333/trail":                          "us-east-1",
		"http://127.0.0.1:5000/111122223333/trail":                                "",
		"http://sqs.localhost.localstack.cloud:4566/000000000000/trail":           "",
		"http://sqs.us-east-1.localhost.localstack.cloud:4566/000000000000/trail": "us-east-1",
	} {
		if got := QueueRegion(address); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
}
