package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/history"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// axeScript returns the script of axe-core, which .ci/run installs.
func axeScript(t *testing.T) []byte {
	t.Helper()
	script, err := os.ReadFile("../../../../dist/tools/axe/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skip("no axe-core: npm install --prefix dist/tools/axe axe-core, as .ci/run does")
	}
	return script
}

// everyPage returns the pages of a service with all that they can show, hostile
// names included, as files in dir.
func everyPage(t *testing.T, dir string) map[string]string {
	t.Helper()
	s, p := stillPages(t, false)
	s.config.HTTP.TokenFile = filepath.Join(dir, "token")
	if err := os.WriteFile(s.config.HTTP.TokenFile, []byte("a-token-of-some-length"), 0o600); err != nil {
		t.Fatal(err)
	}
	withExposures(t, s.j, "bob", hostileUser)
	foldAll(t, s.j)
	shownOpen := s.j.Open()[0].ID
	withDead(t, s.j, 3, "mail")
	crowded(t, s.j, 120)
	for _, source := range []string{"trail", hostileUser} {
		if _, err := s.j.Quarantine(t.Context(), []journal.Quarantined{{Origin: "s3://" + hostileUser, Reason: "bad", Err: "no", Raw: []byte("{"), Source: source}}); err != nil {
			t.Fatal(err)
		}
	}
	pages := map[string]string{}
	for name, path := range map[string]string{"ok": "/", "story": "/exposures/" + shownOpen, "deadletters": "/deadletters", "quarantine": "/quarantine"} {
		pages[name] = shown(t, p, path)
	}
	s.failed = errors.New("connection refused by " + hostileUser)
	drawn(p.history)
	pages["failing"] = shown(t, p, "/?sort=age&page=1&q=4")
	_, pages["drop"] = post(p, "/deadletters", url.Values{"form": {"the-form"}, "token": {"a-token-of-some-length"}, "do": {"drop-all"}})
	_, pages["done"] = post(p, "/deadletters", url.Values{"form": {"the-form"}, "token": {"a-token-of-some-length"}, "do": {"retry-all"}})
	return pages
}

// drawn fills a history with four hours.
func drawn(h *history.History) {
	for i := range history.StepCount {
		h.Add(history.Step{End: time.Now().Add(time.Duration(i-history.StepCount) * history.StepTime), Records: float64(900 + 300*(i%17) - 200*(i%5)), P50: 0.3, P99: 0.5 + float64(i%13)/10})
	}
}

// A screen reader can use each page, light and dark, on a screen and a telephone:
// axe-core finds no violation of the guidelines for accessibility.
func TestPagesAreAccessible(t *testing.T) {
	trailtest.Long(t, 13)
	axe := axeScript(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "axe.js"), axe, 0o600); err != nil {
		t.Fatal(err)
	}
	pages := everyPage(t, dir)
	for _, look := range []struct{ width, scheme string }{{"1000", "1"}, {"360", "0"}} {
		found := violations(t, dir, pages, look.width, look.scheme)
		for name := range pages {
			f, ok := found[name]
			if !ok || f.Passes < 10 {
				t.Errorf("%s: axe-core looked at little: %+v", name, f)
			}
			for _, v := range f.Violations {
				t.Errorf("%s, %s wide, scheme %s: %s: %s:\n%.600s", name, look.width, look.scheme, v.ID, v.Help, v.Nodes)
			}
		}
	}
}

// An axeResult holds the findings of axe-core in a page.
type axeResult struct {
	Passes     int
	Violations []struct{ ID, Help, Nodes string }
}

// violations has axe-core look at pages in frames of a width. The policy of a page
// would not let it run there; a file has none.
func violations(t *testing.T, dir string, pages map[string]string, width, scheme string) (found map[string]axeResult) {
	t.Helper()
	const run = `axe.run(document).then(r => parent.postMessage({name: NAME, result: {passes: r.passes.length, violations: r.violations.map(
		v => ({id: v.id, help: v.help, nodes: v.nodes.map(n => n.html + " " + n.failureSummary).join("\n")}))}}, "*"))`
	var frames strings.Builder
	for name, page := range pages {
		script := fmt.Sprintf(`<script src="axe.js"></script><script>%s</script></body>`, strings.Replace(run, "NAME", fmt.Sprintf("%q", name), 1))
		if err := os.WriteFile(filepath.Join(dir, name+".html"), []byte(strings.Replace(page, "</body>", script, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&frames, `<iframe src="%s.html" width="%s" height="900"></iframe>`, name, width)
	}
	all := filepath.Join(dir, "all.html")
	if err := os.WriteFile(all, []byte(`<pre id="all"></pre><script>const all = {}; onmessage = e => { all[e.data.name] = e.data.result; document.getElementById("all").textContent = JSON.stringify(all); }</script>`+frames.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	dom, log := chromium(t, "--window-size=1100,900", "--blink-settings=preferredColorScheme="+scheme, "--virtual-time-budget=20000", "--dump-dom", "file://"+all)
	_, text, _ := strings.Cut(dom, `<pre id="all">`)
	text, _, _ = strings.Cut(text, "</pre>")
	if err := json.Unmarshal([]byte(html.UnescapeString(text)), &found); err != nil {
		t.Fatalf("axe-core did not end: %v\n%.2000s", err, log)
	}
	return found
}
