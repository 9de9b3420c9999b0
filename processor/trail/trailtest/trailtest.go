// Package trailtest makes CloudTrail records for tests and benchmarks: made
// up, but with the shapes, sizes and compression of real ones.
package trailtest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// Whole reports whether tests run as in CI, which sets MFAWATCH_TEST_LONG.
func Whole() bool { return os.Getenv("MFAWATCH_TEST_LONG") != "" }

// Short reports whether a test without goroutines tries a part of its cases: it does
// under the race detector, too, which runs with -short.
func Short() bool { return testing.Short() || !Whole() }

// Long skips a test that takes so many seconds, except where tests run whole.
func Long(t testing.TB, seconds int) {
	t.Helper()
	if !Whole() {
		t.Skipf("runs in CI: needs %d seconds; MFAWATCH_TEST_LONG=1 runs it", seconds)
	}
}

// A Maker makes records, the same ones for the same seed.
type Maker struct {
	rand *rand.Rand
	time time.Time
	n    int
}

// New returns a Maker.
func New(seed uint64) *Maker {
	return &Maker{rand: rand.New(rand.NewPCG(seed, 1)), time: time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)}
}

var calls = []struct{ source, name, parameters, response string }{
	{"ec2", "DescribeInstances", `{"maxResults":1000,"instancesSet":{},"filterSet":{"items":[{"name":"instance-state-name","valueSet":{"items":[{"value":"running"},{"value":"pending"}]}}]}}`, `null`},
	{"s3", "GetBucketAcl", `{"bucketName":"acme-prod-logs-%[1]s","Host":"acme-prod-logs-%[1]s.s3.eu-central-1.amazonaws.com","acl":""}`, `null`},
	{"kms", "Decrypt", `{"encryptionContext":{"aws:cloudtrail:arn":"arn:aws:cloudtrail:eu-central-1:111122223333:trail/organization","aws:s3:arn":"arn:aws:s3:::acme-prod-logs-%[1]s"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}`, `null`},
	{"sts", "AssumeRole", `{"roleArn":"arn:aws:iam::111122223333:role/service/deploy-%[1]s","roleSessionName":"deploy-%[1]s","durationSeconds":3600,"policy":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\",\"s3:ListBucket\"],\"Resource\":\"*\"}]}"}`, `{"credentials":{"accessKeyId":"ASIA%[2]s","sessionToken":"IQoJb3JpZ2luX2VjE%[2]s%[1]s%[2]s%[1]s","expiration":"May 1, 2026, 9:00:00 AM"},"assumedRoleUser":{"assumedRoleId":"AROAEXAMPLE:deploy-%[1]s","arn":"arn:aws:sts::111122223333:assumed-role/deploy-%[1]s/deploy-%[1]s"}}`},
	{"logs", "CreateLogStream", `{"logGroupName":"/aws/lambda/ingest-%[1]s","logStreamName":"2026/05/01/[$LATEST]%[2]s"}`, `null`},
	{"dynamodb", "DescribeTable", `{"tableName":"orders-%[1]s"}`, `null`},
	{"iam", "GetRole", `{"roleName":"service-%[1]s"}`, `null`},
	{"ecr", "BatchGetImage", `{"repositoryName":"acme/app-%[1]s","acceptedMediaTypes":["application/vnd.docker.distribution.manifest.v2+json","application/vnd.oci.image.manifest.v1+json"],"imageIds":[{"imageTag":"v1.%[1]s"}],"registryId":"111122223333"}`, `null`},
}

// Record makes a record that no rule watches, some 1.6 KB.
func (m *Maker) Record() []byte {
	c := calls[m.rand.IntN(len(calls))]
	word := fmt.Sprintf("%06x", m.rand.IntN(1<<24))
	key := fmt.Sprintf("%016X", m.rand.Uint64())
	return m.record(c.source+".amazonaws.com", c.name, fill(c.parameters, word, key), fill(c.response, word, key))
}

func fill(format, word, key string) string {
	return string(bytes.ReplaceAll(bytes.ReplaceAll([]byte(format), []byte("%[1]s"), []byte(word)), []byte("%[2]s"), []byte(key)))
}

// Deactivate makes a DeactivateMFADevice of one of many users.
func (m *Maker) Deactivate() []byte {
	user := fmt.Sprintf("user-%04d", m.rand.IntN(10000))
	return m.record("iam.amazonaws.com", "DeactivateMFADevice",
		fmt.Sprintf(`{"userName":%q,"serialNumber":"arn:aws:iam::111122223333:mfa/%s"}`, user, user), "null")
}

func (m *Maker) record(source, name, parameters, response string) []byte {
	m.n++
	m.time = m.time.Add(time.Duration(m.rand.IntN(900)) * time.Millisecond)
	role := fmt.Sprintf("app-%d", m.rand.IntN(12))
	session := fmt.Sprintf("i-%017x", m.rand.Uint64()>>4)
	uuid := func() string {
		a, b := m.rand.Uint64(), m.rand.Uint64()
		return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
	}
	return fmt.Appendf(nil, `{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLE%[1]s:%[2]s",`+
		`"arn":"arn:aws:sts::111122223333:assumed-role/%[1]s/%[2]s","accountId":"111122223333","accessKeyId":"ASIA%016[3]X",`+
		`"sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLE%[1]s","arn":"arn:aws:iam::111122223333:role/service/%[1]s",`+
		`"accountId":"111122223333","userName":"%[1]s"},"attributes":{"creationDate":"2026-05-01T07:41:09Z","mfaAuthenticated":"false"},`+
		`"ec2RoleDelivery":"2.0"}},"eventTime":"%[4]s","eventSource":"%[5]s","eventName":"%[6]s","awsRegion":"us-east-1",`+
		`"sourceIPAddress":"203.0.113.%[7]d","userAgent":"aws-sdk-go-v2/1.47.7 ua/2.1 os/linux lang/go#1.26.8 md/GOOS#linux md/GOARCH#amd64 api/%[6]s#1.0 m/E",`+
		`"requestParameters":%[8]s,"responseElements":%[9]s,"requestID":"%[10]s","eventID":"%[11]s","readOnly":true,`+
		`"resources":[{"accountId":"111122223333","type":"AWS::IAM::Role","ARN":"arn:aws:iam::111122223333:role/service/%[1]s"}],`+
		`"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management",`+
		`"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"%[5]s"}}`,
		role, session, m.rand.Uint64(), m.time.Format(time.RFC3339), source, name, m.rand.IntN(256), parameters, response, uuid(), uuid())
}

// Object makes a CloudTrail object of n records, of which one in every is a
// DeactivateMFADevice; none if every is 0.
func (m *Maker) Object(n, every int) []byte {
	b := []byte(`{"Records":[`)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		if every > 0 && i%every == every-1 {
			b = append(b, m.Deactivate()...)
		} else {
			b = append(b, m.Record()...)
		}
	}
	return append(b, "]}"...)
}

// Gzip compresses b as CloudTrail does.
func Gzip(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	w.Close()
	return z.Bytes()
}
