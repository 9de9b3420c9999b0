package trail

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// An oracle finds the watched records of a document the slow way, by
// encoding/json alone: what the sweep finds is held against it.
type oracle struct {
	ids       []string // eventIDs of the records that matter, in their order
	ambiguous int
	unsure    bool // something lies within that only the scanner's rules can settle
}

type member struct {
	key   string
	value any
}

// parse reads one JSON value with its members in order, doubled ones too.
func parse(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		var object []member
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			value, err := parse(d, depth+1)
			if err != nil {
				return nil, err
			}
			object = append(object, member{key.(string), value})
		}
		_, err = d.Token()
		return object, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			value, err := parse(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = d.Token()
		return list, err
	}
	if depth > maxNesting-10 {
		return nil, fmt.Errorf("deep")
	}
	return t, nil
}

func (o *oracle) document(doc string, depth int) {
	if !json.Valid([]byte(doc)) || depth >= maxDepth {
		o.unsure = o.unsure || strings.Contains(doc, "ventName") || strings.Contains(doc, `\u00`)
		return
	}
	v, err := parse(json.NewDecoder(strings.NewReader(doc)), 0)
	if err != nil {
		o.unsure = true
		return
	}
	o.value(v, depth)
}

func (o *oracle) value(v any, depth int) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			o.value(e, depth)
		}
	case string:
		if t := strings.TrimSpace(v); strings.HasPrefix(t, "{") || strings.HasPrefix(t, "[") || strings.HasPrefix(t, `"`) {
			o.document(t, depth+1)
		} else if strings.Contains(v, "ventName") || isBase64([]byte(v)) {
			o.unsure = true // text that is no JSON, or base64: for the tests by hand
		}
	case []member:
		o.object(v, depth)
	}
}

func (o *oracle) object(members []member, depth int) {
	var names, sources []string
	get := func(key string) any {
		for _, m := range slices.Backward(members) { // the last one counts
			if m.key == key {
				return m.value
			}
		}
		return nil
	}
	has := func(key string) bool {
		return slices.ContainsFunc(members, func(m member) bool { return m.key == key })
	}
	str := func(key string) string { s, _ := get(key).(string); return s }
	for _, m := range members {
		s, _ := m.value.(string)
		switch m.key {
		case "eventName":
			names = append(names, s)
		case "eventSource":
			sources = append(sources, s)
		}
	}
	present := func(key string) bool { v := get(key); return v != nil && v != "" }
	dated := (present("eventID") || present("eventTime")) && !has("s3")
	if (len(names) > 1 || len(sources) > 1) && slices.ContainsFunc(sources, func(s string) bool { return strings.HasPrefix(s, "aws:") }) {
		o.unsure = true // Lambda's item or a record? It says both
		return
	}
	isWatched := slices.ContainsFunc(names, func(n string) bool { return watched([]byte(n)) })
	if isWatched && (len(names) > 1 || len(sources) > 1) {
		if dated {
			o.ambiguous++
		}
		return
	}
	if len(names) > 0 && len(sources) > 0 && !strings.HasPrefix(sources[0], "aws:") {
		if dated && sources[0] == SourceIAM && names[0] == DeactivateMFADevice {
			o.ids = append(o.ids, str("eventID"))
		}
		return // what a record holds is the caller's own
	}
	for _, m := range members {
		o.value(m.value, depth)
	}
}

// check holds a scan of doc against the oracle. Of watched events only
// DeactivateMFADevice is compared: what the others depend on has its own tests.
func check(t *testing.T, doc []byte) {
	t.Helper()
	var whole, streamed found
	s := NewScanner()
	s.ScanBytes(Place("fuzz"), doc, &whole)
	s.Scan(Place("fuzz"), bytes.NewReader(doc), &streamed)
	if a, b := whole.names(), streamed.names(); a != b {
		t.Fatalf("in memory %q, as a stream %q, in %q", a, b, doc)
	}
	var o oracle
	if len(doc) > 4<<10 || !json.Valid(doc) {
		return
	}
	o.document(strings.TrimSpace(string(doc)), 0)
	if o.unsure {
		return
	}
	var ids []string
	ambiguous := 0
	for _, e := range whole.events {
		if e.Name == DeactivateMFADevice {
			ids = append(ids, e.ID)
		}
	}
	for _, u := range whole.unreadable {
		switch u.Reason {
		case ReasonAmbiguous:
			ambiguous++
		case ReasonRecord: // no time or no account: found, but not an Event
			if errors.Is(u.Err, errNoSource) || errors.Is(u.Err, errSource) {
				continue // no record to the oracle
			}
			var r struct{ EventID string }
			json.Unmarshal(u.Raw, &r)
			ids = append(ids, r.EventID)
		case ReasonTooDeep:
			return
		}
	}
	want := slices.Clone(o.ids)
	for i := range want {
		want[i] = text(want[i])
		if want[i] == "" && i < len(ids) { // named by a hash, or by nothing
			want[i] = ids[i]
		}
	}
	if !slices.Equal(ids, want) || ambiguous != o.ambiguous {
		t.Fatalf("found %q and %d ambiguous, want %q and %d, in %s", ids, ambiguous, want, o.ambiguous, doc)
	}
}

