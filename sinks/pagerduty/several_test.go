package pagerduty

import (
	"testing"

	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// A service whose key is wrong keeps no other from being paged.
func TestOneOfSeveral(t *testing.T) {
	story := sinktest.Story("bob")
	p, fake, _ := newTestSink(t, Config{RoutingKey: firstKey, EscalationRoutingKey: secondKey})
	wrong := "xyzzynobody000000000000000000009"
	for _, keys := range [][]string{{wrong, secondKey}, {secondKey, wrong}} {
		sink, err := p.To(keys)
		if err != nil {
			t.Fatal(err)
		}
		fake.refused = wrong
		_, err = sink.Send(t.Context(), story[1], "")
		if v, _ := sinks.VerdictOf(err); v != sinks.VerdictPermanent {
			t.Errorf("%s: %v", v, err)
		}
		sinktest.Hushed(t, err.Error())
	}
	if got := fake.of(secondKey, *story[0].Exposure); len(got) != 1 || len(got[0].log) != 2 {
		t.Errorf("the other service has %+v", got)
	}
}
