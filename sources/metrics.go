package sources

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Counters counts the deliveries of one source. Every source of a process
// registers the same metrics; the label source distinguishes them.
type Counters struct {
	Acked   prometheus.Counter // deliveries that the handler acknowledged
	Failed  prometheus.Counter // deliveries that the handler refused; they are offered again
	Retries prometheus.Counter // deliveries offered again
}

// NewCounters returns the counters of the source called name, at zero.
func NewCounters(name string, reg prometheus.Registerer) *Counters {
	deliveries := Registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mfawatch_source_deliveries_total",
		Help: "Deliveries offered, by result: acked, or failed and offered again later.",
	}, []string{"source", "result"}))
	return &Counters{
		Acked:  deliveries.WithLabelValues(name, "acked"),
		Failed: deliveries.WithLabelValues(name, "failed"),
		Retries: Registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mfawatch_source_retries_total",
			Help: "Deliveries offered again after they had failed.",
		}, []string{"source"})).WithLabelValues(name),
	}
}

// Delivered counts one delivery, whose handler returned err.
func (c *Counters) Delivered(err error) {
	if err != nil {
		c.Failed.Inc()
		return
	}
	c.Acked.Inc()
}

// Registered registers c. If another source has registered a collector of the
// same name before, Registered returns that one. A nil Registerer registers
// nothing.
func Registered[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	if err := reg.Register(c); err != nil {
		var are prometheus.AlreadyRegisteredError
		if errors.As(err, &are) {
			if existing, ok := are.ExistingCollector.(C); ok {
				return existing
			}
		}
		panic(err) // a name used for two things: a mistake in the program
	}
	return c
}
