package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The tests that SECURITY.md names exist.
func TestAttacksAreProven(t *testing.T) {
	page, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## Attacks tried")
	table, _, _ = strings.Cut(table, "\n## ")
	command := regexp.MustCompile("`go test -run '?([^' ]+)'? ([^`]+)`")
	rows := 0
	for row := range strings.Lines(table) {
		if !strings.HasPrefix(row, "| ") || strings.HasPrefix(row, "| attack |") {
			continue
		}
		rows++
		found := command.FindStringSubmatch(row)
		if found == nil {
			t.Errorf("no command proves %q", row)
			continue
		}
		folders := strings.Fields(found[2])
		for name := range strings.SplitSeq(found[1], "|") {
			if !slices.ContainsFunc(folders, func(folder string) bool { return hasTest(t, filepath.Join("..", folder), name) }) {
				t.Errorf("%s: no test matches %s", found[2], name)
			}
		}
	}
	if rows < 20 {
		t.Errorf("%d attacks, want 20 at least", rows)
	}
}

// hasTest reports whether the package in folder has a test that -run name selects.
func hasTest(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	test := regexp.MustCompile(`(?m)^func (Test|Fuzz)\w*` + regexp.QuoteMeta(strings.TrimPrefix(strings.TrimPrefix(name, "Test"), "Fuzz")) + `\w*\(`)
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if test.Match(source) {
			return true
		}
	}
	return false
}
