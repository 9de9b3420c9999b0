package email

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/color"
	"image/png"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

// mailpit is a real mail server that deploy/integration/mail.sh starts.
type mailpit struct {
	t   *testing.T
	api string
	Config
}

func newMailpit(t *testing.T) mailpit {
	t.Helper()
	address, ca, api := os.Getenv("MFAWATCH_TEST_SMTP"), os.Getenv("MFAWATCH_TEST_SMTP_CA"), os.Getenv("MFAWATCH_TEST_MAILPIT")
	if address == "" || api == "" {
		t.Skip("no mail server: run deploy/integration/mail.sh run -- go test ./sinks/email")
	}
	m := mailpit{t, api, Config{
		Host: "127.0.0.1", Port: port(address), TLS: TLSConfig{TLSConfig: secret.TLSConfig{CAFile: ca}}, Username: "mfawatch", Password: "letters",
		From: "mfawatch <mfawatch@example.net>", To: []string{"Security <security@example.net>", "oncall@example.net"},
	}}
	m.call(http.MethodDelete, "/api/v1/messages", nil, nil)
	m.chaos("", 0)
	t.Cleanup(func() { m.chaos("", 0) })
	return m
}

func (m mailpit) call(method, path string, body, into any) {
	m.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, m.api+path, bytes.NewReader(text))
	if err != nil {
		m.t.Fatal(err)
	}
	r.Close = true
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		m.t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
	if into != nil {
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			m.t.Fatal(err)
		}
	}
}

// chaos makes the server answer one kind of command with an error, always.
func (m mailpit) chaos(kind string, code int) {
	m.t.Helper()
	triggers := map[string]map[string]int{}
	for _, k := range []string{"Sender", "Recipient", "Authentication"} {
		triggers[k] = map[string]int{"ErrorCode": 451, "Probability": 0}
		if k == kind {
			triggers[k] = map[string]int{"ErrorCode": code, "Probability": 100}
		}
	}
	m.call(http.MethodPut, "/api/v1/chaos", triggers, nil)
}

// A mailpitMail is a mail as the server's API has it.
type mailpitMail struct {
	ID, MessageID, Subject, Text, HTML string
	To                                 []struct{ Address string }
	headers                            map[string][]string
}

// mails are those that arrived, oldest first.
func (m mailpit) mails() (mails []mailpitMail) {
	m.t.Helper()
	var list struct{ Messages []struct{ ID string } }
	m.call(http.MethodGet, "/api/v1/messages", nil, &list)
	for _, listed := range list.Messages {
		var one mailpitMail
		m.call(http.MethodGet, "/api/v1/message/"+listed.ID, nil, &one)
		m.call(http.MethodGet, "/api/v1/message/"+listed.ID+"/headers", nil, &one.headers)
		mails = append([]mailpitMail{one}, mails...)
	}
	return mails
}

// An independent server accepts the life of an exposure, reads the mails as
// they are meant, and finds the HTML fit for mail programs.
func TestMailpitLife(t *testing.T) {
	m := newMailpit(t)
	e, ref := newTestSink(t, m.Config), ""
	story := sinktest.Story("bob")
	for _, a := range story {
		var err error
		if ref, err = e.Send(t.Context(), a, ref); err != nil {
			t.Fatal(err)
		}
	}
	mails := m.mails()
	if len(mails) != len(story) {
		t.Fatalf("%d mails, want %d", len(mails), len(story))
	}
	for i, a := range story {
		got, want := mails[i], e.compose(a)
		if got.MessageID != want.id || got.Subject != want.subject || got.HTML == "" ||
			strings.ReplaceAll(got.Text, "\r\n", "\n") != want.text || strings.ReplaceAll(got.HTML, "\r\n", "\n") != want.html {
			t.Errorf("%s: got %+v", a.Step, got)
		}
		if thread := got.headers["References"]; len(thread) != 1 || thread[0] != "<"+want.thread+">" {
			t.Errorf("%s: references %q", a.Step, thread)
		}
		if len(got.To) != 2 {
			t.Errorf("%s: to %v", a.Step, got.To)
		}
		var check struct {
			Total struct{ Supported, Unsupported float64 }
		}
		m.call(http.MethodGet, "/api/v1/message/"+got.ID+"/html-check", nil, &check)
		if check.Total.Supported < 85 {
			t.Errorf("%s: %.1f %% of mail programs show the HTML as it is meant, want 85", a.Step, check.Total.Supported)
		}
	}
	if !strings.Contains(e.Receipt(ref), "queued as") {
		t.Errorf("receipt %q", e.Receipt(ref))
	}
}

