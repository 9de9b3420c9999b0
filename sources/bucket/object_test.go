package bucket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/awstest"
)

// testObjects reads from s, and never waits.
func testObjects(s *awstest.Server) *Objects {
	o := NewObjects(s.Config(1))
	o.Backoff = sources.Backoff{First: time.Millisecond, Longest: time.Millisecond}
	return o
}

func readObject(t *testing.T, o *Objects, object Object) ([]byte, *Body, error) {
	t.Helper()
	body, err := o.Open(t.Context(), object)
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	return b, body, err
}

func TestObjectIsRead(t *testing.T) {
	s := awstest.Start(t)
	for _, n := range []int{0, 1, 4 << 10, 3 << 20} {
		want := awstest.Noise(n)
		s.Put("trail", "a key/with+signs & more.gz", want)
		got, body, err := readObject(t, testObjects(s), Object{Bucket: "trail", Key: "a key/with+signs & more.gz"})
		if err != nil || !bytes.Equal(got, want) || body.Resumed() != 0 {
			t.Errorf("%d bytes: got %d, %v, resumed %d times", n, len(got), err, body.Resumed())
		}
	}
}

// A body that breaks off goes on where it broke, however often within bounds.
func TestObjectResumes(t *testing.T) {
	for name, test := range map[string]struct {
		cut     int // each answer ends after so many bytes
		resumes int
		fault   Fault
	}{
		"once":           {60_000, 1, ""},
		"many times":     {11_000, 9, ""},
		"too many times": {1_000, 10, FaultNetwork},
	} {
		t.Run(name, func(t *testing.T) {
			s := awstest.Start(t)
			s.Fault = func(awstest.Call) awstest.Fault { return awstest.Fault{Cut: test.cut} }
			want := awstest.Noise(100_000)
			s.Put("trail", "k", want)
			got, body, err := readObject(t, testObjects(s), Object{Bucket: "trail", Key: "k"})
			var oe *ObjectError
			if test.fault == "" {
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("got %d bytes, %v", len(got), err)
				}
			} else if !errors.As(err, &oe) || oe.Fault != test.fault || !bytes.Equal(got, want[:len(got)]) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
			if body.Resumed() != test.resumes {
				t.Errorf("resumed %d times, want %d", body.Resumed(), test.resumes)
			}
		})
	}
}

// The rest of another object is never taken for the rest of this one.
func TestObjectChangedHalfWay(t *testing.T) {
	s := awstest.Start(t)
	s.Put("trail", "k", awstest.Noise(100_000))
	s.Fault = func(c awstest.Call) awstest.Fault {
		if c.Number == 1 {
			return awstest.Fault{Cut: 50_000}
		}
		s.Put("trail", "k", bytes.Repeat([]byte("x"), 100_000))
		return awstest.Fault{}
	}
	got, _, err := readObject(t, testObjects(s), Object{Bucket: "trail", Key: "k"})
	var oe *ObjectError
	if !errors.As(err, &oe) || oe.Fault != FaultChanged || bytes.Contains(got, []byte("xxxxxxxx")) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// A server that ignores the range sends the begin again, which is not the rest.
func TestObjectRangeIgnored(t *testing.T) {
	calls := 0
	o := Over(Calls{Get: func(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
		calls++
		return &s3.GetObjectOutput{
			ContentLength: aws.Int64(10), ETag: aws.String("e"),
			Body: io.NopCloser(io.MultiReader(strings.NewReader("begin"), brokenReader{})),
		}, nil
	}}, "us-east-1")
	o.Backoff = sources.Backoff{First: time.Millisecond, Longest: time.Millisecond}
	body, err := o.Open(t.Context(), Object{Bucket: "trail", Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(body)
	if string(got) != "begin" || err == nil || calls != 2 || !strings.Contains(err.Error(), "does not send the rest alone") {
		t.Errorf("got %q, %v after %d calls", got, err, calls)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("reset") }

// The answer of S3 decides the class of the fault, and the advice to the
// operator.
func TestObjectFaults(t *testing.T) {
	for name, test := range map[string]struct {
		answer awstest.Fault
		want   Fault
		says   string
	}{
		"no key":         {awstest.Fault{Status: 404, Code: "NoSuchKey"}, FaultMissing, "it is not there"},
		"no bucket":      {awstest.Fault{Status: 404, Code: "NoSuchBucket"}, FaultMissing, "it is not there"},
		"no version":     {awstest.Fault{Status: 404, Code: "NoSuchVersion"}, FaultMissing, "it is not there"},
		"delete marker":  {awstest.Fault{Status: 405, Code: "MethodNotAllowed"}, FaultMissing, "it is not there"},
		"denied":         {awstest.Fault{Status: 403, Code: "AccessDenied", Message: "Access Denied"}, FaultDenied, "s3:GetObject"},
		"kms denied":     {awstest.Fault{Status: 403, Code: "AccessDenied", Message: "User: x is not authorized to perform: kms:Decrypt on the resource"}, FaultKMS, "kms:Decrypt"},
		"kms disabled":   {awstest.Fault{Status: 400, Code: "KMS.DisabledException"}, FaultKMS, "key is enabled"},
		"kms throttled":  {awstest.Fault{Status: 400, Code: "KMS.ThrottlingException"}, FaultThrottled, "slow down"},
		"archived":       {awstest.Fault{Status: 403, Code: "InvalidObjectState"}, FaultArchived, "restore"},
		"time-out":       {awstest.Fault{Status: 400, Code: "RequestTimeout"}, FaultNetwork, "RequestTimeout"},
		"slow down":      {awstest.Fault{Status: 503, Code: "SlowDown"}, FaultThrottled, "slow down"},
		"too many":       {awstest.Fault{Status: 429}, FaultThrottled, "slow down"},
		"internal":       {awstest.Fault{Status: 500, Code: "InternalError"}, FaultServer, "InternalError"},
		"wrong region":   {awstest.Fault{Status: 301, Code: "PermanentRedirect"}, FaultRegion, "set region"},
		"unknown key id": {awstest.Fault{Status: 403, Code: "InvalidAccessKeyId"}, FaultCredentials, "AWS_PROFILE"},
		"expired":        {awstest.Fault{Status: 400, Code: "ExpiredToken"}, FaultCredentials, "AWS_PROFILE"},
		"reset":          {awstest.Fault{Reset: true}, FaultNetwork, "read s3://trail/k: "},
		"bad request":    {awstest.Fault{Status: 400, Code: "InvalidRequest"}, FaultOther, "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			s := awstest.Start(t)
			s.Fault = func(awstest.Call) awstest.Fault { return test.answer }
			_, err := testObjects(s).Open(t.Context(), Object{Bucket: "trail", Key: "k"})
			var oe *ObjectError
			if !errors.As(err, &oe) || oe.Fault != test.want || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %s and %q", err, test.want, test.says)
			}
		})
	}
}

func TestObjectWithoutCredentials(t *testing.T) {
	s := awstest.Start(t)
	forbidden := &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: http.StatusForbidden}}, Err: errors.New("request to EC2 IMDS failed")}
	for _, reason := range []error{errors.New("no role"), forbidden} {
		config := s.Config(1)
		config.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, reason
		})
		_, err := NewObjects(config).Open(t.Context(), Object{Bucket: "trail", Key: "k"})
		var oe *ObjectError
		if !errors.As(err, &oe) || oe.Fault != FaultCredentials {
			t.Errorf("got %v", err)
		}
	}
}