func FuzzScan(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(shape(rand.New(rand.NewPCG(seed, 7))))
	}
	f.Add([]byte(`{"Records":[{"eventSource":"iam.amazonaws.com","eventName":"DeactivateMFADevice","eventID":"e","eventTime":"2026-05-01T08:03:11Z","recipientAccountId":"1"}]}`))
	f.Add([]byte(`{"a":"{\"eventName\":\"DeactivateMFADevice\",\"eventSource\":\"iam.amazonaws.com\",\"eventID\":\"e\"}"}`))
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00"))
	f.Add([]byte(`{"\u0065ventName" : "\u0044eactivateMFADevice","eventSource":"iam.amazonaws.com","eventID":"e"}`))
	f.Add([]byte(`{"Records":[{"kinesis":{"data":"eyJhIjoxfQ=="},"eventSource":"aws:kinesis","eventName":"aws:kinesis:record"}]}`))
	f.Fuzz(check)
}

// TestShapes is the same over documents that are made to be difficult.
func TestShapes(t *testing.T) {
	n := uint64(20000)
	if trailtest.Short() {
		n = 2000
	}
	for seed := range n {
		check(t, shape(rand.New(rand.NewPCG(seed, 11))))
	}
}

// shape makes a valid JSON document of records, look-alikes and wrappers.
func shape(r *rand.Rand) []byte {
	var b strings.Builder
	shapeValue(r, &b, 3)
	return []byte(b.String())
}

