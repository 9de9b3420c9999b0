package trail

import (
	"bytes"
	"errors"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/mfawatch/mfawatch/processor/trail/escape"
)

var (
	errECS  = errors.New("an ECS document without event.original and flattened request parameters: keep event.original in the pipeline")
	errOCSF = errors.New("an OCSF event without raw_data: keep raw_data in the pipeline")
)

// A marker is a key that every mapped record has: @timestamp in ECS, class_uid in
// OCSF. It is sought by its rare letter.
var markers = [...]struct {
	key  string
	rare int
}{{"@timestamp", 0}, {"class_uid", 5}}

// longestMarker is how long a marker with its quotes is, or less.
const longestMarker = 16

// nextMarker is the quote before the first key in w[from:] that is a marker, in a
// string or not; len(w) if there is none.
func nextMarker(w []byte, n, from int) int {
	m, first := markers[n], from
	for from < len(w) {
		i := bytes.IndexByte(w[from:], m.key[m.rare])
		if i < 0 {
			break
		}
		from += i + 1
		q, end := from-2-m.rare, from-1-m.rare+len(m.key)
		if q >= first && end < len(w) && (w[end] == '"' || w[end] == '\\') && string(w[q+1:end]) == m.key &&
			(w[q] == '"' || bytes.HasSuffix(w[:q+1], escapedQuote)) {
			return q
		}
	}
	return len(w)
}

var escapedQuote = []byte(`\u0022`)

// hasMarker reports whether there is a marker in w[from:].
func hasMarker(w []byte, from int) bool {
	for n := range markers {
		if nextMarker(w, n, from) < len(w) {
			return true
		}
	}
	return false
}

// farApart is how far two names of one document stand apart at least if a mapped
// record is between them: those have 2 KB and more.
const farApart = 2 << 10

// passed notes that the sweep of a document that began as CloudTrail's own has come
// to w[to:], where a name stands or the window ends. Between names that are far
// apart there may be a mapped record.
func (s *Scanner) passed(w []byte, to int, isName bool) {
	from := int(s.looked - s.base)
	s.far = s.far || to-from > farApart
	if s.far {
		s.own = !hasMarker(w[:to], max(0, from-longestMarker))
	}
	if s.far || isName {
		s.looked = s.base + int64(to)
	}
	s.far = s.far && !isName
}

// marker looks at the marker behind w[q]. It returns where to go on from, or that
// it needs more bytes. A string around it is a document of its own, unless the
// sweep has it read already.
func (s *Scanner) marker(w []byte, q int, final bool) (next int, more bool) {
	k := &s.hidden
	if w[q] == '"' && !escape.Escaped(w, q) {
		k.marker(w, q)
		s.report(w, k)
		return q + 1, false
	}
	open, end, ok := k.around(w, q, final)
	switch {
	case !ok:
		return q + 1, false
	case end < 0 && final:
		return len(w), false
	case end < 0:
		return q, true
	case open >= 0 && !s.sweeps(w[open:end+1]):
		k.add(w, isMappedText, open, end+1)
		s.report(w, k)
	}
	return end + 1, false
}

// sweeps reports whether the sweep has the string text read.
func (s *Scanner) sweeps(text []byte) bool {
	plain, inString := s.plain, s.inString
	s.skimming, s.met = true, false
	s.sweep(text, 0, true)
	s.skimming, s.plain, s.inString = false, plain, inString
	return s.met
}

// beginsAsOwn reports whether the document w begins with a record as CloudTrail
// has it, alone or in its list: pipelines that map records do not.
func beginsAsOwn(w []byte) bool {
	w = bytes.TrimPrefix(bytes.TrimPrefix(w, []byte(`{"Records":`)), []byte("["))
	for _, key := range [...]string{"eventVersion", "userIdentity", "awsRegion", "eventID", "eventTime", "eventName", "eventSource"} {
		if len(w) > len(key)+3 && string(w[:2]) == `{"` && string(w[2:len(key)+2]) == key && w[len(key)+2] == '"' {
			return true
		}
	}
	return false
}

// original has the record read that the mapped record b holds as it was: where it
// was never mapped, each member is a document of its own.
func (s *Scanner) original(b []byte, at int) {
	m := mapped{}
	m.read(view(b))
	switch {
	case m.original.Exists():
		s.value(m.original, at)
	case m.name == "":
		gjson.Parse(view(b)).ForEach(func(_, v gjson.Result) bool {
			s.value(v, at)
			return true
		})
	}
}

// value scans a value as a document of its own.
func (s *Scanner) value(v gjson.Result, at int) {
	switch {
	case v.Type == gjson.JSON:
		s.within([]byte(v.Raw), at)
	case v.Type == gjson.String && strings.Contains(v.Str, "{"):
		s.within([]byte(v.Str), at)
	}
}

// mapped puts the mapped record b together, unless it holds its original.
func (s *Scanner) mapped(b []byte, at int) {
	m := &mapped{}
	if nestedTooDeep(b) {
		s.unreadable(at, ReasonTooDeep, errTooDeep, ifWatched(b))
		return
	}
	m.read(view(b))
	if m.original.Exists() || m.name == "" {
		return // which the sweep meets
	}
	s.decoded++
	if !watched([]byte(m.name)) {
		return
	}
	if m.class {
		s.unreadable(at, ReasonOCSF, errOCSF, b)
		return
	}
	if m.names > 1 {
		s.unreadable(at, ReasonECS, errECS, b)
		return
	}
	if m.failure && m.errorCode == "" && m.errorMessage == "" {
		m.errorCode = "failure"
	}
	if t := m.fails(); t != passed && (t != letIn || m.response.IsObject()) {
		if x, ok := s.visitor.(Explainer); ok {
			x.Ignored(m.ignored(t, s.origin))
		}
		return
	}
	if !gjson.ValidBytes(b) || !m.complete() && m.errorCode == "" && m.errorMessage == "" {
		s.unreadable(at, ReasonECS, errECS, b)
		return
	}
	e, err := m.event(b)
	if err != nil {
		s.unreadable(at, ReasonECS, err, b)
		return
	}
	e.Origin = s.origin.String()
	s.visitor.Event(e)
}

