package bucket

import (
	"context"
	"slices"
	"strings"
	"time"
)

// A level is the kind of a folder in CloudTrail's tree.
type level int

const (
	levelOutside      level = iota
	levelRoot               // AWSLogs/
	levelOrganization       // AWSLogs/o-…/
	levelAccount
	levelTrail  // CloudTrail/ of an account
	levelRegion // and the years, months and days in it
)

// levelOf returns the level of a folder, by its end. region is the folder of the
// Region that the folder is or lies in.
func levelOf(folder string) (l level, region string) {
	rest, name := lastFolder(folder)
	above := func() level { l, _ := levelOf(rest); return l }
	switch {
	case name == "AWSLogs":
		return levelRoot, ""
	case isOrganization(name) && above() == levelRoot:
		return levelOrganization, ""
	case IsAccount(name) && (above() == levelRoot || above() == levelOrganization):
		return levelAccount, ""
	case name == "CloudTrail" && above() == levelAccount:
		return levelTrail, ""
	case IsRegion(name) && above() == levelTrail:
		return levelRegion, folder
	case (len(name) == 4 || len(name) == 2) && onlyDigits(name):
		if l, region := levelOf(rest); l == levelRegion {
			depth := strings.Count(folder[len(region):], "/")
			if (len(name) == 4) == (depth == 1) && depth <= 3 {
				return levelRegion, region
			}
		}
	}
	return levelOutside, ""
}

// Outside a tree of CloudTrail, trees are searched for outsideDepth folders deep, in
// folders with at most outsideFolders others in them. A folder with more is another
// kind of store, and listed as it is.
const (
	outsideDepth   = 3
	outsideFolders = 100
)

// start lists the place that was asked for.
func (w *lister) start(prefix string) task {
	if prefix == "" || strings.HasSuffix(prefix, "/") {
		return w.folder(prefix, outsideDepth)
	}
	return func(ctx context.Context) error {
		p, err := w.all(ctx, prefix, 0)
		if err != nil {
			return err
		}
		if exact := prefix + "/"; slices.Contains(p.folders, exact) {
			p.folders = []string{exact}
			p.objects = slices.DeleteFunc(p.objects, func(l Listed) bool { return l.Key != prefix })
		}
		w.found(p.objects)
		for _, f := range p.folders {
			w.push(w.folder(f, outsideDepth))
		}
		return nil
	}
}

// folder lists what is in a folder, and pushes what is below it.
func (w *lister) folder(folder string, depth int) task {
	l, region := levelOf(folder)
	switch {
	case l == levelRegion:
		return w.region(folder, region)
	case l == levelOutside && (depth <= 0 || another(folder)):
		return w.flat(folder)
	}
	return func(ctx context.Context) error {
		limit := 0
		if l == levelOutside {
			limit = outsideFolders
		}
		p, err := w.all(ctx, folder, limit)
		if err != nil {
			return err
		}
		if p.more != "" { // over the limit
			w.push(w.flat(folder))
			return nil
		}
		w.found(p.objects)
		for _, f := range p.folders {
			if why, ok := w.below(l, f); !ok {
				w.passedFolder(why)
				continue
			}
			w.push(w.folder(f, depth-1))
		}
		return nil
	}
}

// below reports whether a folder in a folder of level l is listed.
func (w *lister) below(l level, folder string) (PassedOver, bool) {
	_, name := lastFolder(folder)
	switch at, _ := levelOf(folder); {
	case at == levelAccount && !w.Account(name):
		return PassedAccount, false
	case at == levelRegion && !matches(w.Regions, name):
		return PassedRegion, false
	case l == levelRoot && strings.HasPrefix(name, "aws-account-id="): // how flow logs are partitioned
		return PassedOver(KeyForeign), false
	case l == levelAccount && keyFolders[name] != "" && at != levelTrail:
		return PassedOver(strings.ReplaceAll(string(keyFolders[name]), "_", " ")), false
	case l == levelAccount && !(len(name) >= 10 && strings.EqualFold(name[:10], "CloudTrail")):
		return PassedOver(KeyForeign), false
	}
	return "", true
}

// another reports whether a folder is of a store of another kind: one by date,
// or by columns.
func another(folder string) bool {
	_, name := lastFolder(folder)
	return strings.Contains(name, "=") || len(name) > 0 && len(name) <= 4 && onlyDigits(name)
}

// all lists a folder without the folders below it. Beyond limit folders it stops, and
// sets the token of the next page; a limit of 0 is none.
func (w *lister) all(ctx context.Context, prefix string, limit int) (all page, err error) {
	for token := ""; ; {
		p, err := w.ask(ctx, prefix, "", "/", token)
		if err != nil {
			return page{}, err
		}
		all.objects = append(all.objects, p.objects...)
		all.folders = append(all.folders, p.folders...)
		token = p.more
		if limit > 0 && (len(all.folders) > limit || token != "") {
			all.more = "more"
			return all, nil
		}
		if token == "" {
			return all, nil
		}
	}
}

