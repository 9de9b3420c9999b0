package trail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// A call is a record without the members that its caller filled in.
type call struct {
	members []string
	watched bool
}

// callsOf makes calls, some of them watched, with their members in any order.
func callsOf(r *rand.Rand) []call {
	calls := make([]call, 1+r.IntN(6))
	for i := range calls {
		source, name := "ec2.amazonaws.com", "DescribeInstances"
		if calls[i].watched = r.IntN(2) == 0; calls[i].watched {
			source, name = SourceIAM, []string{DeactivateMFADevice, EnableMFADevice, DeleteVirtualMFADevice}[r.IntN(3)]
		}
		calls[i].members = []string{
			`"eventVersion":"1.11"`, `"eventTime":"2026-05-01T08:03:11Z"`, `"eventSource":"` + source + `"`, `"eventName":"` + name + `"`,
			fmt.Sprintf(`"eventID":"call-%d"`, i), `"recipientAccountId":"111122223333"`,
			`"userIdentity":{"type":"IAMUser","userName":"alice","accountId":"111122223333"}`,
		}
		if r.IntN(2) == 0 {
			r.Shuffle(len(calls[i].members), func(a, b int) {
				m := calls[i].members
				m[a], m[b] = m[b], m[a]
			})
		}
	}
	return calls
}