// A bucket elsewhere is asked for its Region, and from then on directly.
func TestObjectInAnotherRegion(t *testing.T) {
	s := awstest.Start(t)
	wrong := 0
	s.Fault = func(c awstest.Call) awstest.Fault {
		if strings.Contains(c.Header.Get("Authorization"), "/eu-west-1/s3/") {
			return awstest.Fault{}
		}
		wrong++
		return awstest.Fault{Status: http.StatusMovedPermanently, Code: "PermanentRedirect", Region: "eu-west-1"}
	}
	s.Put("trail", "k", []byte("here"))
	o := testObjects(s)
	for range 3 {
		if got, _, err := readObject(t, o, Object{Bucket: "trail", Key: "k"}); err != nil || string(got) != "here" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if wrong != 1 {
		t.Errorf("asked in the wrong region %d times", wrong)
	}
	if got := listAll(t.Context(), t, o, "s3://trail/", Wanted{}); !slices.Equal(got.keys, []string{"k"}) || got.errs != nil || wrong != 1 {
		t.Errorf("listed %q, %q, asked in the wrong region %d times", got.keys, got.errs, wrong)
	}
}

// A region that is known beforehand is asked first, but not at an endpoint of
// one's own, which has its own idea of regions.
func TestObjectRegionHint(t *testing.T) {
	for _, test := range []struct {
		hints bool
		want  string
	}{{true, "/eu-west-1/s3/"}, {false, "/us-east-1/s3/"}} {
		s := awstest.Start(t)
		signed := ""
		s.Fault = func(c awstest.Call) awstest.Fault {
			signed = c.Header.Get("Authorization")
			return awstest.Fault{}
		}
		s.Put("trail", "k", nil)
		o := testObjects(s)
		o.hints = test.hints
		if _, _, err := readObject(t, o, Object{Bucket: "trail", Key: "k", Region: "eu-west-1"}); err != nil || !strings.Contains(signed, test.want) {
			t.Errorf("got %v, signed %s", err, signed)
		}
	}
}

// To stop does not wait for a server, nor for the next try.
func TestObjectStops(t *testing.T) {
	s := awstest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.Fault = func(c awstest.Call) awstest.Fault {
		if c.Number > 1 {
			cancel()
			return awstest.Fault{Delay: time.Hour}
		}
		return awstest.Fault{Cut: 10}
	}
	s.Put("trail", "k", awstest.Noise(100))
	body, err := testObjects(s).Open(ctx, Object{Bucket: "trail", Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.ReadAll(body); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
