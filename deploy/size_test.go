package deploy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Files and packages keep to the sizes of CONTRIBUTING.md, tests aside.
func TestSizes(t *testing.T) {
	const longestFile, largestPackage = 400, 4000
	out, err := exec.Command("git", "-C", "..", "ls-files", "*.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := map[string]int{}
	for path := range strings.FieldsSeq(string(out)) {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", path))
		if err != nil {
			t.Error(err)
			continue
		}
		n := bytes.Count(text, []byte("\n"))
		if n > longestFile {
			t.Errorf("%s has %d lines, more than %d: part it", path, n, longestFile)
		}
		packages[filepath.Dir(path)] += n
	}
	for dir, n := range packages {
		if n > largestPackage {
			t.Errorf("%s has %d lines, more than %d: move an idea of it to a package of its own", dir, n, largestPackage)
		}
	}
	if len(packages) < 20 {
		t.Errorf("%d packages are seen", len(packages))
	}
}
