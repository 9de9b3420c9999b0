// Command grafana writes the dashboard, mfawatch.json beside it, on Grafana's
// published schema: go run . > mfawatch.json
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	board, err := build()
	if err == nil {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", " ")
		out.SetEscapeHTML(false)
		err = out.Encode(board)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "grafana:", err)
		os.Exit(1)
	}
}

const title = "mfawatch"

// build makes the dashboard of rows.
func build() (dashboard.Dashboard, error) {
	b := dashboard.NewDashboardBuilder(title).
		Uid("mfawatch").
		Description("MFA devices being deactivated: who is exposed, who was notified, and the health of mfawatch.").
		Tags([]string{"mfawatch", "security"}).
		Editable().
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Time("now-24h", "now").
		Refresh("1m").
		Timezone("browser").
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus")).
		WithVariable(variable("job", "Job", "label_values(mfawatch_build_info, job)")).
		WithVariable(variable("instance", "Instance", `label_values(mfawatch_build_info{job=~"$job"}, instance)`)).
		WithVariable(variable("account", "Account", `label_values(mfawatch_account_open_exposures{job=~"$job"}, account)`)).
		WithVariable(variable("sink", "Sink", `label_values(mfawatch_sink_pending{job=~"$job"}, sink)`))
	for _, r := range rows {
		b = b.WithRow(dashboard.NewRowBuilder(r.title))
		for _, p := range r.panels {
			b = b.WithPanel(p.build())
		}
	}
	for _, r := range collapsed {
		row := dashboard.NewRowBuilder(r.title).Collapsed(true)
		for _, p := range r.panels {
			row = row.WithPanel(p.build())
		}
		b = b.WithRow(row)
	}
	return b.Build()
}

func source() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}
}

func variable(name, label, query string) *dashboard.QueryVariableBuilder {
	return dashboard.NewQueryVariableBuilder(name).
		Label(label).
		Datasource(source()).
		Query(dashboard.StringOrMap{String: &query}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalAsc).
		Multi(true).
		IncludeAll(true).
		AllValue(".*").
		Current(dashboard.VariableOption{
			Selected: cog.ToPtr(true),
			Text:     dashboard.StringOrArrayOfString{String: cog.ToPtr("All")},
			Value:    dashboard.StringOrArrayOfString{String: cog.ToPtr("$__all")},
		})
}

// A row is a group of panels about one question.
type row struct {
	title  string
	panels []panel
}

// A panel shows queries in one unit: as a number where it is one, else over
// time.
type panel struct {
	title, about string
	unit         string
	number       bool
	width        uint32    // of 24
	limits       []float64 // a number turns yellow at the first and red at the last
	stacked      bool
	sparse       bool // points, since most intervals have none
	queries      []query
}

// A query is an expression, in which SELF stands for the labels that the
// variables choose, and what its series are called.
type query struct{ expr, legend string }

// self is part of every selector.
const self = `job=~"$job",instance=~"$instance"`

func (p panel) build() cog.Builder[dashboard.Panel] {
	var targets []cog.Builder[variants.Dataquery]
	for i, q := range p.queries {
		d := prometheus.NewDataqueryBuilder().
			Datasource(source()).
			RefId(string(rune('A' + i))).
			Expr(strings.ReplaceAll(q.expr, "SELF", self)).
			LegendFormat(q.legend)
		if p.number {
			d = d.Instant()
		} else {
			d = d.Range()
		}
		targets = append(targets, d)
	}
	if p.number {
		return stat.NewPanelBuilder().
			Title(p.title).Description(p.about).Datasource(source()).Unit(p.unit).Span(p.width).Height(4).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
			ColorMode(common.BigValueColorModeValue).
			GraphMode(common.BigValueGraphModeNone).
			Thresholds(p.thresholds()).
			Targets(targets)
	}
	b := timeseries.NewPanelBuilder().
		Title(p.title).Description(p.about).Datasource(source()).Unit(p.unit).Span(p.width).Height(8).
		Min(0).FillOpacity(10).LineWidth(1).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Targets(targets)
	if p.sparse {
		b = b.DrawStyle(common.GraphDrawStylePoints).PointSize(6).ShowPoints(common.VisibilityModeAlways)
	}
	if p.stacked {
		b = b.Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal)).FillOpacity(40)
	}
	return b
}

func (p panel) thresholds() *dashboard.ThresholdsConfigBuilder {
	steps := []dashboard.Threshold{{Color: "green"}}
	colors := []string{"yellow", "red"}[2-min(2, len(p.limits)):]
	for i, limit := range p.limits {
		steps = append(steps, dashboard.Threshold{Value: &limit, Color: colors[i]})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}
