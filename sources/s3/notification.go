package s3

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/mfawatch/mfawatch/sources/bucket"
)

// A notification is the content of a message, without its envelopes. The zero
// value has none.
type notification struct {
	objects []namedObject
	// records reports that the message holds CloudTrail records itself, as from an
	// EventBridge rule whose target is the queue.
	records bool
	ignored ignoreReason // why nothing is read
}

// A namedObject is an object with the other reading of its key, if there is one:
// envelopes differ in whether they encode it (R35).
type namedObject struct {
	bucket.Object
	other string
}

// An ignoreReason is why a message is deleted unread (R36).
type ignoreReason string

const (
	ignoredTest         ignoreReason = "test"         // S3 tests the queue
	ignoredSubscription ignoreReason = "subscription" // SNS confirms a subscription
	ignoredValidation   ignoreReason = "validation"   // CloudTrail tests the topic
	ignoredEvent        ignoreReason = "event"        // of S3, but nothing was written: removed, restored, tagged
	ignoredEmpty        ignoreReason = "empty"        // a list of nothing
)

var ignoreReasons = []ignoreReason{ignoredTest, ignoredSubscription, ignoredValidation, ignoredEvent, ignoredEmpty}

// Bounds on one message, which SQS limits to a megabyte: nested envelopes, nested
// JSON (the scanner of records allows 256), and objects.
const (
	maxEnvelopes = 8
	maxNesting   = 512
	maxNamed     = 20_000
)

var (
	errNoNotification = errors.New("not a notification about objects: neither S3's, CloudTrail's, EventBridge's, nor SNS with one of them in it")
	errDeepMessage    = fmt.Errorf("more than %d nested envelopes", maxEnvelopes)
	errNesting        = fmt.Errorf("more than %d levels of JSON", maxNesting)
	errManyNamed      = fmt.Errorf("more than %d objects in one message", maxNamed)
)

// parseNotification recognises a message by its content alone. With an error it
// still returns the objects that it understood.
func parseNotification(body string) (notification, error) {
	var n notification
	err := n.read(body, 0)
	return n, err
}

func (n *notification) read(body string, depth int) error {
	body = strings.TrimSpace(strings.TrimPrefix(body, "\uFEFF"))
	switch {
	case depth > maxEnvelopes:
		return errDeepMessage
	case strings.HasPrefix(body, "CloudTrail validation message."):
		n.ignored = ignoredValidation
		return nil
	case nestsDeeper(body, maxNesting): // before gjson.Valid, which recurses
		return errNesting
	case !gjson.Valid(body):
		return errors.New("not JSON")
	}
	return n.value(gjson.Parse(body), depth)
}

