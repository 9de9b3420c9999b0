package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// Replicated is the introduction with several replicas, a format of the number of
// records and of replicas.
const Replicated = `
mfawatch demo: an hour in AWS account 111122223333, in twelve seconds, with a crash.
One second here is five minutes there.

A Kafka broker runs inside this process. %d CloudTrail records go to its topic cloudtrail. %d replicas,
each a process of its own, read them and share a journal in that broker. The one that follows the
exposure of erin is killed in the middle of it.
`

// Whole is said when nothing is missing; a format of the number of exposures and of
// alerts.
const Whole = `Nothing was lost: one replica alone, which nobody kills, finds the same %d exposures.
Nothing was sent twice: each of the %d alerts is on the topic once, for readers of committed records.
`

// Owners says which replica has which shards.
func Owners(shards []web.Shard) string {
	owned, address := map[string][]string{}, map[string]string{}
	for _, s := range shards {
		owned[s.Owner] = append(owned[s.Owner], fmt.Sprint(s.Partition))
		address[s.Owner] = s.Address
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(owned)) {
		fmt.Fprintf(&b, "%s  http://%s/  shards %s\n", name, address[name], strings.Join(owned[name], ", "))
	}
	return b.String()
}

// Moved says who has the shards that had another owner before.
func Moved(before, after []web.Shard) string {
	var all []string
	for i, s := range after {
		if i < len(before) && before[i].Owner != s.Owner {
			all = append(all, fmt.Sprintf("%d %s", s.Partition, s.Owner))
		}
	}
	return strings.Join(all, ", ")
}

// Alone returns the exposures that one replica with a journal file at path finds in
// the records.
func Alone(ctx context.Context, path string, records [][]byte) (found []web.Exposure, err error) {
	quiet := slog.New(slog.DiscardHandler)
	j, err := journal.Open(path, journal.Options{Logger: quiet})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	p := processor.New(j, processor.Options{Logger: quiet, Policy: exposure.DefaultPolicy()})
	err = p.Handle(ctx, processor.Delivery{Source: "trail", Parts: func(yield func(processor.Part, error) bool) {
		yield(processor.Part{Origin: trail.Place(Topic), Bytes: bytes.Join(records, []byte("\n"))}, nil)
	}})
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.Run(running) }()
	err = j.Idle(ctx)
	stop()
	if err = errors.Join(err, <-ended); err != nil {
		return nil, err
	}
	page, err := web.NewJournalAdmin(j).ListExposures(ctx, web.ExposureFilter{Limit: 1000})
	return page.Exposures, err
}
