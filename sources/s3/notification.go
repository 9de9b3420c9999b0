package s3

import (
	"cmp"
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
	other         string
	version, etag string // that were notified; version is empty in a bucket without versions
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
	e.read(v)
	switch kind := e.kind.text(); {
	case e.event.text() == "s3:TestEvent":
		n.ignored = ignoredTest
		return nil
	case kind == "SubscriptionConfirmation", kind == "UnsubscribeConfirmation":
		n.ignored = ignoredSubscription
		return nil
	case e.bucket.begins('"') && e.keys != "":
		return n.cloudTrail(&e)
	case e.detailType.begins('"'):
		return n.eventBridge(&e, depth)
	case e.records.begins('['):
		return n.list(e.records, depth)
	case e.isRecord():
		n.records = true
		return nil
	}
	if inner := cmp.Or(e.message, e.detail, e.body); inner != "" {
		return n.value(inner.parse(), depth+1)
	}
	return errNoNotification
}

// A member is the JSON of a member's value; it is empty where there is none. It is
// small, since each message under way has a stack of its own.
type member string

func (m member) begins(c byte) bool { return m != "" && m[0] == c }

func (m member) parse() gjson.Result { return gjson.Parse(string(m)) }

// text returns what a string means, and nothing of other values.
func (m member) text() string {
	if !m.begins('"') {
		return ""
	}
	return m.parse().Str
}

func (m member) get(path string) string { return gjson.Get(string(m), path).Str }

// An envelope holds the members of a JSON object that identify it. The first of
// two members of one name counts.
type envelope struct {
	kind, message      member // SNS
	event              member // S3's test
	bucket, keys       member // CloudTrail's own
	records            member // S3
	detailType, detail member // EventBridge
	source, name       member // an element of records, or a record
	body               member // of a Lambda function's input
	s3, sns, region    member
}

// read reads the members of an object.
func (e *envelope) read(object gjson.Result) {
	object.ForEach(func(key, value gjson.Result) bool {
		if to := e.member(key.Str); to != nil && *to == "" {
			*to = member(value.Raw)
		}
		return true
	})
}

// member returns where the member of that key belongs; nil if it is of no use.
func (e *envelope) member(key string) *member {
	switch key {
	case "Type":
		return &e.kind
	case "Message":
		return &e.message
	case "Event":
		return &e.event
	case "s3Bucket":
		return &e.bucket
	case "s3ObjectKey":
		return &e.keys
	case "Records":
		return &e.records
	case "detail-type":
		return &e.detailType
	case "detail":
		return &e.detail
	case "eventSource":
		return &e.source
	case "eventName":
		return &e.name
	case "body":
		return &e.body
	case "s3":
		return &e.s3
	case "Sns":
		return &e.sns
	case "awsRegion", "region":
		return &e.region
	}
	return nil
}

// isRecord reports whether e is a CloudTrail record. Notifications of S3 have the
// same members, but no AWS service as their source (R39).
func (e *envelope) isRecord() bool {
	return e.s3 == "" && e.name.begins('"') && strings.HasSuffix(e.source.text(), ".amazonaws.com")
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
	n.objects = append(n.objects, namedObject{Object: bucket.Object{Bucket: name, Key: key, Region: region}, other: other})
	return nil
}

// addObject adds the object that a member of an event describes.
func (n *notification) addObject(name string, object member, key, other, region, version, etag string) error {
	err := n.add(name, key, other, region)
	if err == nil && strings.Contains(string(object), version) {
		last := &n.objects[len(n.objects)-1]
		last.version, last.etag = object.get("object."+version), object.get("object."+etag)
	}
	return err
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
	list := []gjson.Result{e.keys.parse()}
	if e.keys.begins('[') {
		list = list[0].Array()
	}
	if len(list) == 0 {
		n.ignored = ignoredEmpty
	}
	for _, key := range list {
		if err := n.add(e.bucket.text(), key.Str, formDecoded(key.Str), ""); err != nil {
			return err
		}
	}
	return nil
}

// eventBridge reads an event of EventBridge: one of S3, whose keys are not
// encoded, a CloudTrail record, or an envelope around another notification.
func (n *notification) eventBridge(e *envelope, depth int) error {
	object, detailType := gjson.Get(string(e.detail), "object.key"), e.detailType.text()
	switch {
	case detailType == "Object Created" && object.Exists():
		return n.addObject(e.detail.get("bucket.name"), e.detail, object.Str, formDecoded(object.Str), e.region.text(), "version-id", "etag")
	case object.Exists() && strings.HasPrefix(detailType, "Object "):
		n.ignored = ignoredEvent
		return nil
	case strings.HasSuffix(detailType, " via CloudTrail"):
		n.records = true
		return nil
	}
	return n.value(e.detail.parse(), depth+1)
}

// list reads a list named Records: events of S3, envelopes that Lambda makes of
// SNS and SQS, or CloudTrail records. Each element is recognised by itself.
func (n *notification) list(records member, depth int) (err error) {
	empty := true
	records.parse().ForEach(func(_, item gjson.Result) bool {
		empty = false
		if !item.IsObject() {
			err = errNoNotification
			return false
		}
		var e envelope
		e.read(item)
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
	case e.s3.begins('{'):
		name := strings.TrimPrefix(e.name.text(), "s3:") // MinIO writes it
		if !strings.HasPrefix(name, "ObjectCreated:") {
			if name == "" {
				return errNoNotification
			}
			n.ignored = ignoredEvent
			return nil
		}
		key := e.s3.get("object.key")
		return n.addObject(e.s3.get("bucket.name"), e.s3, formDecoded(key), key, e.region.text(), "versionId", "eTag")
	case e.sns.begins('{'):
		return n.value(e.sns.parse(), depth+1)
	case e.isRecord():
		n.records = true
		return nil
	case e.body != "":
		return n.value(e.body.parse(), depth+1)
	}
	return errNoNotification
}
