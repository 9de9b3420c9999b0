package sources

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mfawatch/mfawatch/processor"
)

// A moto is an AWS that nobody here wrote.
type moto struct {
	t                  *testing.T
	config             aws.Config
	s3                 *s3.Client
	sqs                *sqs.Client
	sns                *sns.Client
	name               string // of the bucket, the queue and the topic
	queueURL, queueARN string
}

func newMoto(t *testing.T) *moto {
	address := os.Getenv("MFAWATCH_TEST_AWS")
	if address == "" {
		t.Skip("no AWS: run deploy/integration/aws.sh run -- go test ./sources")
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	m := &moto{t: t, name: fmt.Sprintf("trail-%d", time.Now().UnixNano()), config: aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(address), HTTPClient: &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "test"}, nil
		}),
	}}
	m.s3 = s3.NewFromConfig(m.config, func(o *s3.Options) { o.UsePathStyle = true })
	m.sqs, m.sns = sqs.NewFromConfig(m.config), sns.NewFromConfig(m.config)
	if _, err := m.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &m.name}); err != nil {
		t.Fatal(err)
	}
	queue, err := m.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &m.name})
	if err != nil {
		t.Fatal(err)
	}
	m.queueURL = *queue.QueueUrl
	attributes, err := m.sqs.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &m.queueURL, AttributeNames: []sqstypes.QueueAttributeName{"QueueArn"}})
	if err != nil {
		t.Fatal(err)
	}
	m.queueARN = attributes.Attributes["QueueArn"]
	return m
}

func (m *moto) notify(c s3types.NotificationConfiguration) {
	m.t.Helper()
	_, err := m.s3.PutBucketNotificationConfiguration(m.t.Context(), &s3.PutBucketNotificationConfigurationInput{Bucket: &m.name, NotificationConfiguration: &c})
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *moto) queueDirectly() {
	m.notify(s3types.NotificationConfiguration{QueueConfigurations: []s3types.QueueConfiguration{
		{QueueArn: &m.queueARN, Events: []s3types.Event{"s3:ObjectCreated:*", "s3:ObjectRemoved:*"}},
	}})
}

func (m *moto) topic(raw string) {
	m.t.Helper()
	topic, err := m.sns.CreateTopic(m.t.Context(), &sns.CreateTopicInput{Name: &m.name})
	if err != nil {
		m.t.Fatal(err)
	}
	_, err = m.sns.Subscribe(m.t.Context(), &sns.SubscribeInput{
		TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: &m.queueARN, Attributes: map[string]string{"RawMessageDelivery": raw},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.notify(s3types.NotificationConfiguration{TopicConfigurations: []s3types.TopicConfiguration{
		{TopicArn: topic.TopicArn, Events: []s3types.Event{"s3:ObjectCreated:*"}},
	}})
}

// eventBridge makes a rule, as its API wants it.
func (m *moto) eventBridge() {
	m.t.Helper()
	for _, call := range [...]struct{ action, body string }{
		{"PutRule", `{"Name":"` + m.name + `","EventPattern":"{\"source\":[\"aws.s3\"]}","State":"ENABLED"}`},
		{"PutTargets", `{"Rule":"` + m.name + `","Targets":[{"Id":"q","Arn":"` + m.queueARN + `"}]}`},
	} {
		r, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, *m.config.BaseEndpoint, strings.NewReader(call.body))
		if err != nil {
			m.t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", "AWSEvents."+call.action)
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIATEST/20260501/us-east-1/events/aws4_request, SignedHeaders=host, Signature=x")
		answer, err := m.config.HTTPClient.Do(r)
		if err != nil {
			m.t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body) // it is only shown
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			m.t.Fatalf("%s: %s\n%s", call.action, answer.Status, text)
		}
	}
	m.notify(s3types.NotificationConfiguration{EventBridgeConfiguration: &s3types.EventBridgeConfiguration{}})
}

func (m *moto) put(key string, body []byte) {
	m.t.Helper()
	if _, err := m.s3.PutObject(m.t.Context(), &s3.PutObjectInput{Bucket: &m.name, Key: &key, Body: bytes.NewReader(body)}); err != nil {
		m.t.Fatal(err)
	}
}

// What AWS's own notifications look like as another made them: each way into the
// queue, and the queue is empty in the end.
func TestMotoNotifications(t *testing.T) {
	for name, way := range map[string]func(*moto){
		"S3 to SQS":                      (*moto).queueDirectly,
		"S3 to SNS to SQS":               func(m *moto) { m.topic("false") },
		"S3 to SNS to SQS, raw":          func(m *moto) { m.topic("true") },
		"S3 to EventBridge to SQS":       (*moto).eventBridge,
		"S3 to SQS, after SNS was tried": func(m *moto) { m.topic("false"); m.queueDirectly() },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMoto(t)
			way(m)
			want := map[string]string{
				trailKey: "small", "our logs/a+b.json.gz": "odd key", "ä/ö": "letters", "big": string(objectBytes(300_000)),
			}
			for key, body := range want {
				m.put(key, []byte(body))
			}
			m.put("AWSLogs/111122223333/CloudTrail/", nil)
			m.put(accountKey("111122223333", "CloudTrail-Insight", "us-east-1", "x"), []byte("not read"))
			if _, err := m.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &m.name, Key: aws.String("big-not")}); err != nil {
				t.Fatal(err)
			}

			c := DefaultS3Config()
			c.QueueURL = m.queueURL
			r := &s3Rig{taken: map[string]string{}, given: map[string]*processor.GivenUp{}, log: new(lockedBuffer)}
			source, err := NewS3("trail", c, m.config, Options{Logger: slog.New(slog.NewTextHandler(r.log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			r.S3 = source
			empty := func() bool {
				r.mu.Lock()
				got := len(r.taken)
				r.mu.Unlock()
				if got < len(want) {
					return false
				}
				time.Sleep(50 * time.Millisecond)
				a, err := m.sqs.GetQueueAttributes(context.Background(), &sqs.GetQueueAttributesInput{QueueUrl: &m.queueURL, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
				return err == nil && a.Attributes["ApproximateNumberOfMessages"] == "0" && a.Attributes["ApproximateNumberOfMessagesNotVisible"] == "0"
			}
			r.run(t, empty)
			for key, body := range want {
				if got, ok := r.taken["s3://"+m.name+"/"+key]; !ok || got != body {
					t.Errorf("%s: got %d bytes, %v", key, len(got), ok)
				}
			}
			if len(r.taken) != len(want) || len(r.given) > 0 {
				t.Errorf("took %d, want %d; given up %v", len(r.taken), len(want), r.given)
			}
		})
	}
}

// A message that cannot be done is put back, comes again, and is deleted only
// when it was given up.
func TestMotoGivesUp(t *testing.T) {
	m := newMoto(t)
	if _, err := m.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &m.queueURL, MessageBody: aws.String(`{"s3Bucket":"` + m.name + `","s3ObjectKey":["missing"]}`)}); err != nil {
		t.Fatal(err)
	}
	c := DefaultS3Config()
	c.QueueURL, c.MaxReceives, c.Retry.Min, c.Retry.Max = m.queueURL, 2, time.Second, time.Second
	r := &s3Rig{taken: map[string]string{}, given: map[string]*processor.GivenUp{}, log: new(lockedBuffer)}
	source, err := NewS3("trail", c, m.config, Options{Logger: slog.New(slog.NewTextHandler(r.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	r.S3 = source
	r.run(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.given) == 1
	})
	for _, given := range r.given {
		if given.Reason != string(FaultMissing) {
			t.Errorf("given up: %+v", given)
		}
	}
}