func shapeValue(r *rand.Rand, b *strings.Builder, depth int) {
	space := func() { b.WriteString([]string{"", "", "", " ", "\n", "\t\r\n"}[r.IntN(6)]) }
	quote := func(s string) {
		b.WriteByte('"')
		for _, c := range []byte(s) {
			switch {
			case c == '"' && r.IntN(3) == 0, r.IntN(60) == 0:
				fmt.Fprintf(b, []string{`\u%04x`, `\u%04X`}[r.IntN(2)], c)
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c == '\n':
				b.WriteString(`\n`)
			case c == '\t':
				b.WriteString(`\t`)
			case c == '\r':
				b.WriteString(`\r`)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('"')
	}
	key := func(k string) { space(); quote(k); space(); b.WriteByte(':'); space() }
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	word := func() string {
		return pick("x", "DeactivateMFADevice", "eventName", `"eventName":"DeactivateMFADevice"`, `\`, `a\"b`, "}{][", "é\u2028", "iam.amazonaws.com",
			`{"eventSource":"iam.amazonaws.com","eventName":"DeactivateMFADevice","eventID":"forged"}`)
	}
	wrapped := func() { // a document as a string
		var in strings.Builder
		shapeValue(r, &in, depth-1)
		quote(in.String())
	}
	if depth <= 0 {
		quote(word())
		return
	}
	switch n := r.IntN(10); {
	case n < 5: // something like a record
		members := []func(){
			func() {
				key("eventName")
				quote(pick("DeactivateMFADevice", "DeactivateMFADevice", "GetUser", "deactivatemfadevice", "aws:kinesis:record"))
			},
			func() {
				key("eventSource")
				quote(pick("iam.amazonaws.com", "iam.amazonaws.com", "sso.amazonaws.com", "aws:s3"))
			},
			func() { key("eventID"); quote(fmt.Sprint("id-", r.IntN(1000))) },
			func() { key("userAgent"); quote(word()) },
			func() { key("requestParameters"); shapeValue(r, b, depth-1) },
			func() { key("readOnly"); b.WriteString(pick("true", "null", "1.5e3")) },
		}
		if r.IntN(6) == 0 {
			members = append(members, members[r.IntN(len(members))])
		}
		if r.IntN(12) == 0 {
			members = append(members, func() { key("s3"); b.WriteString("{}") })
		}
		if r.IntN(8) == 0 {
			members = members[1:]
		}
		r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		b.WriteByte('{')
		for i, m := range members {
			if i > 0 {
				b.WriteByte(',')
			}
			m()
		}
		space()
		b.WriteByte('}')
	case n < 7: // a list
		b.WriteByte('[')
		for i := range r.IntN(4) {
			if i > 0 {
				b.WriteByte(',')
			}
			space()
			shapeValue(r, b, depth-1)
			space()
		}
		b.WriteByte(']')
	case n < 8:
		wrapped()
	default: // a wrapper
		b.WriteByte('{')
		for i := range 1 + r.IntN(3) {
			if i > 0 {
				b.WriteByte(',')
			}
			key(pick("Records", "detail", "Message", "message", "whatever", "requestParameters", "data"))
			shapeValue(r, b, depth-1)
		}
		b.WriteByte('}')
	}
}

// FuzzUnwrap wraps a document in envelopes around each other: the record comes
// out once, whatever they are (R37).
func FuzzUnwrap(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6}, []byte("x"))
	f.Add([]byte{6, 6, 2}, []byte(`"\`))
	f.Fuzz(func(t *testing.T, path, noise []byte) {
		doc := []byte(minimal)
		if len(path) > maxDepth-2 {
			path = path[:maxDepth-2]
		}
		text, _ := json.Marshal(strings.ReplaceAll(string(noise), "ventName", ""))
		if len(text) > 1000 {
			return
		}
		escaped := func() []byte { s, _ := json.Marshal(string(doc)); return s }
		opaque := false // base64 is only looked into where nothing shows
		for _, p := range path {
			switch p % 7 {
			case 0:
				doc = fmt.Appendf(nil, `{"Records":[%s]}`, doc)
			case 1:
				doc = fmt.Appendf(nil, `{"noise":%s,"detail":%s}`, text, doc)
			case 2:
				doc = fmt.Appendf(nil, `{"message":%s,"noise":%s}`, escaped(), text)
			case 3:
				doc = fmt.Appendf(nil, `[%s,%s]`, text, doc)
			case 4:
				doc = fmt.Appendf(nil, `{"payload":%s}`, doc)
			case 5:
				doc = fmt.Appendf(nil, " %s\r\n", doc)
			case 6:
				if opaque {
					continue
				}
				doc = fmt.Appendf(nil, `{"records":[{"data":%q}]}`, base64.StdEncoding.EncodeToString(bytes.TrimSpace(doc)))
				opaque = true
			}
			if opaque && p%7 == 2 {
				return // base64 inside an escaped string shows nothing to go by
			}
		}
		var v found
		NewScanner().ScanBytes(Place("fuzz"), doc, &v)
		if v.names() != "DeactivateMFADevice:bob" {
			t.Fatalf("found %q (%s) in %s", v.names(), v.reasons(), doc)
		}
	})
}

// minimal is a record with no more than it needs.
const minimal = `{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","userName":"alice","arn":"arn:aws:iam::111122223333:user/alice","accountId":"111122223333"},` +
	`"eventTime":"2026-05-01T08:03:11Z","eventSource":"iam.amazonaws.com","eventName":"DeactivateMFADevice","awsRegion":"us-east-1",` +
	`"requestParameters":{"userName":"bob","serialNumber":"arn:aws:iam::111122223333:mfa/bob-phone"},"responseElements":null,"eventID":"e-1"}`

// FuzzEvent feeds the parser single records.
func FuzzEvent(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(`{"eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","eventTime":"2026-05-01T08:03:11Z","userIdentity":{"type":"Root","accountId":"1"},"responseElements":{"ConsoleLogin":"Success"},"additionalEventData":{"MFAUsed":"No"}}`))
	f.Add([]byte(`{"eventSource":"iam.amazonaws.com","eventName":"DeactivateMFADevice","eventTime":"2026-05-01T08:03:11Z","recipientAccountId":"1","errorCode":"AccessDenied","errorMessage":"User: x is not authorized to perform: iam:DeactivateMFADevice on resource: user bob because","requestParameters":null}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		var v found
		NewScanner().ScanBytes(Place("fuzz"), doc, &v)
		for _, e := range v.events {
			if e.ID == "" || e.Account == "" || e.Partition == "" || e.Time.IsZero() || e.Name == "" || e.Source == "" {
				t.Fatalf("event lacks what it must have: %+v", e)
			}
			if _, err := json.Marshal(e); err != nil {
				t.Fatalf("event does not encode: %v", err)
			}
			if len(e.Actor.UserAgent) > 3*maxText || len(e.ErrorMessage) > 3*maxText || len(e.User) > 3*maxText {
				t.Fatalf("text over its bound")
			}
		}
	})
}
