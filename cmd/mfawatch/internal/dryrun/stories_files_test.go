package dryrun

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/route"
)

// A file of CloudTrail holds five minutes, and comes at their end. Read in such
// files, in whatever order and twice, the records of a story need the same alerts
// each time. They are fewer than record by record, since an exposure that is over by
// then is one alert (R32), and a campaign is one with the users of the file; but
// except for a campaign's, each has the ID of one of those, and in the end each
// exposure stands as it does there.
func TestStoriesInFiles(t *testing.T) {
	for _, path := range storyPaths(t) {
		t.Run(storyName(path), func(t *testing.T) {
			_, s := openStory(t, path)
			s.until = s.until.Add(fileTime)
			single, _, err := s.play(false)
			if err != nil {
				t.Fatal(err)
			}
			for i := range s.lines {
				s.lines[i].seen = s.lines[i].seen.Truncate(fileTime).Add(fileTime)
			}
			files, _, err := s.play(false)
			if err != nil {
				t.Fatal(err)
			}
			if back, _, err := s.play(true); err != nil || shown(back) != shown(files) {
				t.Errorf("the other way round, and twice: %v\n%s\nwant\n%s", err, shown(back), shown(files))
			}
			ids := map[string]bool{}
			for _, a := range single {
				ids[a.Alert.ID] = true
			}
			for _, a := range files {
				if a.Alert.Users == nil && !ids[a.Alert.ID] {
					t.Errorf("in files there is an alert of its own: %s", a.show())
				}
			}
			if got, want := outcomes(files), outcomes(single); !slices.Equal(got, want) {
				t.Errorf("in files\n%s\nthe outcomes are\n%s\nrecord by record\n%s\nthey are\n%s", shown(files), strings.Join(got, "\n"), shown(single), strings.Join(want, "\n"))
			}
		})
	}
}

const fileTime = 5 * time.Minute

func shown(all []*Alert) string {
	var b strings.Builder
	for _, a := range all {
		b.WriteString(a.show() + "\n")
	}
	return b.String()
}

// outcomes returns how each exposure stands in the end: its state, its reasons, its
// severity unless a campaign gave it one, and whether humans know that it is open,
// by its own alerts or by those of its campaign.
func outcomes(all []*Alert) (list []string) {
	last, member, heard := map[string]*Alert{}, map[string]string{}, map[string]bool{}
	for _, a := range all {
		if a.Alert.Exposure == nil {
			continue
		}
		x := *a.Alert.Exposure
		heard[x] = heard[x] || slices.ContainsFunc(a.sinks, func(d Delivery) bool { return !d.at.IsZero() && storyKinds[d.sink] != route.Machine })
		if a.Alert.Step != exposure.Escalated {
			last[x] = a
		}
		if a.Alert.Campaign != "" {
			member[x] = a.Alert.Campaign
		} else if slices.Contains(a.Alert.Reasons, exposure.ReasonCampaign) {
			member[x] = x
		}
	}
	campaigns := slices.ContainsFunc(all, func(a *Alert) bool { return a.Alert.Step == exposure.StepCampaign })
	for x, a := range last {
		who := "campaign"
		if a.Alert.User != nil {
			who = *a.Alert.User
		} else if a.Alert.Root {
			who = "root"
		}
		line := a.Alert.Account + " " + who
		switch a.Alert.Step {
		case exposure.Resolved:
			line += " " + *a.Alert.Resolution
		case exposure.Suspect, exposure.Reduced:
			line += " " + string(a.Alert.Step)
		default:
			line += " open"
		}
		if !campaigns {
			line += " " + string(a.Alert.Severity)
		}
		for _, r := range a.Alert.Reasons {
			if r != exposure.ReasonCampaign {
				line += " " + r
			}
		}
		if a.Alert.Step != exposure.Resolved && !heard[x] && !heard[member[x]] {
			line += ", unheard"
		}
		list = append(list, line)
	}
	slices.Sort(list)
	return list
}
