package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
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
