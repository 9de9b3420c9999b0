package web

import (
	"bufio"
	"context"
	"fmt"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// chromium runs a browser without a window, and returns what it prints.
func chromium(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium: install it to see the pages painted")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files",
		"--user-data-dir=" + t.TempDir(), "--enable-logging=stderr"}, args...)...)
	var out, log strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	return out.String(), log.String()
}

// A browser runs the page's own script and nothing of an attacker's: it gets
// updates, and reports no violation of the policy. The same page works without
// script.
func TestPageInABrowser(t *testing.T) {
	trailtest.Long(t, 3)
	p := running(t, deactivation(`<img src=x onerror="document.title='owned'">`))
	crowded(t, p.Journal(), 60)
	target, err := url.Parse("http://" + p.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/events" {
			forward.ServeHTTP(w, r)
			return
		}
		// One event, marked, and the stream ends: the browser's clock stands still
		// while a request is under way.
		answer, err := http.Get(target.String() + r.URL.RequestURI())
		if err != nil {
			t.Error(err)
			return
		}
		defer answer.Body.Close()
		w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
		for s := bufio.NewScanner(answer.Body); s.Scan() && s.Text() != ""; {
			fmt.Fprintln(w, strings.ReplaceAll(s.Text(), "Latest alerts", "Latest alerts, by "+r.URL.RawQuery))
		}
		fmt.Fprintln(w)
	}))
	defer front.Close()
	for _, path := range []string{"/?sort=age", "/exposures/" + p.Journal().Open()[0].ID} {
		dom, log := chromium(t, "--virtual-time-budget=2000", "--dump-dom", front.URL+path)
		if strings.Contains(dom, "<title>owned") || strings.Contains(dom, "<img") || strings.Contains(dom, "<b onclick") {
			t.Errorf("%s: an attacker's text is markup:\n%.2000s", path, dom)
		}
		if strings.Contains(log, "Content Security Policy") || strings.Contains(log, "Uncaught") {
			t.Errorf("%s: the browser complains:\n%s", path, log)
		}
		if path == "/?sort=age" && (!strings.Contains(dom, `<button type="button" id="pause">Pause updates`) || !strings.Contains(dom, "Latest alerts, by sort=age")) {
			t.Errorf("no update came:\n%.3000s", dom)
		}
	}
}

// A page that gets no updates says so, and gets them again once it can: one that
// showed a dead service as healthy would be believed.
func TestPageSaysThatItIsOld(t *testing.T) {
	p := running(t, deactivation("bob"))
	target, err := url.Parse("http://" + p.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		refused int64 // streams
		old     bool
	}{
		"always refused": {1 << 30, true},
		"refused once":   {1, false},
	} {
		t.Run(name, func(t *testing.T) {
			forward := httputil.NewSingleHostReverseProxy(target)
			var streams atomic.Int64
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path != "/events":
					forward.ServeHTTP(w, r)
				case streams.Add(1) <= tt.refused:
					w.WriteHeader(http.StatusServiceUnavailable)
				default:
					w.Header().Set("Content-Type", "text/event-stream")
					fmt.Fprint(w, "event: same\ndata: -\n\n")
				}
			}))
			defer front.Close()
			dom, _ := chromium(t, "--virtual-time-budget=40000", "--dump-dom", front.URL)
			if old := !strings.Contains(dom, `role="alert" hidden=""`); old != tt.old || old && !regexp.MustCompile(`Last answer: <span>[^<]*\d`).MatchString(dom) || streams.Load() < 3 {
				t.Errorf("after %d streams the page says that it is old: %v\n%.1500s", streams.Load(), old, dom)
			}
		})
	}
}

// Users whose names begin alike, or differ in blanks alone, look different.
func TestPagesShowNamesInFull(t *testing.T) {
	user := strings.Repeat("service", 8) + "  b"
	p := running(t, deactivation(user))
	dir := t.TempDir()
	for name, path := range map[string]string{"overview": "/", "story": "/exposures/" + p.Journal().Open()[0].ID} {
		_, _, body := browse(t, p, "", path)
		if err := os.WriteFile(filepath.Join(dir, name+".html"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		frame := filepath.Join(dir, "frame-"+name+".html")
		if err := os.WriteFile(frame, fmt.Appendf(nil, `<iframe src="%s.html" onload="document.title=[...this.contentDocument.querySelectorAll('td a, dd, h2')].some(e => e.innerText.includes('%s'))"></iframe>`, name, user), 0o600); err != nil {
			t.Fatal(err)
		}
		if dom, _ := chromium(t, "--dump-dom", "file://"+frame); !strings.Contains(dom, "<title>true</title>") {
			t.Errorf("%s: the name is not shown as it is: %s", name, regexp.MustCompile(`<title>.*?</title>`).FindString(dom))
		}
	}
}

// The pages are no wider than a telephone, in which nothing has to be scrolled
// sideways; and dark where the reader prefers it.
func TestPagesArePainted(t *testing.T) {
	trailtest.Long(t, 7)
	p := running(t, deactivation(strings.Repeat("wide", 30)))
	crowded(t, p.Journal(), 60)
	dir := t.TempDir()
	for _, name := range []string{"overview", "story"} {
		path := "/"
		if name == "story" {
			path = "/exposures/" + regexp.MustCompile(`/exposures/([0-9a-f]{32})">MFA removed`).FindStringSubmatch(func() string { _, _, body := browse(t, p, "", "/"); return body }())[1]
		}
		_, _, body := browse(t, p, "", path)
		if err := os.WriteFile(filepath.Join(dir, name+".html"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		frame := filepath.Join(dir, "frame-"+name+".html")
		if err := os.WriteFile(frame, fmt.Appendf(nil, `<iframe src="%s.html" style="width:360px;height:700px;border:0" onload="document.title='width '+this.contentDocument.documentElement.scrollWidth"></iframe>`, name), 0o600); err != nil {
			t.Fatal(err)
		}
		if dom, _ := chromium(t, "--dump-dom", "file://"+frame); !strings.Contains(dom, "<title>width 360</title>") {
			t.Errorf("%s: on a telephone: %s", name, regexp.MustCompile(`<title>.*?</title>`).FindString(dom))
		}
	}
	for scheme, want := range map[string]color.RGBA{"1": {0xff, 0xff, 0xff, 0xff}, "0": {0x0d, 0x11, 0x17, 0xff}} {
		shot := filepath.Join(dir, "shot.png")
		chromium(t, "--window-size=760,700", "--blink-settings=preferredColorScheme="+scheme, "--screenshot="+shot, "file://"+filepath.Join(dir, "overview.html"))
		f, err := os.Open(shot)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := color.RGBAModel.Convert(picture.At(1, 1)).(color.RGBA); got != want {
			t.Errorf("scheme %s: the ground is %v, want %v", scheme, got, want)
		}
	}
}
