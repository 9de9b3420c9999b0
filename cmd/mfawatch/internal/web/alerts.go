package web

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mfawatch/mfawatch/processor/journal/outbox"
)

// An AlertPage is a page of the alerts, the newest first.
type AlertPage struct {
	Alerts []ListedAlert `json:"alerts"`
	Next   string        `json:"next,omitempty"` // the value of before for the next page
}

// A ListedAlert is an alert of a list. Its number is its place in its shard.
type ListedAlert struct {
	outbox.Recorded
	Shard *int `json:"shard,omitempty"` // nil: the journal is a file
}

// shard returns the partition, -1 of a file.
func (a ListedAlert) shard() int {
	if a.Shard == nil {
		return -1
	}
	return *a.Shard
}

// A listCursor is how far a list was read: of each shard the number of the last
// alert. A shard that is not in it was not read yet.
type listCursor map[int]uint64

// String returns NUMBER of a file, and SHARD.NUMBER,… of shards.
func (c listCursor) String() string {
	if n, ok := c[-1]; ok {
		return strconv.FormatUint(n, 10)
	}
	var all []string
	for _, p := range slices.Sorted(maps.Keys(c)) {
		all = append(all, fmt.Sprintf("%d.%d", p, c[p]))
	}
	return strings.Join(all, ",")
}

func parseListCursor(text string) (listCursor, error) {
	c := listCursor{}
	if text == "" {
		return c, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		shard, number, ok := strings.Cut(part, ".")
		p, err := -1, error(nil)
		if ok {
			p, err = strconv.Atoi(shard)
		} else {
			number = part
		}
		n, wrong := strconv.ParseUint(number, 10, 64)
		if err != nil || wrong != nil || n == 0 || ok != (p >= 0) {
			return nil, refused{http.StatusBadRequest, "before: want the value of next in the page before"}
		}
		c[p] = n
	}
	return c, nil
}

// ListAlerts returns a page of the alerts before a cursor, "": the newest.
func (a *Admin) ListAlerts(_ context.Context, before string, limit int) (AlertPage, error) {
	cursor, err := parseListCursor(before)
	if err != nil {
		return AlertPage{}, err
	}
	limit = cmp.Or(limit, defaultLimit)
	var lists [][]ListedAlert
	for partition, j := range a.numbered {
		some, err := j.Latest(cursor[partition], limit)
		if err != nil {
			return AlertPage{}, err
		}
		list := make([]ListedAlert, 0, len(some))
		for _, r := range some {
			x := ListedAlert{Recorded: r}
			if partition >= 0 {
				x.Shard = &partition
			}
			list = append(list, x)
		}
		lists = append(lists, list)
	}
	return mergeAlerts(cursor, lists, limit), nil
}

// mergeAlerts makes a page of the lists of several shards. Within a shard alerts
// stay in their order, so that a page leaves none out.
func mergeAlerts(cursor listCursor, lists [][]ListedAlert, limit int) AlertPage {
	page := AlertPage{Alerts: []ListedAlert{}}
	for len(page.Alerts) < limit {
		newest := -1
		for i, list := range lists {
			if len(list) > 0 && (newest < 0 || list[0].Alert.Time.After(lists[newest][0].Alert.Time)) {
				newest = i
			}
		}
		if newest < 0 {
			return page
		}
		x := lists[newest][0]
		lists[newest] = lists[newest][1:]
		cursor[x.shard()] = x.Number
		page.Alerts = append(page.Alerts, x)
	}
	page.Next = cursor.String()
	return page
}

// ListAlerts is Admin.ListAlerts over HTTP.
func (c *Client) ListAlerts(ctx context.Context, before string, limit int) (page AlertPage, err error) {
	q := url.Values{}
	if before != "" {
		q.Set("before", before)
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return page, c.call(ctx, http.MethodGet, alertsPath, q, nil, &page)
}
