package s3

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/mfawatch/mfawatch/sources/bucket"
)

// A notification is what the body of a message says, whatever carried it. The
// zero value says nothing.
type notification struct {
	objects []namedObject
	// records says that the message holds CloudTrail records itself, as from an
	// EventBridge rule that has the queue as its target.
	records bool
	ignored ignorance // where there is nothing to be read: why
}

// A namedObject is an object with the other reading of its key, if there is one:
// carriers differ in whether they encode it (R35).
type namedObject struct {
	bucket.Object
	other string
}

// An ignorance is why a message is acknowledged without more (R36).
type ignorance string

const (
	ignoredTest         ignorance = "test"         // S3 tries the queue out
	ignoredSubscription ignorance = "subscription" // SNS does, or its text about one
	ignoredValidation   ignorance = "validation"   // CloudTrail tries the topic out
	ignoredEvent        ignorance = "event"        // of S3, but nothing was written: removed, restored, tagged
	ignoredEmpty        ignorance = "empty"        // a list of nothing
)

var ignorances = []ignorance{ignoredTest, ignoredSubscription, ignoredValidation, ignoredEvent, ignoredEmpty}

// Bounds on what is taken apart: carriers around each other, and objects in one
// message, which SQS bounds to a megabyte.
const (
	maxCarriers = 8
	maxNamed    = 20_000
)

var (
	errNoNotification = errors.New("not a notification about objects: neither S3's, CloudTrail's, EventBridge's, nor SNS with one of them in it")
	errDeepMessage    = fmt.Errorf("more than %d carriers around each other", maxCarriers)
	errManyNamed      = fmt.Errorf("more than %d objects in one message", maxNamed)
)

// parseNotification tells by its content alone what a message is. An error means
// that it is none that can be understood; what could be is still told.
func parseNotification(body string) (notification, error) {
	var n notification
	err := n.read(body, 0)
	return n, err
}

func (n *notification) read(body string, depth int) error {
	body = strings.TrimSpace(strings.TrimPrefix(body, "\uFEFF"))
	switch {
	case depth > maxCarriers:
		return errDeepMessage
	case strings.HasPrefix(body, "CloudTrail validation message."):
		n.ignored = ignoredValidation
		return nil
	case !gjson.Valid(body):
		return errors.New("not JSON")
	}
	return n.value(gjson.Parse(body), depth)
}

// value reads JSON: an object, or a text that holds one.
func (n *notification) value(v gjson.Result, depth int) error {
	switch {
	case v.Type == gjson.String:
		return n.read(v.Str, depth+1)
	case !v.IsObject():
		return errNoNotification
	case depth > maxCarriers:
		return errDeepMessage
	}
	var e envelope
	v.ForEach(func(key, value gjson.Result) bool {
		e.member(key.Str, value)
		return true
	})
	switch {
	case e.event.Str == "s3:TestEvent":
		n.ignored = ignoredTest
		return nil
	case e.kind.Str == "SubscriptionConfirmation", e.kind.Str == "UnsubscribeConfirmation":
		n.ignored = ignoredSubscription
		return nil
	case e.bucket.Type == gjson.String && e.keys.Exists():
		return n.cloudTrail(e)
	case e.detailType.Type == gjson.String:
		return n.eventBridge(e, depth)
	case e.records.IsArray():
		return n.list(e.records, depth)
	case e.isRecord():
		n.records = true
		return nil
	}
	for _, inner := range [...]gjson.Result{e.message, e.detail, e.body} {
		if inner.Exists() {
			return n.value(inner, depth+1)
		}
	}
	return errNoNotification
}

// An envelope is the members of a JSON object that tell what it is. Of a name
// that occurs twice the first counts.
type envelope struct {
	kind, message      gjson.Result // SNS
	event              gjson.Result // S3's test
	bucket, keys       gjson.Result // CloudTrail's own
	records            gjson.Result // S3
	detailType, detail gjson.Result // EventBridge
	source, name       gjson.Result // an element of records, or a record
	body               gjson.Result // of a Lambda function's input
	s3, sns, region    gjson.Result
}

