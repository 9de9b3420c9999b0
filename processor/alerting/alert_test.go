package alerting

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/trail"
)

var update = flag.Bool("update", false, "write testdata anew")

// The alert of every step in full, with its ID. A changed ID here is a change for
// every receiver that keeps IDs.
func TestAlertGolden(t *testing.T) {
	events := script(t, `
		0 deactivate Bob serial=arn:aws:iam::111122223333:mfa/bob-phone mfa=no key=ASIAEXAMPLE origin=kafka://cloudtrail/3@1042
		1 deletevirtual - serial=arn:aws:iam::111122223333:mfa/bob-phone
		30 createkey bob
		60 attach bob
		90 login- bob by=bob self
		20000 enable bob serial=arn:aws:iam::111122223333:u2f/user/bob/key-1 by=bob self
		100 deactivate root serial=arn:aws:iam::111122223333:mfa/root-account-mfa-device type=Root by=root self mfa=unknown
		50 enable eve serial=GAHT12345678 by=eve self
		110 deactivate eve serial=arn:aws:iam::111122223333:mfa/eve by=eve self
		120 deactivate - fail=AccessDenied by=mallory mfa=unknown key=AKIAEXAMPLE
		130 deactivate root fail=AccessDenied by=mallory mfa=unknown
		140 deactivate root fail=NoSuchEntityException by=mallory mfa=unknown
		150 deactivate carol serial=X type=AssumedRole
		160 deletelogin carol
		170 deleteuser carol
		180 deactivate dan serial=Y
		250 login+ dan by=dan self
		200 deactivate - serial=Z`)
	for _, e := range events {
		e.Actor.SourceIP, e.Actor.UserAgent = "198.51.100.7", "aws-cli/2.15"
		e.Detail = map[string]string{trail.CreateAccessKey: "AKIANEW", trail.AttachUserPolicy: "arn:aws:iam::aws:policy/AdministratorAccess"}[e.Name]
	}
	events[0].Raw = json.RawMessage(`{"eventName":"DeactivateMFADevice"}`)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	write := func(alerts []*exposure.Alert) {
		for _, a := range alerts {
			checkAlert(t, a)
			if err := enc.Encode(a); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(Fold(events).Alerts())
	// and those that only Notify returns
	d := newTestAccount(t)
	d.arrive(at(10), events[0])
	write(d.arrive(at(15000)))
	write(d.arrive(at(15001), script(t, "-60 enable bob serial=B id=late by=alice")...))

	const file = "testdata/alerts.json"
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		got, want := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("%s:%d\ngot  %s\nwant %s", file, i+1, got[i], want[i])
			}
		}
		t.Fatalf("%d lines, want %d", len(got), len(want))
	}
}

// An ID depends on nothing but what happened.
func TestIDs(t *testing.T) {
	base := script(t, "0 deactivate bob serial=A id=x; 9 enable bob serial=A id=y; 9 deactivate bob fail=AccessDenied id=z")
	ids := func(events []*trail.Event) (ids []string) {
		for _, a := range Fold(events).Alerts() {
			ids = append(ids, a.ID)
		}
		slices.Sort(ids)
		return ids
	}
	want := ids(base)
	other := script(t, "0 deactivate BOB serial=B id=x origin=elsewhere by=eve; 10 enable bob serial=C id=y; 12 deactivate bob fail=AccessDenied id=z by=eve")
	if got := ids(other); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, s := range want {
		if len(s) != 32 || strings.Trim(s, "0123456789abcdef") != "" {
			t.Errorf("ID %q", s)
		}
	}
	if exposure.ID("a", "bc", "d") == exposure.ID("a", "b", "cd") || exposure.ID("ab", "c") == exposure.ID("a", "bc") {
		t.Error("parts run into each other")
	}
	if stepID("x", exposure.Opened, "e", 0) == stepID("x", exposure.Opened, "e", 1) || stepID("x", exposure.Opened, "e", 0) == stepID("x", exposure.Updated, "e", 0) {
		t.Error("steps share an ID")
	}
}
