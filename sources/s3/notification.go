package s3

import (
	"errors"
	"fmt"
	"net/url"
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
		return n.cloudTrail(&e)
	case e.detailType.Type == gjson.String:
		return n.eventBridge(&e, depth)
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

// An envelope holds the members of a JSON object that identify it. The first of
// two members of one name counts.
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

// isRecord reports whether e is a CloudTrail record. Notifications of S3 have the
// same members, but no AWS service as their source (R39).
func (e *envelope) isRecord() bool {
	return !e.s3.Exists() && e.name.Type == gjson.String && strings.HasSuffix(e.source.Str, ".amazonaws.com")
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
func (n *notification) cloudTrail(e *envelope) error {
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

// eventBridge reads an event of EventBridge: one of S3, whose keys are not
// encoded, a CloudTrail record, or an envelope around another notification.
func (n *notification) eventBridge(e *envelope, depth int) error {
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
		var e envelope
		item.ForEach(func(key, value gjson.Result) bool {
			e.member(key.Str, value)
			return true
		})
		if wrong := n.element(&e, depth); err == nil {
			err = wrong
		}
		return !errors.Is(err, errManyNamed)
	})
	if empty {
		n.ignored = ignoredEmpty
	}
	return err
}

func (n *notification) element(e *envelope, depth int) error {
	switch {
	case e.s3.IsObject():
		name := strings.TrimPrefix(e.name.Str, "s3:") // MinIO writes it
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
