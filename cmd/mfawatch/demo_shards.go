package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/demo"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/web"
	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// owners says which replica has which shards.
func owners(shards []web.Shard) string {
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

// movedShards says who has the shards that had another owner before.
func movedShards(before, after []web.Shard) string {
	var all []string
	for i, s := range after {
		if i < len(before) && before[i].Owner != s.Owner {
			all = append(all, fmt.Sprintf("%d %s", s.Partition, s.Owner))
		}
	}
	return strings.Join(all, ", ")
}

// foundAlone returns the exposures that one replica with a journal file at path finds in
// the records.
func foundAlone(ctx context.Context, path string, records [][]byte) (found []web.Exposure, err error) {
	quiet := slog.New(slog.DiscardHandler)
	j, err := journal.Open(path, journal.Options{Logger: quiet})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	p := processor.New(j, processor.Options{Logger: quiet, Policy: exposure.DefaultPolicy()})
	err = p.Handle(ctx, processor.Delivery{Source: "trail", Parts: func(yield func(processor.Part, error) bool) {
		yield(processor.Part{Origin: trail.Place(demo.Topic), Bytes: bytes.Join(records, []byte("\n"))}, nil)
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
