package rule

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestNever(t *testing.T) {
	for _, tt := range []struct{ matcher, want string }{
		{``, ``},
		{`root: true`, ``},
		{`root: true, user: "AWS*"`, ``},
		{`root: true, user: {not: bob}`, ``},
		{`root: true, user: bob`, `root is AWS ROOT USER and nobody else is`},
		{`root: true, user: {not: "aws *"}`, `root is AWS ROOT USER and nobody else is`},
		{`root: false, user: aws root user`, `root is AWS ROOT USER and nobody else is`},
		{`root: false, user: "aws *"`, ``},
		{`root: true, privileged: false`, `root is always privileged`},
		{`privileged: false, user: AWS ROOT USER`, `root is always privileged`},
		{`mfa: {is: true, not: true}`, `mfa cannot be {is: false, not: false}`},
		{`device_kind: {not: [virtual, security_key, hardware, sms, unknown]}`, `device_kind cannot be {not: [virtual, security_key, hardware, sms, unknown]}`},
		{`user: {is: [ab, ac], not: a*}`, `user cannot be {is: [ab, ac], not: a*}`},
		{`user: {is: [ab, b], not: a*}`, ``},
		{`user: {not: "**"}`, `user cannot be {not: "**"}`},
		{`source_ip: {is: 10.1.0.0/16, not: 10.0.0.0/8}`, `source_ip cannot be {is: "10.1.0.0/16", not: "10.0.0.0/8"}`},
	} {
		if got := read(t, tt.matcher).Never(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.matcher, got, tt.want)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		wide, narrow string
		want         bool
	}{
		{``, `user: bob`, true},
		{`user: bob`, ``, false},
		{`user: b*`, `user: [bob, "b?"]`, true},
		{`user: b*`, `user: [bob, al]`, false},
		{`user: "*b*b*"`, `user: "b?*b"`, true},
		{`user: "b?*b"`, `user: "b*b"`, false},
		{`user: {not: bob}`, `user: a*`, true},
		{`user: {not: "*b"}`, `user: a*`, false},
		{`user: {not: "*b"}`, `user: {is: a*, not: ["*b", x]}`, true},
		{`user: {not: bob}`, `user: {not: b*}`, true},
		{`user: {not: b*}`, `user: {not: bob}`, false},
		{`user: "*"`, `root: true`, true},
		{`user: AWS ROOT USER`, `root: true`, true},
		{`root: true`, `user: AWS ROOT USER`, true},
		{`privileged: true`, `root: true, account: "1"`, true},
		{`root: false`, `user: bob`, true},
		{`root: false`, `privileged: false`, true},
		{`root: false`, `user: b*`, true},
		{`root: false`, `user: a*`, false},
		{`severity: ">= medium"`, `severity: [high, critical]`, true},
		{`severity: ">= high"`, `severity: ">= medium"`, false},
		{`step: {not: resolved}`, `step: [opened, exploited]`, true},
		{`root: [true, false]`, ``, true},
		{`source_ip: 10.0.0.0/8`, `source_ip: [10.1.0.0/16, 10.2.3.4]`, true},
		{`source_ip: 10.1.0.0/16`, `source_ip: 10.0.0.0/8`, false},
		{`source_ip: {not: 10.0.0.0/8}`, `source_ip: [203.0.113.0/24, s3.amazonaws.com]`, true},
		{`source_ip: {not: 10.0.0.0/8}`, `source_ip: "*.amazonaws.com"`, false}, // it is, but that is not certain
		{`source_ip: "*"`, `source_ip: 10.0.0.0/8`, true},
		{`user: bob`, `root: true, user: al`, true}, // which means nothing
	} {
		if got := read(t, tt.wide).Covers(read(t, tt.narrow)); got != tt.want {
			t.Errorf("%s covers %s: got %v", tt.wide, tt.narrow, got)
		}
	}
}