// complete reports whether the pipeline kept the members that say whom the call
// concerned, as far as the call has them.
func (m *mapped) complete() bool {
	switch m.name {
	case ConsoleLogin, CheckMfa:
		return m.response.IsObject()
	case SwitchRole:
		return m.identity.kind == "IAMUser" || m.additions.IsObject()
	}
	return m.source == SourceSignin || m.name == ChangePassword || m.parameters.IsObject()
}

// A mapped record is one whose members a pipeline has renamed, to those of the
// Elastic Common Schema (ECS) or of the Open Cybersecurity Schema Framework (OCSF).
type mapped struct {
	record
	original       gjson.Result // the record as it was
	class, failure bool         // it is OCSF; it says that the call failed
}

// read fills m from the object in doc, sharing its memory. Members are read
// nested, with dots in their keys, or both.
func (m *mapped) read(doc string) {
	var path [256]byte
	m.members(path[:0], gjson.Parse(doc))
}

func (m *mapped) members(path []byte, v gjson.Result) {
	v.ForEach(func(key, v gjson.Result) bool {
		if len(path)+len(key.Str) < 128 { // longer than any
			p := append(path, key.Str...)
			if v.IsObject() && isMappedObject(p) {
				m.members(append(p, '.'), v)
			} else {
				m.member(p, v)
			}
		}
		return true
	})
}

// isMappedObject reports whether the members of the object at path are the
// pipeline's: those of others are their caller's.
func isMappedObject(path []byte) bool {
	switch string(path) {
	case "event", "aws", "aws.cloudtrail", "aws.cloudtrail.flattened", "aws.cloudtrail.user_identity",
		"aws.cloudtrail.user_identity.session_context", "aws.cloudtrail.user_identity.session_context.session_issuer",
		"cloud", "cloud.account", "user", "source", "user_agent", "api":
		return true
	}
	return false
}

// member notes the member at path.
func (m *mapped) member(path []byte, v gjson.Result) {
	switch string(path) {
	case "event.original", "raw_data", "message":
		if v.Type == gjson.String && strings.Contains(v.Str, eventName) {
			m.original = v
		}
	case "unmapped":
		if v.Get(eventName).Exists() && v.Get("eventSource").Exists() {
			m.original = v
		}
	case "class_uid":
		m.class = true
	case "event.action", "api.operation":
		if m.names++; m.names == 1 || watched([]byte(v.Str)) {
			m.name = v.Str
		}
	case "event.provider":
		m.source = v.Str
	case "event.id":
		m.id = v.Str
	case "@timestamp":
		m.time = v.Str
	case "event.outcome":
		m.failure = v.Str == "failure"
	case "cloud.region":
		m.region = v.Str
	case "cloud.account.id":
		m.identity.account = v.Str
	case "user.name":
		m.identity.user = v.Str
	case "user.id":
		m.identity.principal = v.Str
	case "source.address":
		m.sourceIP = v.Str
	case "source.ip":
		m.sourceIP = firstOf(m.sourceIP, v.Str)
	case "user_agent.original":
		m.userAgent = v.Str
	default:
		if rest, ok := bytes.CutPrefix(path, []byte("aws.cloudtrail.")); ok {
			m.cloudTrail(string(rest), v)
		}
	}
}

// cloudTrail notes a member of aws.cloudtrail.
func (m *mapped) cloudTrail(path string, v gjson.Result) {
	switch path {
	case "recipient_account_id":
		m.recipient = v.Str
	case "error_code":
		m.errorCode = v.Str
	case "error_message":
		m.errorMessage = v.Str
	case "request_id":
		m.requestID = v.Str
	case "event_category":
		m.category = v.Str
	case "flattened.request_parameters":
		m.parameters = v
	case "flattened.response_elements":
		m.response = v
	case "flattened.additional_eventdata":
		m.additions = v
	case "user_identity.type":
		m.identity.kind = v.Str
	case "user_identity.arn":
		m.identity.arn = v.Str
	case "user_identity.access_key_id":
		m.identity.key = v.Str
	case "user_identity.invoked_by":
		m.identity.invokedBy = v.Str
	case "user_identity.session_context.mfa_authenticated":
		m.identity.mfa = v
	case "user_identity.session_context.session_issuer.arn":
		m.identity.issuerARN = v.Str
		m.identity.issuer = v.Str[strings.LastIndexByte(v.Str, '/')+1:]
	}
}

// ifWatched returns the mapped record b if a watched name is a string in it, else
// nil.
func ifWatched(b []byte) []byte {
	for rest := b; ; {
		_, text, ok := bytes.Cut(rest, []byte(`"`))
		if !ok {
			return nil
		}
		if n := bytes.IndexByte(text[:min(len(text), 64)], '"'); n >= 0 && watched(text[:n]) {
			return b
		}
		rest = text
	}
}
