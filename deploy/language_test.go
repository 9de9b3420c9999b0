package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// banned is the expressions that comments and pages do without, and what to
// write in their place. CONTRIBUTING.md has the rules behind them.
var banned = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`(?i)\bat once\b`), `"concurrently" or "immediately"`},
	{regexp.MustCompile(`(?i)\bfor good\b`), `"permanently"`},
	{regexp.MustCompile(`(?i)\bbut for\b`), `"except"`},
	{regexp.MustCompile(`(?i)\blest\b`), `"so that … not"`},
	{regexp.MustCompile(`(?i)\b(whoever|whomever)\b`), "the role's name: the caller, the operator, the sender"},
	{regexp.MustCompile(`(?i)\b(nobody|somebody)\b`), "the role's name: no sink, another user, a person"},
	{regexp.MustCompile(`(^|[.:;] )(What|Who|Where) [^?]*\b(is|are|was|has|have|goes|stays)\b[^?]*$`), "a noun as the subject"},
	{regexp.MustCompile(`\b(is|are) (what|who)\b[^?]*$`), "a noun and a verb"},
	{regexp.MustCompile(`(^|[.:] )(Needed|Told|Left|Kept) (is|are)\b`), "subject first"},
}

// prose returns the comments of a Go file or the text of a page, one line each.
// Quotations and code in a page are no prose.
func prose(path, text string) []string {
	lines := strings.Split(text, "\n")
	fenced := false
	for i, line := range lines {
		switch {
		case strings.HasSuffix(path, ".go"):
			_, comment, _ := strings.Cut(" "+strings.TrimSpace(line), " // ")
			lines[i] = comment
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			fenced, lines[i] = !fenced, ""
		case fenced, strings.HasPrefix(line, "    "):
			lines[i] = ""
		default:
			lines[i] = regexp.MustCompile("`[^`]*`|\"[^\"]*\"").ReplaceAllString(line, "")
		}
	}
	return lines
}

// Comments and pages keep to the rules of CONTRIBUTING.md.
func TestNoBannedExpression(t *testing.T) {
	out, err := exec.Command("git", "-C", "..", "ls-files", "*.go", "*.md").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		text, err := os.ReadFile(filepath.Join("..", path))
		if err != nil {
			t.Error(err)
			continue
		}
		if path == "deploy/language_test.go" || strings.HasPrefix(path, "testdata/real/") {
			continue
		}
		for i, line := range prose(path, string(text)) {
			for _, b := range banned {
				if found := b.pattern.FindString(line); found != "" {
					t.Errorf("%s:%d: %q; write %s", path, i+1, found, b.instead)
				}
			}
		}
	}
}

// Relative links of the pages lead to files and headings that exist.
func TestLinksOfPagesResolve(t *testing.T) {
	out, err := exec.Command("git", "-C", "..", "ls-files", "*.md").Output()
	if err != nil {
		t.Fatal(err)
	}
	read := func(path string) string {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			path = filepath.Join(path, "README.md")
		}
		text, _ := os.ReadFile(path)
		return regexp.MustCompile("(?s)```.*?```").ReplaceAllString(string(text), "")
	}
	notInAnchors := regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
	for page := range strings.FieldsSeq(string(out)) {
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(read(filepath.Join("..", page)), -1) {
			path, heading, anchored := strings.Cut(m[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			target := filepath.Join("..", page)
			if path != "" {
				target = filepath.Join("..", filepath.Dir(page), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s does not exist", page, m[1])
				continue
			}
			found := !anchored
			for _, h := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(read(target), -1) {
				anchor := strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")
				found = found || anchor == heading
			}
			if !found {
				t.Errorf("%s: %s has no such heading", page, m[1])
			}
		}
	}
}

// Files of this repository that pages name in text, code and commands exist.
func TestPathsOfPagesExist(t *testing.T) {
	out, err := exec.Command("git", "-C", "..", "ls-files", "*.md").Output()
	if err != nil {
		t.Fatal(err)
	}
	// Not those that a reader makes: words in capitals, and the example of a channel.
	path := regexp.MustCompile(`(?:^|[\s@"'(\x60/])((?:cmd|processor|sinks|sources|deploy|testdata)/[a-z0-9_./-]*[a-z0-9])(?:[\s"':,;.)#\x60/]|$)`)
	found := 0
	for page := range strings.FieldsSeq(string(out)) {
		text, err := os.ReadFile(filepath.Join("..", page))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			for _, m := range path.FindAllStringSubmatch(line, -1) {
				if strings.Contains(m[1], "teams") {
					continue
				}
				found++
				if _, err := os.Stat(filepath.Join("..", m[1])); err == nil {
					continue
				}
				if _, err := os.Stat(filepath.Join("..", filepath.Dir(page), m[1])); err != nil {
					t.Errorf("%s:%d: %s does not exist", page, i+1, m[1])
				}
			}
		}
	}
	if found < 100 {
		t.Errorf("%d paths found", found)
	}
}