func TestCovered(t *testing.T) {
	for _, tt := range []struct {
		matcher string
		by      []string
		want    []int
	}{
		{`user: bob`, []string{`user: al`, `user: b*`}, []int{1}},
		{``, []string{`root: true`, `root: false`}, []int{0, 1}},
		{``, []string{`root: true`, `privileged: false`}, nil},
		{``, []string{`privileged: true`, `account: "1"`, `privileged: false`}, []int{0, 2}},
		{`severity: ">= medium"`, []string{`severity: critical`, `severity: [high, low], self: true`, `severity: medium`, `severity: high, self: false`}, []int{0, 1, 2, 3}},
		{`severity: ">= low"`, []string{`severity: critical`, `severity: high`, `severity: medium`}, nil},
		{`user: AWS ROOT USER`, []string{`root: true`}, []int{0}},
		{`mfa: [true, false]`, []string{`mfa: false`, `mfa: {not: false}`}, []int{0, 1}},
		{``, nil, nil},
	} {
		var by []*Matcher
		for _, text := range tt.by {
			by = append(by, read(t, text))
		}
		if got := read(t, tt.matcher).Covered(by); !slices.Equal(got, tt.want) {
			t.Errorf("%s by %q: got %v, want %v", tt.matcher, tt.by, got, tt.want)
		}
	}
}

// Covers, Covered and Never hold for every alert.
func TestCoversProperty(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	texts := []string{"*", "a", "b", "ab", "a*", "*b", "?", "a?", "*a*", "aws root user", "aws*"}
	addresses := []string{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "*", "x.amazonaws.com", "*.com", "2001:db8::/32"}
	pick := func(from []string) any {
		list := []any{from[r.IntN(len(from))]}
		for r.IntN(3) == 0 {
			list = append(list, from[r.IntN(len(from))])
		}
		switch r.IntN(5) {
		case 0:
			return map[string]any{"not": list}
		case 1:
			return map[string]any{"is": list, "not": from[r.IntN(len(from))]}
		}
		return list
	}
	random := func() *Matcher {
		config := map[string]any{}
		for range r.IntN(4) {
			switch r.IntN(6) {
			case 0:
				config["user"] = pick(texts)
			case 1:
				config["actor"] = pick(texts)
			case 2:
				config["source_ip"] = pick(addresses)
			case 3:
				config["severity"] = pick(Severities)
			case 4:
				config["root"] = pick(truths)
			case 5:
				config["privileged"] = pick(truths)
			}
		}
		m, err := Compile(config)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	some := func(from ...string) string { return from[r.IntN(len(from))] }
	fact := func() *Facts {
		f := &Facts{
			User: some("", "a", "b", "ab", "ba", "aab"), Actor: some("", "a", "B", "Ab"), Severity: some(append(Severities, "")...),
			SourceIP: some("", "10.1.2.3", "10.2.2.2", "192.0.2.1", "2001:db8::9", "x.amazonaws.com"), Privileged: r.IntN(2) == 0,
		}
		if r.IntN(3) == 0 {
			f.User, f.Root, f.Privileged = RootUser, true, true
		}
		return f
	}
	covered, together, nevers := 0, 0, 0
	for range 20000 {
		a, b, c := random(), random(), random()
		both := len(b.Covered([]*Matcher{a, c})) > 1
		if both {
			together++
		}
		covers := a.Covers(b)
		if covers {
			covered++
		}
		if b.Never() != "" {
			nevers++
		}
		for range 20 {
			f := fact()
			if both && f.Severity != "" && b.Match(f) && !a.Match(f) && !c.Match(f) {
				t.Fatalf("%s and %s do not cover %s: %+v", a, c, b, f)
			}
			if b.Match(f) && (b.Never() != "" && f.Severity != "" || covers && f.Severity != "" && !a.Match(f)) {
				t.Fatalf("%s covers %s: %v, never %q; not so for %+v", a, b, covers, b.Never(), f)
			}
		}
	}
	if covered < 1000 || together < 10 || nevers < 100 {
		t.Errorf("covers %d, together %d, nevers %d: nothing was tested", covered, together, nevers)
	}
}
