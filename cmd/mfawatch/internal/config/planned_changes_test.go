package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The file of planned changes takes the same entries as the configuration, and
// each of its mistakes names the file.
func TestPlannedChangesFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "changes.yaml")
	config := fmt.Appendf(nil, "sources: {local: {type: files, paths: [x]}}\nsinks: {console: {type: stdout}}\nplanned_changes_file: %s\n"+
		"planned_changes: [{user: bob, until: 2026-05-01T18:00:00Z, approver: ann, ticket: CHG-1}]\n", path)
	for _, c := range []struct{ file, want string }{
		{"", ""},
		{"planned_changes:\n  - {user: eve, until: 2026-05-01T18:00:00Z, approver: ann, ticket: CHG-2}\n", ""},
		{"planned_changes: [{user: eve, until: soon, approver: ann, ticket: CHG-2}]", `planned_changes[0].until: want a time such as 2026-05-01T18:00:00Z, got "soon"`},
		{"planned_changes: [{user: eve, until: 2026-05-01T18:00:00Z, approver: ann}]", "planned_changes[0].ticket: missing; want where it was agreed, such as CHG-1042"},
		{"planed_changes: []", "planed_changes: unknown key; did you mean planned_changes?"},
		{"- {user: eve}", "want a map of keys to values"},
		{"planned_changes: {user: eve}", "planned_changes: want a list, got a map"},
		{"planned_changes: [*x]", "not YAML: a value that begins with * needs quotes"},
		{strings.Repeat("#", maxPlannedChangesFile+1), "it has more than 1048576 bytes"},
	} {
		if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Load("test", config, nil, nil)
		if c.want == "" {
			if err != nil {
				t.Errorf("%q: %v", c.file, err)
			} else if n := len(got.Policy().PlannedChanges); n != 1+strings.Count(c.file, "user:") {
				t.Errorf("%q: %d entries", c.file, n)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%q: %v", c.file, err)
		}
	}
}