func (e *envelope) member(key string, value gjson.Result) {
	var to *gjson.Result
	switch key {
	case "Type":
		to = &e.kind
	case "Message":
		to = &e.message
	case "Event":
		to = &e.event
	case "s3Bucket":
		to = &e.bucket
	case "s3ObjectKey":
		to = &e.keys
	case "Records":
		to = &e.records
	case "detail-type":
		to = &e.detailType
	case "detail":
		to = &e.detail
	case "eventSource":
		to = &e.source
	case "eventName":
		to = &e.name
	case "body":
		to = &e.body
	case "s3":
		to = &e.s3
	case "Sns":
		to = &e.sns
	case "awsRegion", "region":
		to = &e.region
	}
	if to != nil && !to.Exists() {
		*to = value
	}
}

// isRecord reports whether it is a CloudTrail record: S3's notifications have
// the same members, but not an AWS service for a source (R39).
func (e *envelope) isRecord() bool {
	return !e.s3.Exists() && e.name.Type == gjson.String && strings.HasSuffix(e.source.Str, ".amazonaws.com")
}

// add takes an object down, its key in the likely reading first.
func (n *notification) add(name, key, other, region string) error {
	switch {
	case name == "" || key == "":
		return errors.New("it names no bucket or no key")
	case len(n.objects) >= maxNamed:
		return errManyNamed
	}
	if !bucket.IsRegion(region) {
		region = ""
	}
	if other == key {
		other = ""
	}
	n.objects = append(n.objects, namedObject{bucket.Object{Bucket: name, Key: key, Region: region}, other})
	return nil
}

// formDecoded is a key as S3's notifications encode it, and as it is where that
// cannot be decoded.
func formDecoded(key string) string {
	if !strings.ContainsAny(key, "+%") {
		return key
	}
	if decoded, err := url.QueryUnescape(key); err == nil {
		return decoded
	}
	return key
}

// cloudTrail reads CloudTrail's own notification, whose keys are as they are.
func (n *notification) cloudTrail(e envelope) error {
	list := []gjson.Result{e.keys}
	if e.keys.IsArray() {
		list = e.keys.Array()
	}
	if len(list) == 0 {
		n.ignored = ignoredEmpty
	}
	for _, key := range list {
		if err := n.add(e.bucket.Str, key.Str, formDecoded(key.Str), ""); err != nil {
			return err
		}
	}
	return nil
}

// eventBridge reads an event of EventBridge: of S3's own, whose keys are as they
// are, a CloudTrail record, or whatever else carries one of the others.
func (n *notification) eventBridge(e envelope, depth int) error {
	object := e.detail.Get("object.key")
	switch {
	case e.detailType.Str == "Object Created" && object.Exists():
		return n.add(e.detail.Get("bucket.name").Str, object.Str, formDecoded(object.Str), e.region.Str)
	case object.Exists() && strings.HasPrefix(e.detailType.Str, "Object "):
		n.ignored = ignoredEvent
		return nil
	case strings.HasSuffix(e.detailType.Str, " via CloudTrail"):
		n.records = true
		return nil
	}
	return n.value(e.detail, depth+1)
}

// list reads what a list named Records holds: S3's events, or what Lambda makes
// of SNS and SQS, or CloudTrail's records themselves. The carriers are told by
// their elements, each by itself.
func (n *notification) list(records gjson.Result, depth int) (err error) {
	empty := true
	records.ForEach(func(_, item gjson.Result) bool {
		empty = false
		if !item.IsObject() {
			err = errNoNotification
			return false
		}
		var e envelope
		item.ForEach(func(key, value gjson.Result) bool {
			e.member(key.Str, value)
			return true
		})
		if wrong := n.element(e, depth); err == nil {
			err = wrong
		}
		return !errors.Is(err, errManyNamed)
	})
	if empty {
		n.ignored = ignoredEmpty
	}
	return err
}

func (n *notification) element(e envelope, depth int) error {
	switch {
	case e.s3.IsObject():
		name := strings.TrimPrefix(e.name.Str, "s3:") // which MinIO writes before it
		if !strings.HasPrefix(name, "ObjectCreated:") {
			if name == "" {
				return errNoNotification
			}
			n.ignored = ignoredEvent
			return nil
		}
		key := e.s3.Get("object.key").Str
		return n.add(e.s3.Get("bucket.name").Str, formDecoded(key), key, e.region.Str)
	case e.sns.IsObject():
		return n.value(e.sns, depth+1)
	case e.isRecord():
		n.records = true
		return nil
	case e.body.Exists():
		return n.value(e.body, depth+1)
	}
	return errNoNotification
}
