package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/demo"
	"github.com/mfawatch/mfawatch/sources/awstest"
	"github.com/mfawatch/mfawatch/sources/bucket"
	"github.com/mfawatch/mfawatch/sources/files"
)

// s3Settings lead AWS's SDK to a server of the test's, and to nothing of the
// machine's.
func s3Settings(url string) map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "", "AWS_REGION": "us-east-1",
		"AWS_PROFILE": "", "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true",
	}
}

// A faultyS3 is a server whose faults may change while it runs.
type faultyS3 struct {
	*awstest.Server
	faults atomic.Pointer[func(awstest.Call) awstest.Fault]
}

func (s *faultyS3) fail(f func(awstest.Call) awstest.Fault) { s.faults.Store(&f) }

func (s *faultyS3) heal() { s.faults.Store(nil) }

// s3Bucket is a bucket "logs" in the process, which scans reach.
func s3Bucket(t *testing.T) *faultyS3 {
	t.Helper()
	s := &faultyS3{Server: awstest.New()}
	t.Cleanup(s.Close)
	s.Fault = func(c awstest.Call) awstest.Fault {
		if f := s.faults.Load(); f != nil {
			return (*f)(c)
		}
		return awstest.Fault{}
	}
	for name, value := range s3Settings(s.URL) {
		t.Setenv(name, value)
	}
	return s
}

// logBucket starts an S3 server and puts the files of a folder into the bucket
// "logs": bucket folder.
func logBucket(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: bucket folder")
	}
	s := awstest.New()
	ts.Defer(s.Close)
	s.Fault = func(c awstest.Call) awstest.Fault {
		switch {
		case strings.Contains(c.Key, "denied"), strings.Contains(c.Query.Get("prefix"), "denied"):
			return awstest.Fault{Status: 403, Code: "AccessDenied", Message: "Access Denied"}
		case strings.Contains(c.Key, "locked"):
			return awstest.Fault{Status: 403, Code: "AccessDenied", Message: "not authorized to perform: kms:Decrypt on the resource"}
		}
		return awstest.Fault{}
	}
	root := ts.MkAbs(args[0])
	ts.Check(filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		key, _ := filepath.Rel(root, path)
		s.Put("logs", filepath.ToSlash(key), text)
		return err
	}))
	for name, value := range s3Settings(s.URL) {
		ts.Setenv(name, value)
	}
}

// scanned returns the output of a scan, on both sides.
func scanned(ctx context.Context, t *testing.T, resume string, wanted bucket.Wanted, paths ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
	err = p.scan(ctx, &scanRun{paths: paths, format: "json", resume: resume}, wanted)
	return out.String(), errs.String(), err
}

// The records of others, in a bucket and in a folder, give the same.
func TestScanOfABucketTellsWhatAFolderDoes(t *testing.T) {
	s := s3Bucket(t)
	const root = "../../testdata/real"
	n := 0
	for f, err := range files.Walk([]string{root}) {
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		s.Put("logs", strings.TrimPrefix(f.Place(), "../../"), text)
		n++
	}
	s.Put("logs", "trail.json", demo.Lines) // they hold little that is alerted
	trail := filepath.Join(t.TempDir(), "trail.json")
	if err := os.WriteFile(trail, demo.Lines, 0o600); err != nil {
		t.Fatal(err)
	}
	local, said, _ := scanned(t.Context(), t, "", bucket.Wanted{}, root, trail)
	remote, saidToo, _ := scanned(t.Context(), t, "", bucket.Wanted{}, "s3://logs/")
	local = strings.NewReplacer("../../testdata", "s3://logs/testdata", trail, "s3://logs/trail.json").Replace(local)
	if local != remote || strings.Count(local, "\n") != 13 {
		t.Errorf("the folder gives\n%s\nthe bucket\n%s", local, remote)
	}
	first := func(text string) string { text, _, _ = strings.Cut(text, "\n"); return text }
	if first(said) != first(saidToo) || n < 20 {
		t.Errorf("of %d files:\n%s\n%s", n, first(said), first(saidToo))
	}
	// Both together, and each twice, still give the same story.
	if both, _, _ := scanned(t.Context(), t, "", bucket.Wanted{}, root, "s3://logs/", root, trail); strings.Count(both, "\n") != strings.Count(local, "\n") {
		t.Errorf("mixed: %d alerts, want %d", strings.Count(both, "\n"), strings.Count(local, "\n"))
	}
}

