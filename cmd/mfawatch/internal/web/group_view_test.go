package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
)

// A page lists a bounded number of exposures of another replica, and those that it
// sent before it stopped to answer.
func TestOpenExposuresOfAReplica(t *testing.T) {
	for name, tt := range map[string]struct {
		size, fails int // of a page, from which on it fails
		want        int
		says        string
	}{
		"endless":             {maxLimit, 1 << 20, viewPages * maxLimit, "more than 10000 open exposures"},
		"larger than allowed": {maxLimit + 7, 1 << 20, viewPages * maxLimit, "more than 10000 open exposures"},
		"stops to answer":     {10, 3, 30, "the journal is closed"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if asked++; asked > tt.fails {
					http.Error(w, "the journal is closed", http.StatusInternalServerError)
					return
				}
				page := ExposurePage{Next: "more"}
				for i := range tt.size {
					page.Exposures = append(page.Exposures, Exposure{ID: fmt.Sprint(asked, ".", i), State: StateSuspect, OpenedAt: time.Now()})
				}
				_ = json.NewEncoder(w).Encode(page)
			}))
			defer server.Close()
			c, err := NewClient(strings.TrimPrefix(server.URL, "http://"), "")
			if err != nil {
				t.Fatal(err)
			}
			some, err := c.openExposures(t.Context())
			if err != nil || len(some.open) != tt.want || some.cut == nil || !strings.Contains(some.cut.Error(), tt.says) || !some.open[0].Suspect {
				t.Errorf("%d exposures, %v, %v", len(some.open), some.cut, err)
			}
		})
	}
}

// A grouped service has one other replica.
type grouped struct {
	*still
	other string // address
}

func (g grouped) Replicas(context.Context) ([]shard.Replica, error) {
	return []shard.Replica{{Instance: "a", Partitions: []int32{0}}, {Instance: "b", Address: g.other, Partitions: []int32{1}}}, nil
}

// A change that one replica refuses says what the others did, and which one refused
// and why.
func TestChangeThatAReplicaRefuses(t *testing.T) {
	other := func(w http.ResponseWriter) {
		answer(w, nil, refused{http.StatusConflict, "sink gone is no longer in the configuration"})
	}
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { other(w) }))
	t.Cleanup(b.Close)
	s := &still{Registry: prometheus.NewRegistry(), j: newJournal(t)}
	s.config.Journal.Type, s.config.Journal.Shared = config.JournalKafka, shard.Config{Instance: "a", Partitions: 2}
	withDead(t, s.j, 2, "mail")
	g := newBoard(grouped{s, strings.TrimPrefix(b.URL, "http://")}, NewAdmin(s, prometheus.NewRegistry())).group
	g.own = http.NotFoundHandler()
	a := httptest.NewServer(g)
	t.Cleanup(a.Close)
	client, err := NewClient(strings.TrimPrefix(a.URL, "http://"), "")
	if err != nil {
		t.Fatal(err)
	}
	const refusal = "b: sink gone is no longer in the configuration"
	o, err := client.RetryDeadLetters(t.Context(), Selection{All: true})
	if err != nil || o.Done != 2 || !slices.Equal(o.Failed, []string{refusal}) {
		t.Errorf("retry: %+v, %v", o, err)
	}
	// Nothing is left here.
	if o, err = client.DropDeadLetters(t.Context(), Selection{All: true}); err == nil || err.Error() != refusal || o.Done != 0 {
		t.Errorf("drop: %+v, %v", o, err)
	}
	other = func(w http.ResponseWriter) { answer(w, Outcome{Done: 3, Failed: []string{"the disk is full"}}, nil) }
	if o, err = client.DropQuarantine(t.Context(), Selection{All: true}); err != nil || o.Done != 3 || !slices.Equal(o.Failed, []string{"b: the disk is full"}) {
		t.Errorf("drop of the quarantine: %+v, %v", o, err)
	}
}
