package journal

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/alerting"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// cpu returns the time that the process has computed.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// anonymous returns the memory of the process that no file backs, in MB.
func anonymous(t testing.TB) int {
	runtime.GC()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "RssAnon:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb >> 10
}

// oneActor is the number of exposures of one actor.
const oneActor = 30_000

type load struct {
	*testing.B
	j      *Journal
	now    time.Time
	alerts int
}

// take appends and folds, and returns the CPU that it took.
func (l *load) take(events ...*trail.Event) time.Duration {
	l.Helper()
	began := cpu()
	if len(events) > 0 {
		mustAppend(l, l.j, events...)
	}
	l.j.foldTime = 0 // without the pause
	policy := exposure.DefaultPolicy()
	policy.EscalateAfter = nil
	_, err := l.j.Fold(l.Context(), l.now, func(events []*trail.Event, st alerting.State, now time.Time) alerting.Outcome {
		return alerting.Notify(events, st, now, policy)
	}, func(f Folded) { l.alerts += len(f.Alerts) })
	if err != nil {
		l.Fatal(err)
	}
	return cpu() - began
}

// perAlert returns what a further alert of the account costs.
func (l *load) perAlert(account, actor string) (computing, latency time.Duration) {
	const rounds = 20
	began, before := time.Now(), l.alerts
	for i := range rounds {
		e := event(account, fmt.Sprint("victim", l.alerts, i), i)
		e.Time, e.Actor = l.now, trail.Actor{Type: "IAMUser", Name: actor, ARN: "arn:aws:iam::" + account + ":user/" + actor}
		if actor == "" {
			e.Time = start.Add(oneActor * time.Second) // its campaign goes on
			e.Actor = trail.Actor{Type: "AssumedRole", Name: "mallory", ARN: "arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_0/mallory"}
		}
		computing += l.take(e)
	}
	if l.alerts < before+rounds {
		l.Errorf("%d alerts of %d removals", l.alerts-before, rounds)
	}
	return computing / rounds, time.Since(began) / rounds
}

