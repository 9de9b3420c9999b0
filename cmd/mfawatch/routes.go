package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/route"
	"github.com/mfawatch/mfawatch/processor/rule"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

func (p *program) routesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "routes [-c FILE]",
		Short: "Show which sinks get which alerts, and which routes have no effect",
		Long: `Show which sinks get which alerts by the routes of a configuration, in their order,
recipients only by their number. Exit code 1 if a route or a severity rule can never
match, a route never alerts a sink, or no route alerts a human sink: each is named.`,
		Example: `  mfawatch routes -c mfawatch.yaml`,
		Args:    noArgument,
	}
	paths := config.AddConfig(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := p.loadConfig(*paths, cmd.Flags())
		if err != nil {
			return err
		}
		if err := c.TryAll(p.sinkDeps(c)); err != nil {
			return err
		}
		router, err := c.Router()
		if err != nil {
			return err
		}
		if err := writeRoutes(p.stdout, c, router); err != nil {
			return err
		}
		found := append(router.Findings(), c.Unreachable()...)
		for _, text := range found {
			fmt.Fprintf(p.stderr, "mfawatch: %s\n", text)
		}
		if len(found) > 0 {
			return errReported
		}
		return nil
	}
	return cmd
}

// writeRoutes writes a line for each route, and the defaults.
func writeRoutes(w io.Writer, c *config.Config, router *route.Router) error {
	kinds := c.Kinds()
	var people, machines, pagers []string
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		switch kinds[name] {
		case route.Machine:
			machines = append(machines, name)
			continue
		case route.Pager:
			pagers = append(pagers, name)
		}
		people = append(people, name)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ROUTE\tMATCHES\tSINKS\tFROM\tMUTED\tTHEN")
	table := c.RouteTable()
	for i, r := range table {
		m, err := rule.Compile(r.Match)
		if err != nil {
			return err
		}
		name, then := fmt.Sprintf("routes[%d]", i), "done"
		if r.Default {
			name = "default"
		} else if r.Continue {
			then = "on"
		}
		from := r.MinSeverity
		if from == "" {
			from = "any"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", name, safetext.Clean(m.String(), 200), routedTo(r, people), from, muteText(r.MuteTimes), then)
	}
	if len(table) == 0 {
		fmt.Fprintf(t, "none\tanything\t%s\tany\t-\tdone\n", named(people))
	} else if router.Rest() {
		fmt.Fprintf(t, "no route\twhat none matches\t%s\tany\t-\tdone\n", named(people))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(machines) > 0 {
		fmt.Fprintf(w, "\n%s sent every alert, unless a route excepts it.\n", areOrIs(machines))
	}
	if len(people) > 0 {
		fmt.Fprintf(w, "%s not sent planned changes, nor each user of a campaign, unless a route matches planned_change or campaign.\n", areOrIs(people))
	}
	if len(pagers) > 0 {
		fmt.Fprintf(w, "%s not sent late alerts, unless they are critical and no other human sink gets them, or a route matches late.\n", areOrIs(pagers))
	}
	_, err := fmt.Fprintln(w, "A sink that was sent an alert of an exposure is sent the rest of it; other human sinks are not sent its end.")
	return err
}

func areOrIs(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return named(names) + " are"
}

func named(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// routedTo returns the human sinks of a route, with the number of recipients, and the
// sinks it excepts.
func routedTo(r route.Route, people []string) string {
	var routed []string
	for _, name := range people {
		if !r.Notifies(name) {
			continue
		}
		if n := len(r.Recipients[name]); n > 0 {
			name += " (" + output.Count(int64(n), "recipient") + ")"
		}
		routed = append(routed, name)
	}
	text := named(routed)
	for _, name := range r.Except {
		if !slices.Contains(people, name) {
			text += ", not " + name
		}
	}
	return text
}

func muteText(quiet []route.MuteTime) string {
	var all []string
	for _, q := range quiet {
		parts := slices.DeleteFunc([]string{strings.Join(q.Days, " "), q.Hours, q.TimeZone}, func(s string) bool { return s == "" })
		if q.Critical {
			parts = append(parts, "critical, too")
		}
		all = append(all, safetext.Clean(strings.Join(parts, " "), 60))
	}
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, "; ")
}
