package bucket

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/mfawatch/mfawatch/sources/awstest"
)

// listingBucket has the keys in it, each object of one byte.
func listingBucket(t *testing.T, keys ...string) (*awstest.Server, *Objects) {
	t.Helper()
	s := awstest.Start(t)
	for _, k := range keys {
		s.Put("logs", k, []byte("x"))
		s.Date("logs", k, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
	}
	return s, testObjects(s)
}

// A listed is the outcome of a List.
type listed struct {
	keys   []string // sorted
	passed map[string]int
	errs   []string
	there  bool
}

func listAll(ctx context.Context, t *testing.T, o *Objects, place string, wanted Wanted) listed {
	t.Helper()
	b, err := ParsePlace(place)
	if err != nil {
		t.Fatal(err)
	}
	got := listed{passed: map[string]int{}}
	got.there = o.List(ctx, b, Listing{
		Wanted: wanted,
		Found:  func(l Listed) { got.keys = append(got.keys, l.Key) },
		Passed: func(why PassedOver, folder bool) {
			if folder {
				why += "/"
			}
			got.passed[string(why)]++
		},
		Failed: func(err error) { got.errs = append(got.errs, err.Error()) },
	})
	slices.Sort(got.keys)
	slices.Sort(got.errs)
	return got
}

func listingKey(prefix, account, region, day string, n int) string {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	stamp := at.Add(time.Duration(n) * time.Minute)
	return fmt.Sprintf("%sAWSLogs/%s/CloudTrail/%s/%s%s_CloudTrail_%s_%s_%016d.json.gz", prefix, account, region, stamp.Format("2006/01/02/"),
		account[strings.IndexByte(account, '/')+1:], region, stamp.Format("20060102T1504Z"), n)
}

func listingDay(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

// A place of any depth, a trail of an account and one of an organisation, and
// what lies beside them.
func TestListFindsTheTree(t *testing.T) {
	const a, b, c = "111122223333", "o-exampleorgid/444455556666", "777788889999"
	in := func(keys ...string) []string { slices.Sort(keys); return keys }
	a1, a2 := listingKey("", a, "us-east-1", "2026-05-01", 1), listingKey("", a, "us-east-1", "2026-05-02", 1)
	a3 := listingKey("", a, "eu-west-1", "2026-05-01", 1)
	b1 := listingKey("", b, "us-east-1", "2026-05-01", 1)
	c1 := listingKey("teams/one/", c, "us-east-1", "2026-05-01", 1)
	odd := "AWSLogs/111122223333/CloudTrail/us-east-1/2026/readme.json"
	all := []string{a1, a2, a3, b1, c1, odd}
	noise := []string{
		"AWSLogs/111122223333/CloudTrail/", "AWSLogs/111122223333/",
		"AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/05/01/x.json.gz",
		"AWSLogs/o-exampleorgid/444455556666/CloudTrail-Insight/us-east-1/2026/05/01/x.json.gz",
		"AWSLogs/111122223333/Config/us-east-1/2026/5/1/111122223333_Config_x.json.gz",
	}
	s, o := listingBucket(t, slices.Concat(all, noise)...)
	for _, k := range noise[:2] {
		s.Put("logs", k, nil)
	}
	for _, tt := range []struct {
		place string
		want  []string
	}{
		{"s3://logs", in(all...)},
		{"s3://logs/", in(all...)},
		{"s3://logs/AWSLogs", in(a1, a2, a3, b1, odd)},
		{"s3://logs/AWSLogs/", in(a1, a2, a3, b1, odd)},
		{"s3://logs/AWSLogs/1", in(a1, a2, a3, odd)},
		{"s3://logs/AWSLogs/111122223333", in(a1, a2, a3, odd)},
		{"s3://logs/AWSLogs/o-exampleorgid/", in(b1)},
		{"s3://logs/AWSLogs/111122223333/CloudTrail", in(a1, a2, a3, odd)},
		{"s3://logs/AWSLogs/111122223333/CloudTrail/us-east-1", in(a1, a2, odd)},
		{"s3://logs/AWSLogs/111122223333/CloudTrail/us-east-1/2026/", in(a1, a2, odd)},
		{"s3://logs/AWSLogs/111122223333/CloudTrail/us-east-1/2026/05", in(a1, a2)},
		{"s3://logs/AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/02/", in(a2)},
		{"s3://logs/" + a1, in(a1)},
		{"s3://logs/teams", in(c1)},
		{"s3://logs/tea", in(c1)},
		{"s3://logs/AWSLogs/111122223333/CloudTrail-Digest/", nil},
		{"s3://logs/nothing/", nil},
	} {
		if got := listAll(t.Context(), t, o, tt.place, Wanted{}); !slices.Equal(got.keys, tt.want) || got.errs != nil || got.there != (tt.place != "s3://logs/nothing/") {
			t.Errorf("%s:\n got %q, errors %q\nwant %q", tt.place, got.keys, got.errs, tt.want)
		}
	}
	got := listAll(t.Context(), t, o, "s3://logs/", Wanted{Accounts: []string{"1111*", "777788889999"}, Regions: []string{"us-*"}})
	if want := in(a1, a2, c1, odd); !slices.Equal(got.keys, want) {
		t.Errorf("filtered: got %q, want %q", got.keys, want)
	}
	if text, want := fmt.Sprint(got.passed), "map[digest/:1 empty:2 foreign/:1 other accounts/:1 other regions/:1]"; text != want {
		t.Errorf("passed over: %s, want %s", text, want)
	}
}

// List requests no more than it needs: the exact requests.
func TestListAsksForNoMoreThanNeeded(t *testing.T) {
	var keys []string
	for _, account := range []string{"111122223333", "o-exampleorgid/444455556666"} {
		for _, region := range []string{"eu-west-1", "us-east-1"} {
			for day := range 31 {
				keys = append(keys, listingKey("", account, region, fmt.Sprintf("2026-05-%02d", day+1), 7))
			}
		}
	}
	const one, two = "AWSLogs/111122223333/", "AWSLogs/o-exampleorgid/444455556666/"
	tenth := func(account, region string) string { // and the days after it in one request
		month := account + "CloudTrail/" + region + "/2026/05/"
		return month + " < " + month + "10/"
	}
	for _, tt := range []struct {
		name, place string
		wanted      Wanted
		want        []string // prefix, < what it begins after, | delimited
		found       int
	}{
		{"two days", "s3://logs/AWSLogs/", Wanted{Since: listingDay("2026-05-10"), Until: listingDay("2026-05-11")}, []string{
			"AWSLogs/ |", one + " |", one + "CloudTrail/ |", tenth(one, "eu-west-1"), tenth(one, "us-east-1"),
			"AWSLogs/o-exampleorgid/ |", two + " |", two + "CloudTrail/ |", tenth(two, "eu-west-1"), tenth(two, "us-east-1"),
		}, 8},
		{"one account, one region, a week", "s3://logs/AWSLogs/", Wanted{Since: listingDay("2026-05-10"), Until: listingDay("2026-05-16").Add(time.Hour),
			Accounts: []string{"111122223333"}, Regions: []string{"us-east-1"}}, []string{
			"AWSLogs/ |", "AWSLogs/o-exampleorgid/ |", one + " |", one + "CloudTrail/ |",
			tenth(one, "us-east-1"),
		}, 8},
		{"a region's folder", "s3://logs/" + one + "CloudTrail/us-east-1/", Wanted{Since: listingDay("2026-05-31")}, []string{
			one + "CloudTrail/us-east-1/ < " + one + "CloudTrail/us-east-1/2026/05/31/",
		}, 1},
		{"a day's folder", "s3://logs/" + one + "CloudTrail/us-east-1/2026/05/31/", Wanted{Since: listingDay("2026-05-01")}, []string{
			one + "CloudTrail/us-east-1/2026/05/31/",
		}, 1},
		{"a month's folder", "s3://logs/" + one + "CloudTrail/us-east-1/2026/05/", Wanted{Since: listingDay("2026-05-31"), Until: listingDay("2026-06-07")}, []string{
			one + "CloudTrail/us-east-1/2026/05/31/",
		}, 1},
		{"a folder of another time", "s3://logs/" + one + "CloudTrail/us-east-1/2025/", Wanted{Since: listingDay("2026-05-31")}, nil, 0},
		{"one object", "s3://logs/" + keys[0], Wanted{}, []string{keys[0] + " |"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, o := listingBucket(t, keys...)
			var mu sync.Mutex
			var asked []string
			s.Fault = func(c awstest.Call) awstest.Fault {
				text := c.Query.Get("prefix")
				if after := c.Query.Get("start-after"); after != "" {
					text += " < " + after
				}
				if c.Query.Get("delimiter") != "" {
					text += " |"
				}
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, text)
				return awstest.Fault{}
			}
			got := listAll(t.Context(), t, o, tt.place, tt.wanted)
			slices.Sort(asked)
			slices.Sort(tt.want)
			if !slices.Equal(asked, tt.want) {
				t.Errorf("asked for\n%s\nwant\n%s", strings.Join(asked, "\n"), strings.Join(tt.want, "\n"))
			}
			if len(got.keys) != tt.found || got.errs != nil {
				t.Errorf("found %d, want %d; errors %q", len(got.keys), tt.found, got.errs)
			}
		})
	}
}

// A region that does not fit into one answer is listed by days concurrently,
// without much more than its pages.
func TestListDividesByDays(t *testing.T) {
	var keys []string
	for day := range 28 {
		for n := range 288 {
			keys = append(keys, listingKey("", "111122223333", "us-east-1", fmt.Sprintf("2026-02-%02d", day+1), 5*n))
		}
	}
	odd := "AWSLogs/111122223333/CloudTrail/us-east-1/zzz.json"
	between := []string{"AWSLogs/111122223333/CloudTrail/us-east-1/2026/02/05-copy.json", "AWSLogs/111122223333/CloudTrail/us-east-1/2026/02/08-copy/a.json"}
	keys = append(append(keys, odd), between...)
	s, o := listingBucket(t, keys...)
	got := listAll(t.Context(), t, o, "s3://logs/AWSLogs/", Wanted{Since: listingDay("2026-02-01"), Until: listingDay("2026-03-01")})
	if len(got.keys) != 28*288+2 || got.errs != nil || slices.Contains(got.keys, odd) {
		t.Errorf("found %d of %d, errors %q", len(got.keys), 28*288+2, got.errs)
	}
	if pages, asked := 9, s.Calls("ListObjectsV2"); asked > 3+pages+listConcurrency {
		t.Errorf("asked %d times for %d pages", asked, pages)
	}
	// Nor are keys of another form left out that lie between the days, each of them
	// listed alone.
	got = listAll(t.Context(), t, o, "s3://logs/AWSLogs/", Wanted{Since: listingDay("2026-02-01"), Until: listingDay("2026-02-11")})
	if len(got.keys) != 11*288+2 || got.errs != nil || !slices.Contains(got.keys, between[0]) || !slices.Contains(got.keys, between[1]) {
		t.Errorf("found %d of %d, errors %q", len(got.keys), 11*288+2, got.errs)
	}
	// Without bounds nothing is left out, wherever it sorts.
	got = listAll(t.Context(), t, o, "s3://logs/AWSLogs/111122223333/CloudTrail/us-east-1/", Wanted{})
	if len(got.keys) != len(keys) || got.errs != nil {
		t.Errorf("found %d of %d, errors %q", len(got.keys), len(keys), got.errs)
	}
}

// Buckets of another form are listed as they are, in few requests.
func TestListOfAnotherForm(t *testing.T) {
	var keys []string
	for y := 2024; y < 2027; y++ {
		for m := range 12 {
			for d := range 28 {
				keys = append(keys, fmt.Sprintf("siem/cloudtrail/%d/%02d/%02d/part-0.json.gz", y, m+1, d+1))
			}
		}
	}
	for n := range 300 {
		keys = append(keys, fmt.Sprintf("hosts/host-%d/trail.json", n))
	}
	odd := "hosts/a b+c%20&\x01\n<ü>/trail.json"
	copied := "flat/111122223333_CloudTrail_us-east-1_20260501T0805Z_A6kvhMoVeCsc7v8U.json.gz"
	old := "hosts/old.json"
	keys = append(keys, copied, old, odd)
	s, o := listingBucket(t, keys...)
	got := listAll(t.Context(), t, o, "s3://logs/", Wanted{})
	if len(got.keys) != len(keys) || got.errs != nil || !slices.Contains(got.keys, odd) {
		t.Errorf("found %d of %d, errors %q", len(got.keys), len(keys), got.errs)
	}
	if asked := s.Calls("ListObjectsV2"); asked > 12 {
		t.Errorf("asked %d times for %d keys", asked, len(keys))
	}
	// An object written before it cannot hold later events (and its name says
	// nothing else); a name that is CloudTrail's does.
	s.Date("logs", old, listingDay("2026-05-10"))
	got = listAll(t.Context(), t, o, "s3://logs/", Wanted{Since: listingDay("2026-05-20"), Accounts: []string{"444455556666"}})
	if len(got.keys) != len(keys)-2 || got.passed["other times"] != 1 || got.passed["other accounts"] != 1 {
		t.Errorf("found %d of %d, passed over %v", len(got.keys), len(keys), got.passed)
	}
}

// R30 for lists: whatever the tree and the bounds, exactly the objects that Pass
// lets through are found, each once, however large the pages are, and though
// some are empty.
func TestListIsExact(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	for try := range 25 {
		var keys []string
		for range random.IntN(80) + 1 {
			day := listingDay("2025-12-20").AddDate(0, 0, random.IntN(25)).Format(time.DateOnly)
			k := listingKey(pick("", "", "p/", "a/b/", "AWSLogs/o-exampleorgid/"), pick("111122223333", "444455556666", "o-exampleorgid/444455556666"),
				pick("us-east-1", "eu-west-1", "us-gov-west-1"), day, random.IntN(1440))
			switch random.IntN(12) {
			case 0:
				k = strings.Replace(k, "/CloudTrail/", pick("/CloudTrail-Digest/", "/CloudTrail-Insight/", "/CloudTrail-New/"), 1)
			case 1:
				k = strings.Replace(k, "AWSLogs/", "", 1)
			case 2:
				k += "/deeper/x.json"
			case 3:
				k = k[:strings.LastIndex(k, "/")-random.IntN(6)] + "x.json"
			}
			keys = append(keys, k)
		}
		var wanted Wanted
		if random.IntN(3) > 0 {
			wanted.Since = listingDay("2025-12-20").Add(time.Duration(random.IntN(25*24)) * time.Hour)
		}
		if random.IntN(3) > 0 {
			wanted.Until = listingDay("2026-01-14").Add(-time.Duration(random.IntN(24*24)) * time.Hour)
		}
		if random.IntN(3) == 0 {
			wanted.Accounts = []string{pick("1111*", "444455556666")}
		}
		if random.IntN(3) == 0 {
			wanted.Regions = []string{pick("us-*", "eu-west-1")}
		}
		s, o := listingBucket(t, keys...)
		s.PageSize, s.EmptyPages = random.IntN(12)+1, random.IntN(3) == 0
		var want []string
		for _, k := range keys {
			if _, ok := wanted.Pass(k); ok {
				want = append(want, k)
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		got := listAll(t.Context(), t, o, "s3://logs/", wanted)
		// A key of unknown form below the folder of another account or Region, or
		// behind the days, may be passed over with it.
		var strict []string
		for _, k := range want {
			if _, ok := ParseKey(k); ok {
				strict = append(strict, k)
			}
		}
		for _, k := range strict {
			if !slices.Contains(got.keys, k) {
				t.Fatalf("try %d: %q is missing (%+v, pages of %d, empty ones: %t)", try, k, wanted, s.PageSize, s.EmptyPages)
			}
		}
		for i, k := range got.keys {
			if !slices.Contains(want, k) || i > 0 && got.keys[i-1] == k {
				t.Fatalf("try %d: %q is not wanted, or there twice (%+v)", try, k, wanted)
			}
		}
		if wanted.Since.IsZero() && wanted.Until.IsZero() && wanted.Accounts == nil && wanted.Regions == nil && !slices.Equal(got.keys, want) {
			t.Fatalf("try %d: without bounds\n got %q\nwant %q", try, got.keys, want)
		}
		if got.errs != nil {
			t.Fatalf("try %d: %q", try, got.errs)
		}
	}
}

// A folder that cannot be listed is named with what helps; the rest is listed.
func TestListFails(t *testing.T) {
	first, second := listingKey("", "111122223333", "us-east-1", "2026-05-01", 1), listingKey("", "444455556666", "us-east-1", "2026-05-01", 1)
	for name, tt := range map[string]struct {
		fault    awstest.Fault
		attempts int
		every    int // which of the calls for a folder fail; 0 all
		want     string
		found    int
	}{
		"denied":  {awstest.Fault{Status: 403, Code: "AccessDenied", Message: "no"}, 1, 0, "list s3://logs/AWSLogs/111122223333/: access denied: allow s3:ListBucket on the bucket logs in the role's policy and in the bucket's: ", 1},
		"down":    {awstest.Fault{Status: 500, Code: "InternalError"}, 1, 0, "list s3://logs/AWSLogs/111122223333/: ", 1},
		"retried": {awstest.Fault{Status: 503, Code: "SlowDown"}, 3, 2, "", 2},
		"reset":   {awstest.Fault{Reset: true}, 3, 2, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := awstest.Start(t)
			s.Put("logs", first, []byte("x"))
			s.Put("logs", second, []byte("x"))
			var calls int
			var mu sync.Mutex
			s.Fault = func(c awstest.Call) awstest.Fault {
				if c.Query.Get("prefix") != "AWSLogs/111122223333/" {
					return awstest.Fault{}
				}
				mu.Lock()
				defer mu.Unlock()
				if calls++; tt.every > 0 && calls > tt.every {
					return awstest.Fault{}
				}
				return tt.fault
			}
			got := listAll(t.Context(), t, NewObjects(s.Config(tt.attempts)), "s3://logs/AWSLogs/", Wanted{})
			if len(got.keys) != tt.found || (tt.want == "") != (got.errs == nil) || got.errs != nil && (len(got.errs) != 1 || !strings.HasPrefix(got.errs[0], tt.want)) {
				t.Errorf("got %q, errors %q; want %s", got.keys, got.errs, tt.want)
			}
		})
	}
	t.Run("no bucket", func(t *testing.T) {
		_, o := listingBucket(t, first)
		got := listAll(t.Context(), t, o, "s3://lost/AWSLogs/", Wanted{})
		if len(got.errs) != 1 || !strings.HasPrefix(got.errs[0], "list s3://lost/AWSLogs/: there is no such bucket: ") {
			t.Errorf("got %q", got.errs)
		}
	})
	t.Run("no next page", func(t *testing.T) { // from a store that is not Amazon's
		o := Over(Calls{List: func(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
			return &s3.ListObjectsV2Output{IsTruncated: aws.Bool(true), Contents: []types.Object{{Key: &first, Size: aws.Int64(1)}}}, nil
		}}, "us-east-1")
		if got := listAll(t.Context(), t, o, "s3://logs/", Wanted{}); len(got.errs) != 1 || !strings.Contains(got.errs[0], "names no next page") {
			t.Errorf("got %q, errors %q", got.keys, got.errs)
		}
	})
	t.Run("another region", func(t *testing.T) {
		s, o := listingBucket(t, first, second)
		s.Fault = func(c awstest.Call) awstest.Fault {
			if !strings.Contains(c.Header.Get("Authorization"), "/eu-west-3/") {
				return awstest.Fault{Status: 301, Code: "PermanentRedirect", Region: "eu-west-3"}
			}
			return awstest.Fault{}
		}
		if got := listAll(t.Context(), t, o, "s3://logs/", Wanted{}); len(got.keys) != 2 || got.errs != nil {
			t.Errorf("got %q, errors %q", got.keys, got.errs)
		}
	})
	t.Run("credentials that ran out", func(t *testing.T) {
		s, o := listingBucket(t, first, second)
		s.Fault = func(c awstest.Call) awstest.Fault {
			if c.Query.Get("prefix") == "AWSLogs/" {
				return awstest.Fault{}
			}
			return awstest.Fault{Status: 400, Code: "ExpiredToken"}
		}
		if got := listAll(t.Context(), t, o, "s3://logs/AWSLogs/", Wanted{}); len(got.errs) == 0 || !strings.Contains(got.errs[0], "sign in again") {
			t.Errorf("errors %q", got.errs)
		}
	})
}

// The end of the context ends the list, whatever it waits for.
func TestListIsInterruptible(t *testing.T) {
	var keys []string
	for n := range 200 {
		keys = append(keys, fmt.Sprintf("x/%d.json", n))
	}
	s, o := listingBucket(t, keys...)
	s.PageSize = 3
	ctx, cancel := context.WithCancel(t.Context())
	found := 0
	o.List(ctx, Place{Name: "logs"}, Listing{
		Found:  func(Listed) { found++; cancel() },
		Failed: func(err error) { t.Error(err) },
	})
	if found == len(keys) || !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("found %d", found)
	}
}

func TestParseBucket(t *testing.T) {
	for place, want := range map[string]Place{
		"s3://logs":            {"logs", ""},
		"s3://logs/":           {"logs", ""},
		"s3://logs/AWSLogs":    {"logs", "AWSLogs"},
		"s3://my.logs/a//b c/": {"my.logs", "a//b c/"},
	} {
		if got, err := ParsePlace(place); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", place, got, err)
		}
	}
	for _, place := range []string{"", "s3://", "s3:///key", "logs/AWSLogs", "s3://lo gs/x", "https://logs/x"} {
		if got, err := ParsePlace(place); err == nil {
			t.Errorf("%q: got %+v", place, got)
		}
	}
}

func TestWantedValidate(t *testing.T) {
	for want, w := range map[string]Wanted{
		"": {Since: listingDay("2026-05-01"), Until: listingDay("2026-05-02"), Accounts: []string{"1111*", "111122223333"}, Regions: []string{"us-*", "eu-west-1"}},
		"until: want a time after since, 2026-05-02T00:00:00Z, got 2026-05-01T00:00:00Z":            {Since: listingDay("2026-05-02"), Until: listingDay("2026-05-01")},
		`accounts: want an account's number, 12 digits, or a pattern such as 1111*, got "11112222"`: {Accounts: []string{"11112222"}},
		`accounts: want an account's number, 12 digits, or a pattern such as 1111*, got "["`:        {Accounts: []string{"["}},
		`regions: want a region such as us-east-1, or a pattern such as us-*, got "us"`:             {Regions: []string{"us"}},
	} {
		got := ""
		if err := w.Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
