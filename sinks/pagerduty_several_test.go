package sinks

import "testing"

// A service whose key is wrong keeps no other from being paged.
func TestPagerDutyOneOfSeveral(t *testing.T) {
	story := conformStory("bob")
	p, fake, _ := newTestPagerDuty(t, PagerDutyConfig{RoutingKey: pagerFirst, EscalationRoutingKey: pagerSecond})
	wrong := "xyzzynobody000000000000000000009"
	for _, keys := range [][]string{{wrong, pagerSecond}, {pagerSecond, wrong}} {
		sink, err := p.To(keys)
		if err != nil {
			t.Fatal(err)
		}
		fake.refused = wrong
		_, err = sink.Send(t.Context(), story[1], "")
		if v, _ := judge(err); v != permanent {
			t.Errorf("%s: %v", v, err)
		}
		hushed(t, err.Error())
	}
	if got := fake.of(pagerSecond, *story[0].Exposure); len(got) != 1 || len(got[0].log) != 2 {
		t.Errorf("the other service has %+v", got)
	}
}