// demoBucket spreads the demo's trail over objects of one record each, as an
// organisation's trail would.
func demoBucket(t *testing.T, s *faultyS3) (objects int) {
	t.Helper()
	for line := range bytes.Lines(demo.Lines) {
		objects++
		s.Put("logs", fmt.Sprintf("AWSLogs/o-exampleorgid/111122223333/CloudTrail/us-east-1/2026/05/%02d/111122223333_CloudTrail_us-east-1_202605%02dT0800Z_%016d.json",
			1+objects%3, 1+objects%3, objects), line)
	}
	return objects
}

// Interrupted at any moment, and then at another, a scan that goes on gives the
// same bytes, and reads nothing twice that it was done with.
func TestScanResumes(t *testing.T) {
	s := s3Bucket(t)
	objects := demoBucket(t, s)
	s.Put("logs", "AWSLogs/broken.json", []byte("%PDF"))
	want, said, _ := scanned(t.Context(), t, "", bucket.Wanted{}, "s3://logs/")
	summary := func(text string) string { // without what depends on the clock
		var kept []string
		for l := range strings.Lines(text) {
			if !strings.Contains(l, " MB/s ") && !strings.Contains(l, " read before") {
				kept = append(kept, l)
			}
		}
		return strings.Join(kept, "")
	}
	random := rand.New(rand.NewPCG(7, 8))
	for try := range 6 {
		path := filepath.Join(t.TempDir(), "scan")
		for range random.IntN(3) + 1 {
			ctx, cancel := context.WithCancel(t.Context())
			var left atomic.Int64
			left.Store(int64(random.IntN(objects)))
			s.fail(func(awstest.Call) awstest.Fault {
				if left.Add(-1) == 0 {
					cancel()
				}
				return awstest.Fault{}
			})
			_, text, err := scanned(ctx, t, path, bucket.Wanted{}, "s3://logs/")
			if ctx.Err() != nil && (err == nil || !strings.Contains(text, "the same command continues")) {
				t.Fatalf("try %d: %v, %s", try, err, text)
			}
			cancel()
		}
		s.heal()
		notes, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, text, _ := scanned(t.Context(), t, path, bucket.Wanted{}, "s3://logs/")
		if got != want || summary(text) != summary(said) {
			t.Fatalf("try %d: after an interruption it gives\n%s%s\nwant\n%s%s", try, got, text, want, said)
		}
		// Noted objects are not read again: they would be noted again.
		all, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(all, notes) || bytes.Count(all, []byte("\n")) != 1+objects+1 {
			t.Errorf("try %d: %d inputs noted, of %d", try, bytes.Count(all, []byte("\n"))-1, objects+1)
		}
	}
}

// A kill cuts the notes off anywhere. The rest of them is believed up to the
// last whole line.
func TestScanResumesAfterAKill(t *testing.T) {
	s := s3Bucket(t)
	demoBucket(t, s)
	path := filepath.Join(t.TempDir(), "scan")
	want, _, err := scanned(t.Context(), t, path, bucket.Wanted{}, "s3://logs/")
	if err != nil {
		t.Fatal(err)
	}
	notes, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(9, 10))
	for try := range 10 {
		cut := slices.Clone(notes[:random.IntN(len(notes)+1)])
		if try%5 == 4 { // and a disk that came back with zeros
			cut = append(cut, make([]byte, 512)...)
		}
		if try == 0 {
			cut = notes[:10]
		}
		if err := os.WriteFile(path, cut, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, said, err := scanned(t.Context(), t, path, bucket.Wanted{}, "s3://logs/"); err != nil || got != want {
				t.Fatalf("try %d, cut to %d of %d bytes: %v\n%s\n%s", try, len(cut), len(notes), err, said, got)
			}
		}
	}
}

