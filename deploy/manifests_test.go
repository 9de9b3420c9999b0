package deploy

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// documents reads the documents of a YAML file.
func documents(t *testing.T, path string) (all []map[string]any) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for d := yaml.NewDecoder(file); ; {
		var one map[string]any
		if err := d.Decode(&one); err != nil {
			if err.Error() == "EOF" {
				return all
			}
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, one)
	}
}

func TestKubernetesConfigurationLoads(t *testing.T) {
	found := 0
	for _, path := range []string{"kubernetes/mfawatch.yaml", "kubernetes/replicas.yaml", "kubernetes/s3.yaml", "kubernetes/sidecar.yaml"} {
		for _, d := range documents(t, path) {
			if d["kind"] != "ConfigMap" {
				continue
			}
			for name, text := range d["data"].(map[string]any) {
				if name == "mfawatch.yaml" {
					found++
					checks(t, text.(string), "/run/secrets/mfawatch")
				}
			}
		}
	}
	if found != 4 {
		t.Errorf("%d configurations found, want 4", found)
	}
}

func TestKubernetesSchemas(t *testing.T) {
	tool(t, "kubectl-validate", "kubernetes/mfawatch.yaml", "kubernetes/replicas.yaml", "kubernetes/s3.yaml", "kubernetes/sidecar.yaml")
}

func TestSystemdUnit(t *testing.T) {
	unit, err := os.ReadFile("systemd/mfawatch.service")
	if err != nil {
		t.Fatal(err)
	}
	// The program where this machine has it: verify looks whether it is there.
	path := t.TempDir() + "/mfawatch.service"
	text := strings.ReplaceAll(string(unit), "/usr/local/bin/mfawatch", binary)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "systemd-analyze", "verify", path)
	said := tool(t, "systemd-analyze", "security", "--offline=true", path)
	m := regexp.MustCompile(`Overall exposure level for mfawatch.service: ([0-9.]+)`).FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("no exposure level in:\n%s", said)
	}
	if level, err := strconv.ParseFloat(m[1], 64); err != nil || level >= 2 {
		t.Errorf("exposure level %s, want under 2.0", m[1])
	}
}

func TestCloudFormation(t *testing.T) {
	tool(t, "cfn-lint", "cloudformation/trail.yaml", "recipes/firehose/firehose.yaml", "recipes/eventbridge/eventbridge.yaml")
}

func TestComposeConfigurationsLoad(t *testing.T) {
	text, err := os.ReadFile("compose/mfawatch.yaml")
	if err != nil {
		t.Fatal(err)
	}
	checks(t, string(text), "/run/secrets/mfawatch")
}

// Files that compose mounts are there.
func TestComposeMounts(t *testing.T) {
	compose := documents(t, "compose/compose.yaml")[0]
	mounts := 0
	for name, service := range compose["services"].(map[string]any) {
		volumes, _ := service.(map[string]any)["volumes"].([]any)
		for _, v := range volumes {
			from, _, _ := strings.Cut(v.(string), ":")
			if !strings.HasPrefix(from, ".") {
				continue
			}
			mounts++
			if _, err := os.Stat("compose/" + from); err != nil {
				t.Errorf("service %s: %v", name, err)
			}
		}
	}
	if mounts == 0 {
		t.Error("no mounts found")
	}
}

func TestComposeSchema(t *testing.T) {
	tool(t, "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose/compose.yaml")
}

func TestComposePrometheus(t *testing.T) {
	tool(t, "promtool", "check", "config", "--syntax-only", "compose/prometheus.yml")
}