// record is the call with what its caller wrote, if anything, among its members.
func (c call) record(r *rand.Rand, values []string) string {
	members := slices.Clone(c.members)
	insert := func(m string) { members = slices.Insert(members, r.IntN(len(members)+1), m) }
	at := func() string { return values[r.IntN(len(values))] }
	key := func() string {
		return []string{"x", "Records", "detail", "message", "eventName", "eventSource", "data", "logEvents", "s3", "eventID", "\\u0065ventName", "@timestamp", "class_uid", "event", "aws"}[r.IntN(15)]
	}
	object := func() string {
		if len(values) == 0 {
			return `{"userName":"bob"}`
		}
		members := []string{`"userName":"bob"`, `"` + key() + `1":` + at(), `"` + key() + `2":[` + at() + "," + at() + `]`, `"map":{"` + key() + `":` + at() + `}`}
		r.Shuffle(len(members), func(a, b int) { members[a], members[b] = members[b], members[a] })
		return "{" + strings.Join(members, ",") + "}"
	}
	insert(`"requestParameters":` + object())
	if len(values) > 0 {
		text := func() string { return quoted(at()) }
		insert(`"userAgent":` + text())
		insert(`"additionalEventData":{"` + key() + `":` + at() + `}`)
		insert(`"responseElements":` + object())
		insert(`"resources":[{"ARN":` + text() + `}]`)
		if !c.watched { // else it would be a failure
			insert(`"errorMessage":` + text())
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

// summary is the events and reasons found.
func (f *found) summary() string {
	var b strings.Builder
	for _, e := range f.events {
		fmt.Fprintf(&b, "%s %s of %s in %s\n", e.ID, e.Name, e.User, e.Account)
	}
	for _, u := range f.unreadable {
		fmt.Fprintf(&b, "unreadable: %s\n", u.Reason)
	}
	return b.String()
}

// callersCannotChange checks that what callers write into records, their own and
// those of others, changes no event that is found, in one envelope or two.
func callersCannotChange(t *testing.T, seed uint64, text string, value []byte) {
	values := []string{quoted(text), quoted(text + string(value))}
	if len(text)+len(value) > 2<<10 {
		return
	}
	compact := func(value []byte) string { // as CloudTrail writes it, on one line
		var b bytes.Buffer
		json.Compact(&b, value)
		return b.String()
	}
	if json.Valid(value) && bytes.Count(value, []byte("["))+bytes.Count(value, []byte("{")) < maxNesting/2 {
		values = append(values, compact(value), quoted(quoted(string(value))))
	}
	r := rand.New(rand.NewPCG(seed, 23))
	if r.IntN(2) == 0 {
		values = append(values, compact(shape(r)))
	}
	var without, with []string
	for _, c := range callsOf(r) {
		without = append(without, c.record(r, nil))
		for range r.IntN(3) { // calls that are denied
			decoy := callsOf(r)[0]
			for decoy.watched {
				decoy = callsOf(r)[0]
			}
			with = append(with, decoy.record(r, values))
		}
		with = append(with, c.record(r, values))
	}
	names := slices.Sorted(maps.Keys(envelopes))
	wrap := envelopes[names[r.IntN(len(names))]]
	again := func(s string) string { return s }
	if r.IntN(3) == 0 {
		outer := envelopes[names[r.IntN(len(names))]]
		again = func(s string) string { return outer([]string{strings.TrimSpace(s)}) }
	}
	if compound := again(wrap([]string{"{}", "{}"})); !json.Valid([]byte(strings.TrimSpace(compound))) {
		again = func(s string) string { return s } // documents in a row fit into none
	}
	var plain, changed, streamed found
	doc := []byte(again(wrap(with)))
	if len(doc) > maxQuoted {
		return // a longer string is reported in a stream, and not read
	}
	s := reused
	s.ScanBytes(Place("x"), []byte(again(wrap(without))), &plain)
	s.ScanBytes(Place("x"), doc, &changed)
	if _, err := s.Scan(Place("x"), bytes.NewReader(doc), &streamed); err != nil {
		t.Fatal(err)
	}
	if done, _ := s.skimmed(doc, 1+r.IntN(300)); done && changed.summary() != "" {
		t.Fatalf("skimmed without %s in %s", changed.summary(), doc)
	}
	if plain.summary() != changed.summary() || plain.summary() != streamed.summary() || len(plain.unreadable) > 0 {
		t.Fatalf("callers changed\n%sinto\n%sas a stream\n%sin %s", plain.summary(), changed.summary(), streamed.summary(), doc)
	}
}

// reused is one Scanner for all inputs, as a service has: it is fast, and nothing
// of one may show in the next.
var reused = NewScanner()

// forgeries are texts that callers may write to be taken for records.
var forgeries = []string{
	``, `{"eventName":"CheckMfa"}`, minimal, `{"Records":[` + minimal + `]}`, `[` + minimal + `,` + minimal + `]`, `{"detail":{"message":` + quoted(minimal) + `}}`,
	`"}]},{"Records":[` + minimal, `\"}`, `{",`, `"},"`, "\n" + minimal + "\n", strings.ReplaceAll(quoted(minimal), `\"`, `\u0022`),
	`{"data":"` + coded(minimal) + `"}`, `{"\u0065ventName":"DeactivateMFADevice","eventSource":5}`, `\u005cu0065ventName\u005c`, coded(gzipOf(minimal)),
	`{"eventName":"CheckMfa","eventTime":"2026-05-01T08:03:11Z"}`, `eventName\":\"CheckMfa\"`, ecs, nested, ocsf, quoted(ecs), `{"class_uid":1,"api":` + minimal + `}`, `[[[{},{"a":{}}]],{"}":"{"}]`,
}

// FuzzCallersCannotChange runs best with -fuzzminimizetime 20x: it is for hours.
func FuzzCallersCannotChange(f *testing.F) {
	for i, a := range forgeries {
		f.Add(uint64(i), a, []byte(forgeries[(i+3)%len(forgeries)]))
		f.Add(uint64(i+100), a, []byte(a))
	}
	f.Fuzz(callersCannotChange)
}

func TestCallersCannotChange(t *testing.T) {
	n := uint64(2000)
	if trailtest.Short() {
		n = 300
	}
	for seed := range n {
		callersCannotChange(t, seed, forgeries[seed%uint64(len(forgeries))], []byte(forgeries[seed/7%uint64(len(forgeries))]))
	}
}
