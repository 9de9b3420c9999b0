package ticket_test

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/servicenow"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
	"github.com/mfawatch/mfawatch/sinks/zendesk"
)

// A look is a fault of the look before a step.
type look struct {
	name  string
	fault sinktest.Fault
	want  sinks.Verdict
	words string
}

// channels are the channels that keep tickets.
var channels = []struct {
	name    string
	sink    func(url string) (sinks.Sink, error)
	none    string // the answer that there is no ticket
	unnamed string // the answer to a change, without the ticket
	looks   []look
}{
	{
		name: "servicenow",
		sink: func(url string) (sinks.Sink, error) {
			return servicenow.New(servicenow.Config{URL: url, Username: "mfawatch", Password: "xyzzy-password"}, message.Wording{}, slog.New(slog.DiscardHandler))
		},
		none: `{"result":[]}`, unnamed: `{"result":{}}`,
		looks: []look{
			{"401", sinktest.Fault{Status: 401}, sinks.VerdictMisconfigured, "check username and password"},
			{"403", sinktest.Fault{Status: 403}, sinks.VerdictMisconfigured, "sn_incident_write"},
			{"404", sinktest.Fault{Status: 404}, sinks.VerdictMisconfigured, "check url"},
			{"no such table", sinktest.Fault{Status: 400, Body: `{"error":{"message":"Invalid table incident","detail":null},"status":"failure"}`}, sinks.VerdictMisconfigured, "has no incidents"},
			{"a page", sinktest.Fault{Status: 200, Body: "<!DOCTYPE html><title>Log in</title>"}, sinks.VerdictMisconfigured, "the instance hibernates"},
		},
	},
	{
		name: "zendesk",
		sink: func(url string) (sinks.Sink, error) {
			return zendesk.New(zendesk.Config{URL: url, Email: "bot@example.net", Token: "xyzzy-token"}, message.Wording{}, slog.New(slog.DiscardHandler))
		},
		none: `{"tickets":[]}`, unnamed: `{"ticket":{}}`,
		looks: []look{
			{"401", sinktest.Fault{Status: 401, Body: `{"error":"Couldn't authenticate you"}`}, sinks.VerdictMisconfigured, "check email and token"},
			{"403", sinktest.Fault{Status: 403}, sinks.VerdictMisconfigured, "suspended"},
			{"404", sinktest.Fault{Status: 404}, sinks.VerdictMisconfigured, "there is no help desk at url"},
			{"409", sinktest.Fault{Status: 409}, sinks.VerdictRetry, "409"},
			{"a page", sinktest.Fault{Status: 200, Body: "<html>"}, sinks.VerdictMisconfigured, "url is not that of a help desk"},
		},
	},
}

// looks are the faults whose meaning all channels share.
var looks = []look{
	{"500", sinktest.Fault{Status: 500}, sinks.VerdictRetry, "500"},
	{"502 of a proxy", sinktest.Fault{Status: 502, Body: "<html>"}, sinks.VerdictRetry, "502"},
	{"503", sinktest.Fault{Status: 503}, sinks.VerdictRetry, "503"},
	{"reset", sinktest.Fault{Reset: true}, sinks.VerdictRetry, ""},
	{"cut", sinktest.Fault{Cut: true}, sinks.VerdictRetry, ""},
	{"garbage", sinktest.Fault{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: "[1,"}, sinks.VerdictRetry, "something other than an answer of the API"},
	{"empty", sinktest.Fault{Status: 200}, sinks.VerdictRetry, "something other than an answer of the API"},
}

// A fault of the look before a step has the verdict of a call that wrote nothing.
func TestLook(t *testing.T) {
	a := sinktest.Story("bob")[0]
	for _, c := range channels {
		for _, l := range append(looks[:len(looks):len(looks)], c.looks...) {
			t.Run(c.name+" "+l.name, func(t *testing.T) {
				f := sinktest.NewHTTPServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if !sinktest.Read(r) {
						t.Errorf("%s %s after a look that failed", r.Method, r.URL)
					}
				}))
				f.Inject(l.fault)
				sinktest.Deliver(t, channelSink(t, c.sink, f.URL), a, "", l.want, l.words)
			})
		}
	}
}

// An answer to a change that cannot be read may be one to a change that was made.
func TestUnreadableAnswer(t *testing.T) {
	for _, c := range channels {
		f := sinktest.NewHTTPServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(c.none)) }))
		f.Spare = sinktest.Read
		sink := channelSink(t, c.sink, f.URL)
		for body, want := range map[string]sinks.Verdict{
			"": sinks.VerdictAmbiguous, "[1,": sinks.VerdictAmbiguous, "{}": sinks.VerdictAmbiguous, c.unnamed: sinks.VerdictAmbiguous, "<html>": sinks.VerdictMisconfigured,
		} {
			f.Inject(sinktest.Fault{Status: 201, Body: body})
			sinktest.Deliver(t, sink, sinktest.Story("bob")[0], "", want)
		}
	}
}

func channelSink(t *testing.T, of func(string) (sinks.Sink, error), url string) sinks.Sink {
	t.Helper()
	sink, err := of(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.(interface{ Close() error }).Close() })
	return sink
}
