package alerting

import (
	"fmt"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// The changes before a removal cost what they are: 16 times as many are not 150 times
// as slow.
func TestJ6_CostOfManyChanges(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures")
	}
	cost := func(n int) time.Duration {
		var events []*trail.Event
		for i := range n {
			events = append(events, script(t, fmt.Sprintf("%d attach bob by=mallory detail=p%d id=c%[2]d", i/8, i))...)
		}
		events = append(events, script(t, "3000 deactivate bob serial=A by=mallory id=r")...)
		first := Notify(events, State{}, at(3000), exposure.DefaultPolicy())
		least := time.Hour
		for range 3 {
			begun := cpu(t)
			Notify(events, first.State, at(3001), exposure.DefaultPolicy())
			least = min(least, cpu(t)-begun)
		}
		return least
	}
	if few, many := cost(1000), cost(16000); many > 150*max(few, time.Millisecond) {
		t.Errorf("a thousand changes take %s, 16 thousand %s", few, many)
	}
}
