package route_test

import (
	"fmt"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/route"
)

var night = time.Date(2026, 5, 4, 22, 0, 0, 0, time.UTC)

func router() *route.Router {
	r, err := route.New([]route.Route{{
		Match:     map[string]any{"account_class": "production"},
		Sinks:     []string{"chat"},
		MuteTimes: []route.MuteTime{{Hours: "20:00-07:00"}},
	}}, map[string]route.Kind{"audit": route.Machine, "chat": route.Reader, "pager": route.Pager},
		map[string]exposure.Account{"111122223333": {Class: "production"}}, time.UTC)
	if err != nil {
		panic(err)
	}
	return r
}

func ExampleRouter_Decide() {
	a := &exposure.Alert{Step: exposure.Opened, Severity: exposure.High, Account: "111122223333"}
	for _, sink := range []string{"audit", "chat", "pager"} {
		d := router().Decide(sink, a, route.Knowledge{}, night)
		fmt.Println(sink, d.Notify, d.Why)
	}
	// Output:
	// audit true machine sinks get every alert
	// chat true routes[0] notifies it after its mute times
	// pager false routes[0] notifies others
}

// A sink with mute times is sent the critical alert immediately, and the rest in
// the morning.
func ExampleQueue() {
	alerts := []*exposure.Alert{
		{ID: "bob", Step: exposure.Opened, Severity: exposure.High, Account: "111122223333"},
		{ID: "eve", Step: exposure.Opened, Severity: exposure.Low, Account: "111122223333"},
		{ID: "root", Step: exposure.Opened, Severity: exposure.Critical, Account: "111122223333", Root: true},
	}
	q := route.NewQueue(route.Sink{
		Name: "chat", Human: true, Router: router(), Rate: 1,
		Alert: func(number uint64) (*exposure.Alert, error) { return alerts[number], nil },
	})
	for n, a := range alerts {
		q.Add(a.ID, route.Pending{Number: uint64(n), Step: a.Step, Severity: a.Severity}, route.Lane{})
	}
	for now := night; ; {
		a, err := q.Next(now)
		switch {
		case err != nil:
			panic(err)
		case a.Verb == route.Hold && a.Until.IsZero():
			return
		case a.Verb == route.Hold:
			now = a.Until
		case a.Verb == route.Send:
			fmt.Println(now.Format("Mon 15:04"), a.Items[0].Lane)
			q.Done(a.Items[0].Lane, len(a.Items))
		}
	}
	// Output:
	// Mon 22:00 root
	// Tue 07:00 bob
	// Tue 07:00 eve
}