// The second scan of a growing bucket reads what is new.
func TestScanReadsOnlyWhatIsNew(t *testing.T) {
	s := s3Bucket(t)
	lines := slices.Collect(bytes.Lines(demo.Lines))
	half := len(lines) / 2
	path := filepath.Join(t.TempDir(), "scan")
	s.Put("logs", "a.json", bytes.Join(lines[:half], nil))
	if _, _, err := scanned(t.Context(), t, path, bucket.Wanted{}, "s3://logs/"); err != nil {
		t.Fatal(err)
	}
	s.Put("logs", "b.json", bytes.Join(lines[half:], nil))
	before := s.Calls("GetObject")
	got, _, err := scanned(t.Context(), t, path, bucket.Wanted{}, "s3://logs/")
	if read := s.Calls("GetObject") - before; err != nil || read != 1 || strings.Count(got, "\n") != 12 {
		t.Errorf("read %d objects, printed %d alerts, %v", read, strings.Count(got, "\n"), err)
	}
	// An object written anew is read anew.
	s.Put("logs", "a.json", lines[0])
	before = s.Calls("GetObject")
	if _, _, err := scanned(t.Context(), t, path, bucket.Wanted{}, "s3://logs/"); err != nil || s.Calls("GetObject") != before+1 {
		t.Errorf("read %d objects, %v", s.Calls("GetObject")-before, err)
	}
}

// S3 may stumble as much as it likes: the scan gives the same.
func TestScanOutlivesFaults(t *testing.T) {
	s := s3Bucket(t)
	demoBucket(t, s)
	want, _, err := scanned(t.Context(), t, "", bucket.Wanted{}, "s3://logs/")
	if err != nil {
		t.Fatal(err)
	}
	s.fail(func(c awstest.Call) awstest.Fault {
		switch c.Number % 25 {
		case 3:
			return awstest.Fault{Status: 503, Code: "SlowDown"}
		case 5:
			return awstest.Fault{Status: 500, Code: "InternalError"}
		case 7:
			return awstest.Fault{Reset: true}
		case 8:
			return awstest.Fault{Cut: 100}
		}
		return awstest.Fault{}
	})
	if got, said, err := scanned(t.Context(), t, "", bucket.Wanted{}, "s3://logs/"); err != nil || got != want {
		t.Errorf("%v\n%s\n%d alerts, want %d", err, said, strings.Count(got, "\n"), strings.Count(want, "\n"))
	}
}

// The same with an S3 that others wrote.
func TestScanOnMoto(t *testing.T) {
	address := os.Getenv("MFAWATCH_TEST_AWS")
	if address == "" {
		t.Skip("no AWS: run deploy/integration/aws.sh run -- go test ./cmd/mfawatch")
	}
	for name, value := range s3Settings(address) {
		t.Setenv(name, value)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: &address, UsePathStyle: true, HTTPClient: &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "test"}, nil
		}),
	})
	name := fmt.Sprintf("trail-%d", time.Now().UnixNano())
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	n := 0
	for line := range bytes.Lines(demo.Lines) {
		n++
		key := fmt.Sprintf("AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/01/111122223333_CloudTrail_us-east-1_20260501T0900Z_%016d.json", n)
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &name, Key: &key, Body: bytes.NewReader(line)}); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, key)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, line, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	want, _, err := scanned(t.Context(), t, "", bucket.Wanted{}, root)
	if err != nil {
		t.Fatal(err)
	}
	notes := filepath.Join(t.TempDir(), "scan")
	for range 2 {
		got, said, err := scanned(t.Context(), t, notes, bucket.Wanted{}, "s3://"+name+"/AWSLogs")
		if got = strings.ReplaceAll(got, "s3://"+name, root); err != nil || got != want {
			t.Errorf("%v\n%s\ngot\n%s\nwant\n%s", err, said, got, want)
		}
	}
}
