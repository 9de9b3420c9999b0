package awstest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Moto is a bucket in moto's server: an AWS that is not ours.
type Moto struct {
	Config aws.Config
	S3     *s3.Client
	Bucket string // its name, unique to the test
}

// NewMoto makes a bucket in the server that MFAWATCH_TEST_AWS names. Without
// that variable the test is skipped.
func NewMoto(t testing.TB) *Moto {
	t.Helper()
	address := os.Getenv("MFAWATCH_TEST_AWS")
	if address == "" {
		t.Skip("no AWS: run deploy/integration/aws.sh run -- go test ./sources/...")
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	m := &Moto{Bucket: fmt.Sprintf("trail-%d", time.Now().UnixNano()), Config: aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(address), HTTPClient: &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "test"}, nil
		}),
	}}
	m.S3 = s3.NewFromConfig(m.Config, func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := m.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &m.Bucket}); err != nil {
		t.Fatal(err)
	}
	return m
}
