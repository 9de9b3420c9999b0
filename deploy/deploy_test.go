// Package deploy holds what runs mfawatch elsewhere, and tests that hold it
// against the program and the tools that read it.
package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// binary is the program, built for these tests.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mfawatch-deploy-")
	if err == nil {
		binary = filepath.Join(dir, "mfawatch")
		var out []byte
		if out, err = exec.Command("go", "run", "-exec", "cp", "../cmd/mfawatch", binary).CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the program:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// tool runs a program that is not everywhere, and returns its output. CI has
// them all.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not on this machine; CI has it", name)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// checks holds a configuration against the program, with the files that it names
// below root made in a folder.
func checks(t *testing.T, text, root string) {
	t.Helper()
	dir := t.TempDir()
	for line := range strings.Lines(text) {
		for word := range strings.FieldsFuncSeq(line, func(r rune) bool { return strings.ContainsRune(" ,{}[]\"'\n", r) }) {
			name, ok := strings.CutPrefix(word, root+"/")
			if !ok {
				continue
			}
			content := "https://hooks.example.net/a-secret\n"
			if strings.HasSuffix(name, "ca") {
				content = certificate
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join(dir, "mfawatch.yaml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, root, dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(binary, "check", "-c", path).CombinedOutput(); err != nil {
		t.Errorf("check: %v\n%s", err, out)
	}
}

// certificate is one whose key was thrown away.
const certificate = `-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUYN57N+mw88IaCYszbWEYT7lcIp0wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjUyMjU3MTZaGA8yMTI2MTEwMTIyNTcx
NlowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNzA
HrUAr5gIswlBWlzfG6RYrvTPchNLR6RVOcQjxiUWxEVJjBmdX/PWBYMmAw9k9bC1
8NvR+7TDPKBxGT5EkBajUzBRMB0GA1UdDgQWBBQnE0fCuHU/GWnC7eb4rsKN1Alx
LjAfBgNVHSMEGDAWgBQnE0fCuHU/GWnC7eb4rsKN1AlxLjAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIF1KzAxqEMlgXKLRB24b8jDhDla2hqC5zFS3
15BrpdxqAiEAvyt9X1FQq+6I+2aVngWJPuRYLfZ9IV8e2raLVNz1FYc=
-----END CERTIFICATE-----
`
