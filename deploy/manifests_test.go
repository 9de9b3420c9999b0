package deploy

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
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

// A StatefulSet that keeps the order of its pods waits for a pod that never became
// ready, so a correction would not replace it.
func TestKubernetesCorrectionsApply(t *testing.T) {
	found := 0
	for _, path := range []string{"kubernetes/mfawatch.yaml", "kubernetes/replicas.yaml", "kubernetes/s3.yaml", "kubernetes/sidecar.yaml"} {
		for _, d := range documents(t, path) {
			if d["kind"] != "StatefulSet" {
				continue
			}
			found++
			if got := at(d, "spec.podManagementPolicy"); got != "Parallel" {
				t.Errorf("%s: podManagementPolicy %v, want Parallel", path, got)
			}
		}
	}
	if found != 4 {
		t.Errorf("%d sets found, want 4", found)
	}
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

// Services of AWS assume the roles of the recipes for this account alone.
func TestRecipesTrustOneAccount(t *testing.T) {
	roles := 0
	for _, path := range []string{"recipes/firehose/firehose.yaml", "recipes/eventbridge/eventbridge.yaml"} {
		for name, r := range documents(t, path)[0]["Resources"].(map[string]any) {
			resource := r.(map[string]any)
			if resource["Type"] != "AWS::IAM::Role" {
				continue
			}
			roles++
			condition := fmt.Sprint(at(resource, "Properties.AssumeRolePolicyDocument.Statement.0.Condition"))
			if !strings.Contains(condition, "aws:SourceAccount") && !strings.Contains(condition, "aws:SourceArn") {
				t.Errorf("%s, %s: any account's service may assume it: condition %s", path, name, condition)
			}
		}
	}
	if roles != 3 {
		t.Errorf("%d roles, want 3", roles)
	}
}

func TestCloudFormation(t *testing.T) {
	trailtest.Long(t, 4)
	tool(t, "cfn-lint", "cloudformation/trail.yaml", "recipes/firehose/firehose.yaml", "recipes/eventbridge/eventbridge.yaml")
}

func TestComposeConfigurationsLoad(t *testing.T) {
	for _, path := range []string{"compose/mfawatch.yaml", "compose/mfawatch-replicas.yaml"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		checks(t, string(text), "/run/secrets/mfawatch")
	}
}

// Files that compose mounts are there.
func TestComposeMounts(t *testing.T) {
	services := documents(t, "compose/compose.yaml")[0]["services"].(map[string]any)
	for name, service := range documents(t, "compose/replicas.yaml")[0]["services"].(map[string]any) {
		services[name+" of replicas"] = service
	}
	mounts := 0
	for name, service := range services {
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
	tool(t, "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose/compose.yaml", "compose/replicas.yaml")
}

// The second replica is like the first: hardened likewise, found by Prometheus under
// the same name, with another name, port and volume.
func TestComposeReplicas(t *testing.T) {
	services := func(path string) map[string]any { return documents(t, path)[0]["services"].(map[string]any) }
	first, changed := services("compose/compose.yaml")["mfawatch"].(map[string]any), services("compose/replicas.yaml")["mfawatch"].(map[string]any)
	second := services("compose/replicas.yaml")["mfawatch-2"].(map[string]any)
	for _, key := range []string{"image", "read_only", "cap_drop", "security_opt", "restart", "stop_grace_period"} {
		if !reflect.DeepEqual(first[key], second[key]) {
			t.Errorf("%s: %v and %v", key, first[key], second[key])
		}
	}
	if a, b := changed["hostname"], second["hostname"]; a == b || a == nil || b == nil {
		t.Errorf("host names %v and %v", a, b)
	}
	if got := fmt.Sprint(second["networks"]); got != "map[default:map[aliases:[mfawatch]]]" {
		t.Errorf("networks: %s", got)
	}
	if got := fmt.Sprint(second["ports"]); got != "[127.0.0.1:9465:9464]" {
		t.Errorf("ports: %s", got)
	}
}

// The manifest of replicas keeps a group of three through updates, drained nodes and
// the loss of a zone, and lets the replicas ask each other.
func TestKubernetesReplicas(t *testing.T) {
	objects := map[string]map[string]any{}
	for _, d := range documents(t, "kubernetes/replicas.yaml") {
		objects[d["kind"].(string)] = d
	}
	const pods = "map[app.kubernetes.io/name:mfawatch]"
	for _, f := range []struct{ kind, path, want string }{
		{"StatefulSet", "spec.replicas", "3"},
		{"StatefulSet", "spec.updateStrategy.type", "RollingUpdate"},
		{"StatefulSet", "spec.podManagementPolicy", "Parallel"},
		{"StatefulSet", "spec.template.spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.0.podAffinityTerm.topologyKey", "kubernetes.io/hostname"},
		{"StatefulSet", "spec.template.spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.0.podAffinityTerm.labelSelector.matchLabels", pods},
		{"StatefulSet", "spec.template.spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.1.podAffinityTerm.topologyKey", "topology.kubernetes.io/zone"},
		{"StatefulSet", "spec.template.spec.containers.0.readinessProbe.httpGet.path", "/readyz"},
		{"PodDisruptionBudget", "spec.maxUnavailable", "1"},
		{"PodDisruptionBudget", "spec.selector.matchLabels", pods},
		{"NetworkPolicy", "spec.ingress.0.from.1.podSelector.matchLabels", pods},
		{"NetworkPolicy", "spec.egress.1.to.0.podSelector.matchLabels", pods},
		{"NetworkPolicy", "spec.egress.1.ports.0.port", "9464"},
	} {
		if got := fmt.Sprint(at(objects[f.kind], f.path)); got != f.want {
			t.Errorf("%s %s: %s, want %s", f.kind, f.path, got, f.want)
		}
	}
	var c struct {
		Journal struct{ Type string }
		HTTP    struct {
			TokenFile string `yaml:"token_file"`
		}
	}
	if err := yaml.Unmarshal([]byte(at(objects["ConfigMap"], "data").(map[string]any)["mfawatch.yaml"].(string)), &c); err != nil || c.Journal.Type != "kafka" || c.HTTP.TokenFile == "" {
		t.Errorf("the configuration has %+v, %v", c, err)
	}
	// Sources and shards stop within shutdown_timeout each, 20 s by default.
	if seconds, _ := at(objects["StatefulSet"], "spec.template.spec.terminationGracePeriodSeconds").(int); seconds < 50 {
		t.Errorf("%d seconds until a pod is killed", seconds)
	}
}

// at returns what a document has at a path, nil if there is nothing.
func at(v any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func TestComposePrometheus(t *testing.T) {
	tool(t, "promtool", "check", "config", "--syntax-only", "compose/prometheus.yml")
}