// flat lists everything that begins with prefix.
func (w *lister) flat(prefix string) task {
	return w.pages(span{prefix: prefix}, "")
}

// A span is the keys that begin with a prefix, after the one bound and before
// the other; empty bounds are none.
type span struct{ prefix, after, before string }

// pages lists a span to its end, from the page of the token on; "" is the first.
func (w *lister) pages(s span, token string) task {
	return func(ctx context.Context) error {
		more, _, err := w.page(ctx, s, token)
		if more != "" {
			w.push(w.pages(s, more))
		}
		return err
	}
}

// page lists one page of a span, and returns the token of the next, "" at the
// end of the span, and the last key, "" if there was none.
func (w *lister) page(ctx context.Context, s span, token string) (more, last string, err error) {
	p, err := w.ask(ctx, s.prefix, s.after, "", token)
	if err != nil || len(p.objects) == 0 { // S3 may say that there is more and name none, as behind many that were deleted
		return p.more, "", err
	}
	more, last = p.more, p.objects[len(p.objects)-1].Key
	if s.before != "" && last >= s.before {
		more = ""
		p.objects = slices.DeleteFunc(p.objects, func(l Listed) bool { return l.Key >= s.before })
	}
	w.found(p.objects)
	return more, last, nil
}

// region lists the wanted days of a Region, or of a year, month or day in it. Most
// Regions have so few objects that one request over all the days is enough; objects
// beyond its answer are divided by days, which are listed concurrently.
func (w *lister) region(folder, region string) task {
	whole, first, last := span{prefix: folder}, w.first, w.last
	if folder != region {
		start, end, ok := period(folder[len(region):])
		if !ok {
			return w.flat(folder)
		}
		if start.After(first) {
			first = start
		}
		if last.IsZero() || end.Before(last) {
			last = end
		}
		if first.After(last) {
			return func(context.Context) error {
				w.isThere()
				w.passedFolder(PassedDay)
				return nil
			}
		}
		whole.before = DayFolder(region, last.AddDate(0, 0, 1))
		if first.After(start) {
			whole.after = DayFolder(region, first)
		}
	} else {
		if !first.IsZero() {
			whole.after = DayFolder(region, first)
		}
		if !last.IsZero() {
			whole.before = DayFolder(region, last.AddDate(0, 0, 1))
		}
	}
	bounded := whole.after != "" || whole.before != ""
	if d := region + sharedFolder(first, last); len(d) > len(folder) {
		whole.prefix = d
		if d == whole.after { // a day, all of it
			whole = span{prefix: d}
		}
	}
	return func(ctx context.Context) error {
		if bounded {
			w.isThere() // perhaps on other days
		}
		more, key, err := w.page(ctx, whole, "")
		switch {
		case err != nil || more == "":
			return err
		case key == "":
			w.push(w.pages(whole, more))
			return nil
		}
		for _, s := range divide(whole, region, key, last) {
			w.push(w.pages(s, ""))
		}
		return nil
	}
}

// period is the first and the last day of a folder below a Region's: 2026/,
// 2026/05/ or 2026/05/01/.
func period(folder string) (start, end time.Time, ok bool) {
	layout := "2006/01/02/"[:len(folder)]
	start, err := time.Parse(layout, folder)
	switch len(folder) {
	case len("2006/"):
		end = start.AddDate(1, 0, -1)
	case len("2006/01/"):
		end = start.AddDate(0, 1, -1)
	default:
		end = start
	}
	return start, end, err == nil
}

// sharedFolder is the deepest folder that holds all days from first to last, ""
// where one of the two is no bound.
func sharedFolder(first, last time.Time) string {
	if first.IsZero() || last.IsZero() {
		return ""
	}
	for _, layout := range [...]string{"2006/01/02/", "2006/01/", "2006/"} {
		if f := first.Format(layout); f == last.Format(layout) {
			return f
		}
	}
	return ""
}

// divide makes spans of what is left of a span after a key: the rest of its day,
// and the days up to the last, which is today where there is no bound. Keys of another
// form between two days belong to the first of them.
func divide(s span, region, key string, last time.Time) []span {
	k, ok := ParseKey(key)
	if !ok || k.Folder != DayFolder(region, k.Day) || s.prefix == k.Folder {
		return []span{{s.prefix, key, s.before}}
	}
	if last.IsZero() {
		last = midnight(time.Now()).AddDate(0, 0, 1) // clocks differ
	}
	next := k.Day.AddDate(0, 0, 1)
	spans := []span{{s.prefix, key, DayFolder(region, next)}}
	days := max(0, int(last.Sub(k.Day)/(24*time.Hour)))
	for each := (days + listConcurrency - 1) / listConcurrency; days > 0; days -= each {
		n := min(each, days)
		end := next.AddDate(0, 0, n)
		spans = append(spans, span{s.prefix, DayFolder(region, next), DayFolder(region, end)})
		next = end
	}
	if s.before == "" { // and whatever sorts behind the days
		spans = append(spans, span{s.prefix, DayFolder(region, next), ""})
	}
	return spans
}
