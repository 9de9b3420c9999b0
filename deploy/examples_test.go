package deploy

import (
	"crypto/x509"
	"encoding/pem"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mfawatch/mfawatch/deploy/examples"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// exampleEnvironment sets every variable that the examples refer to.
func exampleEnvironment(t *testing.T) map[string]string {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	cert := filepath.Join(t.TempDir(), "tls.pem")
	if err := os.WriteFile(cert, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"DOOR_TOKEN": "0123456789abcdef", "HOOK_SECRET": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", "KAFKA_PASSWORD": "p",
		"PAGERDUTY_ROUTING_KEY": "R0123456789ABCDEF0123456789ABCDE", "SERVICENOW_PASSWORD": "p", "SIEM_TOKEN": "t",
		"SLACK_TOKEN": "xoxb-1-2-x", "SMTP_PASSWORD": "p", "TLS_CERT": cert, "TLS_KEY": cert,
	}
}

// Each example is a complete configuration. Each variable in it is named if it is
// not set.
func TestExamples(t *testing.T) {
	names, err := examples.Files.ReadDir(".")
	if err != nil || len(names) < 6 {
		t.Fatalf("%d examples, %v", len(names), err)
	}
	set := exampleEnvironment(t)
	used := map[string]bool{}
	for _, name := range names {
		t.Run(name.Name(), func(t *testing.T) {
			text, err := examples.Files.ReadFile(name.Name())
			if err != nil {
				t.Fatal(err)
			}
			path, err := filepath.Abs(filepath.Join("examples", name.Name()))
			if err != nil {
				t.Fatal(err)
			}
			command := []string{"check", path}
			if name.Name() == "pipe.yaml" { // it has no sources
				command = []string{"pipe", "-c", path}
			}
			run := func(without string) (string, error) {
				c := exec.Command(binary, command...)
				c.Dir, c.Env = t.TempDir(), []string{"PATH=" + os.Getenv("PATH")}
				for variable, value := range set {
					if variable != without {
						c.Env = append(c.Env, variable+"="+value)
					}
				}
				out, err := c.CombinedOutput()
				return string(out), err
			}
			if out, err := run(""); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, variable := range slices.Sorted(maps.Keys(set)) {
				if !strings.Contains(string(text), "${"+variable+"}") {
					continue
				}
				used[variable] = true
				if out, err := run(variable); err == nil || !strings.Contains(out, "the environment variable "+variable+" is not set") {
					t.Errorf("without %s: %v\n%s", variable, err, out)
				}
			}
		})
	}
	for variable := range set {
		if !used[variable] && !strings.HasPrefix(variable, "TLS_") {
			t.Errorf("no example refers to %s", variable)
		}
	}
}

// The schema accepts every example and every sound configuration, and refuses
// unknown keys.
func TestSchema(t *testing.T) {
	trailtest.Long(t, 7)
	dir := t.TempDir()
	schema := filepath.Join(dir, "schema.json")
	text, err := exec.Command(binary, "check", "--schema").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(schema, text, 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "check-jsonschema", "--check-metaschema", schema)
	sound, err := filepath.Glob("examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tool(t, "check-jsonschema", append([]string{"--schemafile", schema, "../testdata/config/good.yaml"}, sound...)...)
	for _, name := range []string{"bad-unknown-key-top", "bad-unknown-key-nested", "bad-unknown-key", "bad-unknown-type", "bad-missing-type"} {
		if out, err := exec.Command("check-jsonschema", "--schemafile", schema, "../testdata/config/"+name+".yaml").CombinedOutput(); err == nil {
			t.Errorf("%s is accepted: %s", name, out)
		}
	}
}
