package s3

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
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
	"github.com/mfawatch/mfawatch/sources"
	"github.com/mfawatch/mfawatch/sources/awstest"
	"github.com/mfawatch/mfawatch/sources/bucket"
)

// moto is a bucket of moto's with a queue.
type moto struct {
	*awstest.Moto
	t                  *testing.T
	sqs                *sqs.Client
	sns                *sns.Client
	queueURL, queueARN string
}

func newMoto(t *testing.T) *moto {
	t.Helper()
	m := &moto{Moto: awstest.NewMoto(t), t: t}
	m.sqs, m.sns = sqs.NewFromConfig(m.Config), sns.NewFromConfig(m.Config)
	queue, err := m.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &m.Bucket})
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
	_, err := m.S3.PutBucketNotificationConfiguration(m.t.Context(), &s3.PutBucketNotificationConfigurationInput{Bucket: &m.Bucket, NotificationConfiguration: &c})
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
	topic, err := m.sns.CreateTopic(m.t.Context(), &sns.CreateTopicInput{Name: &m.Bucket})
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
		{"PutRule", `{"Name":"` + m.Bucket + `","EventPattern":"{\"source\":[\"aws.s3\"]}","State":"ENABLED"}`},
		{"PutTargets", `{"Rule":"` + m.Bucket + `","Targets":[{"Id":"q","Arn":"` + m.queueARN + `"}]}`},
	} {
		r, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, *m.Config.BaseEndpoint, strings.NewReader(call.body))
		if err != nil {
			m.t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", "AWSEvents."+call.action)
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIATEST/20260501/us-east-1/events/aws4_request, SignedHeaders=host, Signature=x")
		answer, err := m.Config.HTTPClient.Do(r)
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
	if _, err := m.S3.PutObject(m.t.Context(), &s3.PutObjectInput{Bucket: &m.Bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
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
				trailKey: "small", "our logs/a+b.json.gz": "odd key", "ä/ö": "letters", "big": string(awstest.Noise(300_000)),
			}
			for key, body := range want {
				m.put(key, []byte(body))
			}
			m.put("AWSLogs/111122223333/CloudTrail/", nil)
			m.put(accountKey("111122223333", "CloudTrail-Insight", "us-east-1", "x"), []byte("not read"))
			if _, err := m.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &m.Bucket, Key: aws.String("big-not")}); err != nil {
				t.Fatal(err)
			}

			c := DefaultConfig()
			c.QueueURL = m.queueURL
			r := &s3Rig{taken: map[string]string{}, given: map[string]*processor.GivenUp{}, log: new(lockedBuffer)}
			source, err := New("trail", c, m.Config, sources.Options{Logger: slog.New(slog.NewTextHandler(r.log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			r.Source = source
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
				if got, ok := r.taken["s3://"+m.Bucket+"/"+key]; !ok || got != body {
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
func TestMotoQuarantines(t *testing.T) {
	m := newMoto(t)
	if _, err := m.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &m.queueURL, MessageBody: aws.String(`{"s3Bucket":"` + m.Bucket + `","s3ObjectKey":["missing"]}`)}); err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.QueueURL, c.MaxReceives, c.Retry.Min, c.Retry.Max = m.queueURL, 2, time.Second, time.Second
	r := &s3Rig{taken: map[string]string{}, given: map[string]*processor.GivenUp{}, log: new(lockedBuffer)}
	source, err := New("trail", c, m.Config, sources.Options{Logger: slog.New(slog.NewTextHandler(r.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	r.Source = source
	r.run(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.given) == 1
	})
	for _, given := range r.given {
		if given.Reason != string(bucket.FaultMissing) {
			t.Errorf("given up: %+v", given)
		}
	}
}
