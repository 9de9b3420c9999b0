package sinktest

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks"
)

// CampaignStory is a campaign from its beginning to its end: about no one user.
func CampaignStory() []*processor.Alert {
	story := Story("bob")
	grown := *story[0]
	grown.ID, grown.Time = story[0].ID+"-grown", story[1].Time
	begun, escalated, ended := story[0], story[1], story[4]
	begun.Step, grown.Step = exposure.StepCampaign, exposure.StepCampaign
	begun.Title = "Tester removed MFA from 3 users in 000000000000"
	grown.Title = "Tester removed MFA from 6 users in 000000000000"
	escalated.Title = "Still no MFA for 5 of 6 users in 000000000000 after 15m, removed by tester"
	ended.Title = "The campaign of tester against 6 users in 000000000000 is over"
	how := exposure.Ended
	ended.Resolution = &how
	all := []*processor.Alert{begun, &grown, escalated, ended}
	for i, a := range all {
		count := 6
		if i == 0 {
			count = 3
		}
		a.User, a.Device = nil, exposure.AlertDevice{Kind: "unknown"}
		a.Users = &exposure.AlertUsers{Count: count, Open: count, Names: []string{"bob", "carol", "dan"}}
		a.Reasons = append(slices.Clone(a.Reasons), exposure.ReasonCampaign)
	}
	return all
}

// Named names the account of the alerts, as the policy does: beside its number, in
// their titles too.
func Named(name string, alerts ...*processor.Alert) []*processor.Alert {
	for _, a := range alerts {
		a.AccountName = name
		a.Title = strings.Replace(a.Title, " in "+a.Account, " in "+name+" ("+a.Account+")", 1)
	}
	return alerts
}

// Alert returns an alert with that ID of an exposure of its own.
func Alert(id string) *processor.Alert {
	x, user := "x-"+id, "bob"
	return &processor.Alert{
		Schema: exposure.Schema, ID: id, Exposure: &x, Step: exposure.Opened, Severity: exposure.High,
		Reasons: []string{"last_device"}, Title: "bob lost MFA <&>", Summary: "A summary.",
		Time: time.Date(2026, 5, 1, 8, 3, 11, 0, time.UTC), Account: "111122223333", User: &user,
		Record: json.RawMessage(`{"a":"<&>"}`),
	}
}

// Send sends the alert and wants no error and no reference.
func Send(t *testing.T, s sinks.Sink, a *processor.Alert) {
	t.Helper()
	if ref, err := s.Send(t.Context(), a, ""); err != nil || ref != "" {
		t.Fatalf("ref %q, %v", ref, err)
	}
}

// Vienna returns a time zone other than UTC.
func Vienna(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// DeliverAll sends the alerts in order, each with the ref of the one before.
func DeliverAll(t *testing.T, s sinks.Sink, ref string, alerts ...*processor.Alert) string {
	t.Helper()
	for _, a := range alerts {
		var err error
		if ref, err = s.Send(t.Context(), a, ref); err != nil {
			t.Fatalf("%s: %v", a.Step, err)
		}
	}
	return ref
}

// What must not be seen in an error, and the address that holds it.
const (
	HushPath  = "/services/T0PATH/xyzzy-path-secret"
	HushQuery = "?token=xyzzy%2Fquery-secret"
	HushValue = "Bearer xyzzy-header-secret"
	HushBasic = "bWZhd2F0Y2g6eHl6enktcGFzc3dvcmQ=" // mfawatch:xyzzy-password
)

// Hushed fails if text holds a secret.
func Hushed(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(text, "xyzzy") || strings.Contains(text, "T0PATH") || strings.Contains(text, HushBasic) {
		t.Errorf("a secret is shown: %s", text)
	}
}

// Raw returns the address of a server that answers each connection as it likes.
func Raw(t *testing.T, answer func(c *net.TCPConn)) string {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			answer(c)
			_ = c.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// QuietServer returns a server that is not started and logs nothing.
func QuietServer(t *testing.T, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(s.Close)
	return s
}

// Answers answers every request so.
func Answers(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// WritePEM writes the certificate of a server of httptest, for tls.ca_file.
func WritePEM(t *testing.T, s *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// caseOf identifies the case that an alert is of: its exposure, or itself.
func caseOf(a *processor.Alert) string {
	if a.Exposure != nil {
		return *a.Exposure
	}
	return a.ID
}

// Records reads the alerts of one exposure, one a line.
func Records(t *testing.T, text []byte, of *processor.Alert) (records []*processor.Alert) {
	t.Helper()
	for line := range bytes.Lines(text) {
		if !bytes.Contains(line, []byte(caseOf(of))) {
			continue
		}
		a := new(processor.Alert)
		if err := json.Unmarshal(line, a); err != nil || !bytes.HasSuffix(line, []byte("\n")) {
			t.Fatalf("line %.200q: %v", line, err)
		}
		records = append(records, a)
	}
	return records
}

// Read reports whether a request changes nothing.
func Read(r *http.Request) bool { return r.Method == http.MethodGet }

// Deliver sends the alert, and wants the verdict and the words in its error.
func Deliver(t *testing.T, s sinks.Sink, a *processor.Alert, ref string, want sinks.Verdict, words ...string) string {
	t.Helper()
	newRef, err := s.Send(t.Context(), a, ref)
	if v, _ := sinks.VerdictOf(err); v != want {
		t.Fatalf("%s: %s, want %s: %v", a.Step, v, want, err)
	}
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: the error does not say %q: %v", a.Step, word, err)
		}
	}
	if err != nil {
		Hushed(t, err.Error())
	}
	return newRef
}

// SecretFile writes a file that holds a secret.
func SecretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Mistakes wants each mistake named, without a secret, and nothing built. Of mistakes
// holds, by the beginning of the error, what spoils a good configuration.
func Mistakes[C interface{ Validate() error }](t *testing.T, good C, build func(C) error, mistakes map[string][]func(c *C)) {
	t.Helper()
	if err := good.Validate(); err != nil {
		t.Errorf("nothing is wrong: %v", err)
	}
	for _, want := range slices.Sorted(maps.Keys(mistakes)) {
		for _, spoil := range mistakes[want] {
			c := good
			spoil(&c)
			err := c.Validate()
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v; want %q", err, want)
				continue
			}
			Hushed(t, err.Error())
			if build(c) == nil {
				t.Errorf("%s: it was made", want)
			}
		}
	}
}