// nestsDeeper reports whether objects and lists in JSON are nested deeper than most
// levels. It uses no memory, whatever the text is.
func nestsDeeper(text string, most int) bool {
	if strings.Count(text, "{")+strings.Count(text, "[") <= most {
		return false
	}
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > most {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// value reads JSON: an object, or a text that holds one.
func (n *notification) value(v gjson.Result, depth int) error {
	switch {
	case v.Type == gjson.String:
		return n.read(v.Str, depth+1)
	case !v.IsObject():
		return errNoNotification
	case depth > maxEnvelopes:
		return errDeepMessage
	}
	e := envelopeOf(v)
	switch {
	case e["Event"].Str == "s3:TestEvent":
		n.ignored = ignoredTest
		return nil
	case e["Type"].Str == "SubscriptionConfirmation", e["Type"].Str == "UnsubscribeConfirmation":
		n.ignored = ignoredSubscription
		return nil
	case e["s3Bucket"].Type == gjson.String && e["s3ObjectKey"].Exists():
		return n.cloudTrail(e)
	case e["detail-type"].Type == gjson.String:
		return n.eventBridge(e, depth)
	case e["Records"].IsArray():
		return n.list(e["Records"], depth)
	case e.isRecord():
		n.records = true
		return nil
	}
	for _, inner := range [...]gjson.Result{e["Message"], e["detail"], e["body"]} {
		if inner.Exists() {
			return n.value(inner, depth+1)
		}
	}
	return errNoNotification
}

// An envelope holds the members of a JSON object that identify it, by name. The first
// of two members of one name counts.
type envelope map[string]gjson.Result

// identifying are the names of the members of an envelope.
var identifying = []string{
	"Type", "Message", // SNS
	"Event",                   // S3's test
	"s3Bucket", "s3ObjectKey", // CloudTrail's own
	"Records", "s3", "Sns", "awsRegion", // S3, and what Lambda makes of SNS and SQS
	"detail-type", "detail", "region", // EventBridge
	"eventSource", "eventName", // an element of Records, or a record
	"body", // of a Lambda function's input
}

func envelopeOf(object gjson.Result) envelope {
	e := envelope{}
	object.ForEach(func(key, value gjson.Result) bool {
		if _, known := e[key.Str]; !known && slices.Contains(identifying, key.Str) {
			e[key.Str] = value
		}
		return true
	})
	return e
}

// region returns the region that the envelope names, "" if none.
func (e envelope) region() string { return cmp.Or(e["awsRegion"].Str, e["region"].Str) }

// isRecord reports whether e is a CloudTrail record. Notifications of S3 have the
// same members, but no AWS service as their source (R39).
func (e envelope) isRecord() bool {
	return !e["s3"].Exists() && e["eventName"].Type == gjson.String && strings.HasSuffix(e["eventSource"].Str, ".amazonaws.com")
}

// add adds an object, its key in the likely reading first.
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

// formDecoded decodes a key of a notification of S3. A key that cannot be decoded
// is returned as it is.
func formDecoded(key string) string {
	if !strings.ContainsAny(key, "+%") {
		return key
	}
	if decoded, err := url.QueryUnescape(key); err == nil {
		return decoded
	}
	return key
}

// cloudTrail reads a notification of CloudTrail, whose keys are not encoded.
func (n *notification) cloudTrail(e envelope) error {
	list := []gjson.Result{e["s3ObjectKey"]}
	if e["s3ObjectKey"].IsArray() {
		list = e["s3ObjectKey"].Array()
	}
	if len(list) == 0 {
		n.ignored = ignoredEmpty
	}
	for _, key := range list {
		if err := n.add(e["s3Bucket"].Str, key.Str, formDecoded(key.Str), ""); err != nil {
			return err
		}
	}
	return nil
}

// eventBridge reads an event of EventBridge: one of S3, whose keys are not
// encoded, a CloudTrail record, or an envelope around another notification.
func (n *notification) eventBridge(e envelope, depth int) error {
	object := e["detail"].Get("object.key")
	switch {
	case e["detail-type"].Str == "Object Created" && object.Exists():
		return n.add(e["detail"].Get("bucket.name").Str, object.Str, formDecoded(object.Str), e.region())
	case object.Exists() && strings.HasPrefix(e["detail-type"].Str, "Object "):
		n.ignored = ignoredEvent
		return nil
	case strings.HasSuffix(e["detail-type"].Str, " via CloudTrail"):
		n.records = true
		return nil
	}
	return n.value(e["detail"], depth+1)
}

// list reads a list named Records: events of S3, envelopes that Lambda makes of
// SNS and SQS, or CloudTrail records. Each element is recognised by itself.
func (n *notification) list(records gjson.Result, depth int) (err error) {
	empty := true
	records.ForEach(func(_, item gjson.Result) bool {
		empty = false
		if !item.IsObject() {
			err = errNoNotification
			return false
		}
		if wrong := n.element(envelopeOf(item), depth); err == nil {
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
	case e["s3"].IsObject():
		name := strings.TrimPrefix(e["eventName"].Str, "s3:") // MinIO writes it
		if !strings.HasPrefix(name, "ObjectCreated:") {
			if name == "" {
				return errNoNotification
			}
			n.ignored = ignoredEvent
			return nil
		}
		key := e["s3"].Get("object.key").Str
		return n.add(e["s3"].Get("bucket.name").Str, formDecoded(key), key, e.region())
	case e["Sns"].IsObject():
		return n.value(e["Sns"], depth+1)
	case e.isRecord():
		n.records = true
		return nil
	case e["body"].Exists():
		return n.value(e["body"], depth+1)
	}
	return errNoNotification
}