// Its errors have the verdicts that the script's have.
func TestMailpitVerdicts(t *testing.T) {
	m := newMailpit(t)
	for _, tt := range []struct {
		kind string
		code int
		want sinks.Verdict
	}{
		{"Sender", 451, sinks.VerdictRetry}, {"Sender", 421, sinks.VerdictRetry}, {"Sender", 550, sinks.VerdictMisconfigured},
		{"Recipient", 451, sinks.VerdictRetry}, {"Recipient", 421, sinks.VerdictRetry}, {"Recipient", 452, sinks.VerdictRetry}, {"Recipient", 550, sinks.VerdictPermanent},
		{"Authentication", 535, sinks.VerdictMisconfigured}, {"Authentication", 454, sinks.VerdictRetry},
	} {
		m.chaos(tt.kind, tt.code)
		_, err := newTestSink(t, m.Config).Send(t.Context(), message.SampleAlert(), "")
		if v, _ := sinks.VerdictOf(err); v != tt.want || !strings.Contains(err.Error(), fmt.Sprint(tt.code)) {
			t.Errorf("%s %d: %s, want %s: %v", tt.kind, tt.code, v, tt.want, err)
		}
	}
	m.chaos("", 0)
	m.Password = "wrong"
	if v, _ := sinks.VerdictOf(sent(newTestSink(t, m.Config).Send(t.Context(), message.SampleAlert(), ""))); v != sinks.VerdictMisconfigured {
		t.Errorf("wrong password: %s", v)
	}
	m.Username, m.Password = "", ""
	if v, _ := sinks.VerdictOf(sent(newTestSink(t, m.Config).Send(t.Context(), message.SampleAlert(), ""))); v != sinks.VerdictMisconfigured {
		t.Errorf("no login: %s", v)
	}
	if n := len(m.mails()); n != 0 {
		t.Errorf("%d mails arrived", n)
	}
}

// The HTML part is painted: in light, in dark, and on a telephone, where nothing
// is wider than the screen.
func TestPaints(t *testing.T) {
	trailtest.Long(t, 5)
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium: install it to see the mails painted")
	}
	e := newTestSink(t, Config{Host: "h", From: "m@example.net", To: []string{"a@example.net"}})
	dir := t.TempDir()
	mail := filepath.Join(dir, "mail.html")
	a := message.SampleAlert()
	sinktest.Spoil(a, strings.Repeat("wide", 100))
	if err := os.WriteFile(mail, []byte(e.compose(a).html), 0o600); err != nil {
		t.Fatal(err)
	}
	// A frame is as narrow as its style says, which a window is not. Wider content
	// would make it scroll, and scroll bars are drawn.
	frame := filepath.Join(dir, "frame.html")
	if err := os.WriteFile(frame, []byte(`<body style="margin:0;background:#00f"><iframe src="mail.html" style="width:360px;height:700px;border:0"></iframe>`), 0o600); err != nil {
		t.Fatal(err)
	}
	bar := color.RGBA{0xc4, 0x32, 0x0a, 0xff} // of high
	for _, tt := range []struct {
		name, page, scheme string
		barX, barY         int        // where the bar is
		edge               color.RGBA // of the page, in the bottom left corner
	}{
		{"light", mail, "1", 100, 45, color.RGBA{0xf2, 0xf4, 0xf7, 0xff}},
		{"dark", mail, "0", 100, 45, color.RGBA{0x0c, 0x11, 0x1d, 0xff}},
		{"narrow", frame, "1", 2, 5, color.RGBA{0xff, 0xff, 0xff, 0xff}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shot := filepath.Join(t.TempDir(), "shot.png")
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--hide-scrollbars",
				"--user-data-dir="+t.TempDir(), "--window-size=760,700", "--blink-settings=preferredColorScheme="+tt.scheme, "--screenshot="+shot,
				(&url.URL{Scheme: "file", Path: tt.page}).String()).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			f, err := os.Open(shot)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			picture, err := png.Decode(f)
			if err != nil {
				t.Fatal(err)
			}
			at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA) }
			if got := at(tt.barX, tt.barY); got != bar {
				t.Errorf("the bar is %v, want %v", got, bar)
			}
			if got := at(1, picture.Bounds().Dy()-2); got != tt.edge {
				t.Errorf("the corner is %v, want %v", got, tt.edge)
			}
			if tt.page == frame && at(358, 5) != bar {
				t.Errorf("the bar does not end at the edge of the screen: %v", at(358, 5))
			}
		})
	}
}

func sent(_ string, err error) error { return err }
