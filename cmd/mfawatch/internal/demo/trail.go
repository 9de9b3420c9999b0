package demo

import (
	"bytes"
	"context"
	_ "embed" // the trail
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sources"
)

// Lines is the bundled trail: CloudTrail records as JSON lines, in order of
// their eventTime. Accounts, keys and addresses are those set aside for
// documentation.
//
//go:embed trail.jsonl
var Lines []byte

// The topics of the trail and of its alerts.
const (
	Topic       = "cloudtrail"
	AlertsTopic = "mfa-alerts"
)

// quickening is how much faster the trail is published than it happened.
const quickening = 300

// A Record is a record of the bundled trail.
type Record struct {
	json  []byte
	time  time.Time     // eventTime as bundled
	After time.Duration // since the first record, quickened
}

// ReadTrail returns the bundled trail.
func ReadTrail() ([]Record, error) {
	var trail []Record
	for line := range bytes.Lines(Lines) {
		t, err := time.Parse(time.RFC3339, gjson.GetBytes(line, "eventTime").Str)
		if err != nil {
			return nil, fmt.Errorf("the bundled trail, record %d: %w", len(trail)+1, err)
		}
		r := Record{json: bytes.TrimSpace(line), time: t}
		if len(trail) > 0 {
			r.After = t.Sub(trail[0].time) / quickening
		}
		trail = append(trail, r)
	}
	return trail, nil
}

// timestamps are the times in a record that are RFC 3339.
var timestamps = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`) })

// At is the record as it would be if the trail had begun at start and gone on
// as fast as it is published: its times are moved.
func (r *Record) At(start time.Time) []byte {
	return timestamps().ReplaceAllFunc(r.json, func(text []byte) []byte {
		t, err := time.Parse(`"`+time.RFC3339+`"`, string(text))
		if err != nil {
			return text
		}
		moved := start.Add(r.After + t.Sub(r.time)/quickening)
		return moved.UTC().AppendFormat(nil, `"`+time.RFC3339+`"`)
	})
}

// chapters say what happens, before it does.
var chapters = []struct {
	minutes int // into the trail
	text    string
}{
	{0, "carol has a new phone: she enables it, then removes the old one"},
	{10, "bob has lost his phone: alice removes it, he enables another"},
	{20, "mallory tries to remove the device of alice, and may not"},
	{25, "somebody replaces the MFA device of root by a security key"},
	{35, "erin loses her device to a role, and somebody signs in as her"},
	{51, "frank leaves, and his user is taken apart"},
}

// Publish produces the trail, each record at its time, announces the chapters, and
// returns what it published. It begins with a whole second, since that is the
// precision of CloudTrail's times.
func Publish(ctx context.Context, client *kgo.Client, trail []Record, out *Paragraphs) (published [][]byte, err error) {
	start := time.Now().Truncate(time.Second).Add(time.Second)
	next := 0
	for i := range trail {
		r := &trail[i]
		if err := sources.Sleep(ctx, time.Until(start.Add(r.After))); err != nil {
			return nil, err
		}
		if c := chapters; next < len(c) && r.After >= time.Duration(c[next].minutes)*time.Minute/quickening {
			out.Heading(start.Add(r.After).UTC().Format("15:04:05Z") + "  " + c[next].text)
			next++
		}
		published = append(published, r.At(start))
		err := client.ProduceSync(ctx, &kgo.Record{Topic: Topic, Value: published[i]}).FirstErr()
		if err != nil {
			return nil, fmt.Errorf("publish the trail: %w", err)
		}
	}
	return published, nil
}

// ReadAlerts reads all that is on the alerts topic by now.
func ReadAlerts(ctx context.Context, client *kgo.Client, admin *kadm.Client) ([]exposure.Alert, error) {
	ends, err := admin.ListEndOffsets(ctx, AlertsTopic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the end of the alerts topic: %w", err)
	}
	end, _ := ends.Lookup(AlertsTopic, 0)
	var alerts []exposure.Alert
	for next := int64(0); next < end.Offset; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read the alerts topic: %w", err)
		}
		for r := range fetches.RecordsAll() {
			var a exposure.Alert
			if err := json.Unmarshal(r.Value, &a); err != nil {
				return nil, errors.Join(fmt.Errorf("alerts topic, offset %d", r.Offset), err)
			}
			alerts = append(alerts, a)
			next = r.Offset + 1
		}
	}
	return alerts, nil
}