func signIn(account, user string, n int) *trail.Event {
	e, yes := event(account, user, n), true
	e.Source, e.Name, e.Serial, e.Raw, e.MFAUsed = trail.SourceSignin, trail.ConsoleLogin, "", nil, &yes
	e.Actor = trail.Actor{Type: "IAMUser", Name: user, ARN: "arn:aws:iam::" + account + ":user/" + user, SourceIP: "198.51.100.7",
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"}
	return e
}

// BenchmarkBounds fails beyond the bounds of processor/README.md. It is no test,
// since it takes minutes: -benchtime 1x.
//
// Whether the cost of an event grows is measured on two journals in turn, one with
// a fifth of the events and one with four: what else the machine does changes CPU
// time by more than the bound, but about equally for two batches that follow each
// other. The growth is the median of twelve such pairs, so that one pair that was
// disturbed decides nothing.
func BenchmarkBounds(b *testing.B) {
	begin := func(b *testing.B) *load { return &load{B: b, j: temp(b), now: start.Add(20 * 24 * time.Hour)} }
	fill := func(l *load, n, batch int, of func(i int) *trail.Event) {
		for i := 0; i < n; i += batch {
			var events []*trail.Event
			for k := i; k < min(i+batch, n); k++ {
				events = append(events, of(k))
			}
			mustAppend(l, l.j, events...)
			if (i/batch)%10 == 9 {
				l.take()
			}
		}
		l.take()
	}
	check := func(l *load, what, actor string) {
		computing, latency := l.perAlert("1", actor)
		l.Logf("%s: %.1f ms of CPU and %.1f ms an alert", what, computing.Seconds()*1000, latency.Seconds()*1000)
		if computing > 20*time.Millisecond || latency > 100*time.Millisecond {
			l.Errorf("over 20 ms of CPU or 100 ms")
		}
	}
	b.Run("sign-ins", func(b *testing.B) {
		l := begin(b)
		fill(l, 200_000, 5000, func(i int) *trail.Event { return signIn("1", fmt.Sprint("user", i%500), i*8) })
		check(l, "200,000 sign-ins of 500 users", "mallory")
	})
	b.Run("sign-ins of one user", func(b *testing.B) {
		l := begin(b)
		fill(l, 200_000, 5000, func(i int) *trail.Event { return signIn("1", "bob", i*8) })
		check(l, "200,000 sign-ins of one user", "mallory")
		e := event("1", "bob", 0)
		e.Time = l.now
		took := l.take(e)
		l.Logf("an alert of that user: %.1f ms of CPU", took.Seconds()*1000)
	})
	b.Run("open exposures", func(b *testing.B) {
		l := begin(b)
		fill(l, 30_000, 1000, func(i int) *trail.Event {
			e := event("1", fmt.Sprint("user", i), i)
			e.Actor = trail.Actor{Type: "IAMUser", Name: fmt.Sprint("actor", i/2), ARN: fmt.Sprint("arn:aws:iam::1:user/actor", i/2)}
			return e
		})
		check(l, "30,000 open exposures", "mallory")
	})
	b.Run("open exposures by one actor", func(b *testing.B) {
		l := begin(b)
		fill(l, oneActor, 500, func(i int) *trail.Event {
			e := event(fmt.Sprint(i%20), fmt.Sprint("user", i), i)
			e.Actor = trail.Actor{Type: "AssumedRole", Name: "mallory", ARN: "arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_0/mallory"}
			return e
		})
		check(l, "30,000 open exposures by one actor", "")
	})
	b.Run("denied calls on many users", func(b *testing.B) {
		l := begin(b)
		fill(l, oneActor, 1000, func(i int) *trail.Event {
			e := event("1", fmt.Sprint("user", i), i)
			e.ErrorCode, e.Actor = "AccessDenied", trail.Actor{Type: "IAMUser", Name: "mallory", ARN: "arn:aws:iam::1:user/mallory"}
			return e
		})
		check(l, "denied calls by one actor on 30,000 users", "mallory")
	})
	b.Run("denied calls", func(b *testing.B) {
		l := begin(b)
		fill(l, 100_000, 2000, func(i int) *trail.Event {
			e := event("1", "root", i)
			e.ErrorCode, e.Raw = "AccessDenied", []byte(`{"pad":"`+strings.Repeat("x", 2000)+`"}`)
			e.Actor = trail.Actor{Type: "IAMUser", Name: "mallory", ARN: "arn:aws:iam::1:user/mallory"}
			return e
		})
		check(l, "100,000 denied calls", "mallory")
		if mb := anonymous(b); mb > 200 {
			b.Errorf("%d MB of anonymous memory", mb)
		}
	})
	b.Run("500 accounts", func(b *testing.B) {
		const fifth, batch = 60_000, 5000
		add := func(l *load, from int) time.Duration {
			var events []*trail.Event
			for i := from; i < from+batch; i++ {
				account, user := fmt.Sprint(i%500), fmt.Sprint("user", i/500%100)
				e := signIn(account, user, i*5)
				switch i / 500 % 20 {
				case 0:
					e = event(account, user, i*5)
				case 1:
					e = event(account, user, i*5)
					e.Name = trail.EnableMFADevice
				}
				events = append(events, e)
			}
			return l.take(events...)
		}
		second, last := begin(b), begin(b)
		for i := 0; i < fifth; i += batch {
			add(second, i)
		}
		for i := 0; i < 4*fifth; i += batch {
			add(last, i)
		}
		var growth []float64
		for i := 0; i < fifth; i += batch {
			before := add(second, fifth+i)
			growth = append(growth, float64(add(last, 4*fifth+i))/float64(before))
		}
		slices.Sort(growth)
		st, err := last.j.Stats()
		if err != nil {
			b.Fatal(err)
		}
		mb := anonymous(b)
		began := time.Now()
		last.j = reopen(b, last.j)
		restart := time.Since(began)
		bytes, median := st.Bytes/(5*fifth), growth[len(growth)/2]
		b.Logf("300,000 events over 500 accounts: the last fifth takes %.2f times the CPU of the second (%.2f); %d bytes an event, %d MB of anonymous memory, restart in %v",
			median, growth, bytes, mb, restart)
		if median > 1.3 || bytes > 1024 || mb > 200 || restart > 5*time.Second {
			b.Error("over the bounds")
		}
	})
}
