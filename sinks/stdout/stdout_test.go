package stdout

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

func newStdout(t *testing.T, format string, w *bytes.Buffer) *Sink {
	t.Helper()
	s, err := New(Config{Format: format}, message.Wording{}, w)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJSON(t *testing.T) {
	for _, format := range []string{"", "json"} {
		var b bytes.Buffer
		s := newStdout(t, format, &b)
		sinktest.Send(t, s, sinktest.Alert("1"))
		sinktest.Send(t, s, sinktest.Alert("2"))
		if n := strings.Count(b.String(), "\n"); n != 2 {
			t.Errorf("%d lines, want 2", n)
		}
		var a processor.Alert
		if err := json.NewDecoder(&b).Decode(&a); err != nil || a.ID != "1" || a.Title != "bob lost MFA <&>" {
			t.Errorf("got %+v, %v", a, err)
		}
	}
}

func TestGroup(t *testing.T) {
	var b bytes.Buffer
	s := newStdout(t, "text", &b)
	bad := sinktest.Alert("2")
	bad.Severity, bad.Title = exposure.Critical, "eve\x1b[2J\nsigned in without MFA"
	if err := s.SendGroup(t.Context(), []*processor.Alert{sinktest.Alert("1"), bad, sinktest.Alert("3")}); err != nil {
		t.Fatal(err)
	}
	want := `CRITICAL  3 more alerts
          high      bob lost MFA <&>
                    2026-05-01 08:03:11Z  opened  111122223333  bob  x-1
          critical  eve\uFFFD[2J\uFFFDsigned in without MFA
                    2026-05-01 08:03:11Z  opened  111122223333  bob  x-2
          high      bob lost MFA <&>
                    2026-05-01 08:03:11Z  opened  111122223333  bob  x-3
`
	want = strings.ReplaceAll(want, `\uFFFD`, "\uFFFD")
	if got := b.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// The name of the account and the zone of the configuration are shown, and what to
// check.
func TestWording(t *testing.T) {
	var b bytes.Buffer
	s, err := New(Config{Format: "text"}, message.Wording{Zone: sinktest.Vienna(t)}, &b)
	if err != nil {
		t.Fatal(err)
	}
	a := sinktest.SuspectStory("bob")[2]
	a.AccountName = "payments"
	if _, err := s.Send(t.Context(), a, ""); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2026-05-01 08:48:11 UTC (10:48:11 CEST)  suspect  payments (000000000000)  bob  ",
		"            1. Ask bob by telephone whether the new device is theirs\n",
		"            - access key AKIALEFTBEHIND, given 2026-05-01 08:48:11 UTC (10:48:11 CEST)\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	s := newStdout(t, "text", &b)
	a := sinktest.Alert("1")
	a.Summary = strings.Repeat("word ", 30)
	sinktest.Send(t, s, a)
	resolved := sinktest.Alert("2")
	resolved.Exposure, resolved.Severity, resolved.Summary = nil, exposure.Critical, ""
	resolved.Title, resolved.User = strings.Repeat("title ", 20), nil
	sinktest.Send(t, s, resolved)
	root := sinktest.Alert("3")
	root.Root = true
	sinktest.Send(t, s, root)
	want := `HIGH      bob lost MFA <&>
          word word word word word word word word word word word word word word word word word word
          word word word word word word word word word word word word
          2026-05-01 08:03:11Z  opened  111122223333  bob  x-1
CRITICAL  title title title title title title title title title title title title title title title
          title title title title title
          2026-05-01 08:03:11Z  opened  111122223333  unknown user
HIGH      bob lost MFA <&>
          A summary.
          2026-05-01 08:03:11Z  opened  111122223333  root user  x-3
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	for line := range strings.Lines(b.String()) {
		if len(strings.TrimSuffix(line, "\n")) > textWidth {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}

// The record's text is the attacker's: it moves no cursor and hides nothing.
func TestTextIsHarmless(t *testing.T) {
	var b bytes.Buffer
	s := newStdout(t, "text", &b)
	a := sinktest.Alert("1")
	nasty := "bob\x1b[2J\r\nCRITICAL  forged\u202egnp.exe\u2028\x00\xff\u200b"
	x := nasty
	a.Title, a.Summary, a.Exposure = nasty, nasty+strings.Repeat("long", 1000), &x
	a.Account, a.User = nasty, &x
	a.Severity, a.Step = exposure.Severity(nasty), exposure.Step(nasty)
	sinktest.Send(t, s, a)
	for _, bad := range []string{"\x1b", "\r", "\u202e", "\u2028", "\x00", "\xff", "\u200b", "\nCRITICAL"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("printed %q", bad)
		}
	}
	if b.Len() > 3000 {
		t.Errorf("printed %d bytes", b.Len())
	}
}

func TestColorOnlyWhenTold(t *testing.T) {
	var b bytes.Buffer
	s := newStdout(t, "text", &b)
	sinktest.Send(t, s, sinktest.Alert("1"))
	without := b.String()
	b.Reset()
	s.Color = true
	sinktest.Send(t, s, sinktest.Alert("1"))
	with := b.String()
	if strings.Contains(without, "\x1b") || !strings.Contains(with, "\x1b[1;31mHIGH\x1b[0m") {
		t.Errorf("without %q\nwith %q", without, with)
	}
	for _, code := range []string{"\x1b[1;31m", bold, faint, plain} {
		with = strings.ReplaceAll(with, code, "")
	}
	if with != without {
		t.Errorf("the colours changed the text: %q and %q", with, without)
	}
}

func TestMistakes(t *testing.T) {
	if _, err := New(Config{Format: "xml"}, message.Wording{}, &bytes.Buffer{}); err == nil || err.Error() != `format: "xml"; want json or text` {
		t.Errorf("got %v", err)
	}
	s, err := New(Config{}, message.Wording{}, brokenWriter{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(t.Context(), sinktest.Alert("1"), ""); err == nil {
		t.Error("a write that failed counts as delivered")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
