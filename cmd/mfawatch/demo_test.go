package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/demo"
	"github.com/mfawatch/mfawatch/processor/exposure"
)

// The demo with replicas does not say that all is well when an alert came twice.
func TestDemoNoticesWhatCameTwice(t *testing.T) {
	for _, f := range []struct {
		ids  []string
		want string
	}{{[]string{"a", "b"}, ""}, {[]string{"a", "b", "a"}, "alert a came twice"}} {
		var out bytes.Buffer
		d := &replicasDemo{out: demo.NewParagraphs(&out, false)}
		for _, id := range f.ids {
			d.alerts = append(d.alerts, exposure.Alert{ID: id})
		}
		err := d.tally(1, nil)
		if f.want == "" && (err != nil || !strings.Contains(out.String(), "Nothing was sent twice")) {
			t.Errorf("%v: %v", f.ids, err)
		}
		if f.want != "" && (err == nil || err.Error() != f.want || strings.Contains(out.String(), "Nothing")) {
			t.Errorf("%v: %v\n%s", f.ids, err, &out)
		}
	}
}
