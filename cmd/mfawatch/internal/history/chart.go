package history

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
)

// The size of a chart, in its own units: two for each step.
const (
	chartWidth  = 2 * StepCount
	chartHeight = 64
)

// A Chart draws values of the last hours.
type Chart struct {
	Title, Text string
	Top         string // the value at the upper edge
	From, To    string
	Lines       []Line // the most important last
}

// A Line is a path in the form of SVG and the class of its style.
type Line struct{ Class, Path string }

// Charts draws the steps as of the end of the last one, with times in the locale;
// none before that.
func Charts(steps []Step, locale output.Locale) []Chart {
	if len(steps) == 0 {
		return nil
	}
	end := steps[len(steps)-1].End
	records := func(s Step) float64 { return s.Records }
	p50, p99 := func(s Step) float64 { return s.P50 }, func(s Step) float64 { return s.P99 }
	top := func(of func(Step) float64) (most float64) {
		for _, s := range steps {
			if v := of(s); v > most {
				most = v
			}
		}
		return most
	}
	last := steps[len(steps)-1]
	most := top(records)
	read := Chart{Title: "Records read", Text: "now " + Rate(last.Records), Top: Rate(most),
		Lines: []Line{{"p99", path(steps, end, most, records)}}}
	slowest := top(p99)
	took := Chart{Title: "Latency of deliveries", Text: "none in this time", Lines: []Line{{"p50", path(steps, end, slowest, p50)}, {"p99", path(steps, end, slowest, p99)}}}
	if slowest > 0 {
		took.Text, took.Top = "99 %; fainter: 50 %", Seconds(slowest)
	}
	all := []Chart{read, took}
	for i := range all {
		all[i].From, all[i].To = locale.In(end.Add(-StepCount*StepTime)).Format("15:04"), locale.In(end).Format("15:04 MST")
	}
	return all
}

// path draws a line through the steps that have a value. It is broken where there
// is none, and a step that stands alone is a dot.
func path(steps []Step, end time.Time, most float64, of func(Step) float64) string {
	var b strings.Builder
	down := false
	var at time.Time
	for _, s := range steps {
		x := chartWidth - int(math.Round(2*end.Sub(s.End).Minutes()))
		v := of(s)
		if math.IsNaN(v) || x < 0 {
			down = false
			continue
		}
		y := chartHeight
		if most > 0 {
			y -= int(math.Round(v / most * (chartHeight - 2)))
		}
		verb := "L"
		if !down || s.End.Sub(at) > 2*StepTime {
			verb = "M"
		}
		b.WriteString(verb + strconv.Itoa(x) + " " + strconv.Itoa(y))
		if verb == "M" {
			b.WriteString("h0") // with round ends: a dot
		}
		down, at = true, s.End
	}
	return b.String()
}

// Rate returns a number a second with about two digits.
func Rate(perSecond float64) string { return round(perSecond) + "/s" }

// Seconds returns a time with about two digits.
func Seconds(s float64) string {
	if s < 1 {
		return round(1000*s) + " ms"
	}
	if s < 120 {
		return round(s) + " s"
	}
	return round(s/60) + " min"
}

// round returns a number with about two digits that count.
func round(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
}
