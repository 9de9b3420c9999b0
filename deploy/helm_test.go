package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rendered returns the objects of the chart by kind.
func rendered(t *testing.T, args ...string) map[string]map[string]any {
	t.Helper()
	text := tool(t, "helm", append([]string{"template", "mfawatch", "helm/mfawatch"}, args...)...)
	_, text, _ = strings.Cut(text, "---\n") // behind what helm says about symbolic links
	path := filepath.Join(t.TempDir(), "all.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("kubectl-validate"); err == nil && !strings.Contains(text, "monitoring.coreos.com") {
		tool(t, "kubectl-validate", path)
	}
	all := map[string]map[string]any{}
	for _, d := range documents(t, path) {
		if kind, ok := d["kind"].(string); ok {
			all[kind] = d
		}
	}
	return all
}

func TestHelmLint(t *testing.T) {
	tool(t, "helm", "lint", "--strict", "helm/mfawatch")
}

// The chart is the manifest of S3, with its configuration, and reaches what a role
// needs.
func TestHelmChart(t *testing.T) {
	const role = "arn:aws:iam::111122223333:role/mfawatch"
	plain := rendered(t, "--set", "serviceAccount.roleArn="+role)
	checks(t, plain["ConfigMap"]["data"].(map[string]any)["mfawatch.yaml"].(string), "/run/secrets/mfawatch")
	if a := plain["ServiceAccount"]["metadata"].(map[string]any)["annotations"].(map[string]any); a["eks.amazonaws.com/role-arn"] != role {
		t.Errorf("annotations of the service account: %v", a)
	}
	egress := func(objects map[string]map[string]any) string {
		text, err := yaml.Marshal(objects["NetworkPolicy"]["spec"].(map[string]any)["egress"])
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if text := egress(plain); !strings.Contains(text, "169.254.0.0/16") || !strings.Contains(text, "fd00:ec2::/32") || strings.Contains(text, "169.254.170.23/32") || !strings.Contains(text, "port: 443") {
		t.Errorf("without Pod Identity: %s", text)
	}
	if text := egress(rendered(t, "--set", "aws.podIdentity=true")); !strings.Contains(text, "169.254.170.23/32") || !strings.Contains(text, "fd00:ec2::23/128") || !strings.Contains(text, "port: 80\n") {
		t.Errorf("with Pod Identity: %s", text)
	}
	manifest := map[string]map[string]any{}
	for _, d := range documents(t, "kubernetes/s3.yaml") {
		manifest[d["kind"].(string)] = d
	}
	for _, kind := range []string{"ServiceAccount", "ConfigMap", "Service", "StatefulSet", "PodDisruptionBudget", "NetworkPolicy"} {
		if plain[kind] == nil || manifest[kind] == nil {
			t.Errorf("%s: in the chart %v, in the manifest %v", kind, plain[kind] != nil, manifest[kind] != nil)
		}
	}
	pod := func(objects map[string]map[string]any) (security string) {
		spec := objects["StatefulSet"]["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
		text, err := yaml.Marshal([]any{spec["securityContext"], spec["containers"].([]any)[0].(map[string]any)["securityContext"]})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if pod(plain) != pod(manifest) {
		t.Errorf("the chart's pod has\n%s\nthe manifest's\n%s", pod(plain), pod(manifest))
	}
	rules := rendered(t, "--set", "prometheusRule=true,podMonitor=true,runbookUrl=https://wiki.example.net/x")["PrometheusRule"]
	text, err := yaml.Marshal(rules["spec"])
	if err != nil || !strings.Contains(string(text), "https://wiki.example.net/x#mfawatchdown") || strings.Contains(string(text), "github.com") {
		t.Errorf("rules with another runbook: %v\n%s", err, text)
	}
}

// Replicas share a journal in Kafka, stand apart, and reach each other.
func TestHelmReplicas(t *testing.T) {
	set := "replicas=3,journal.kafka.brokers={kafka:9093},journal.kafka.tls.enabled=true,config.http.token_file=/run/secrets/mfawatch/token"
	objects := rendered(t, "--set", set)
	config := at(objects["ConfigMap"], "data").(map[string]any)["mfawatch.yaml"].(string)
	checks(t, config, "/run/secrets/mfawatch")
	const pods = "map[app.kubernetes.io/instance:mfawatch app.kubernetes.io/name:mfawatch]"
	for _, f := range []struct{ kind, path, want string }{
		{"StatefulSet", "spec.replicas", "3"},
		{"StatefulSet", "spec.updateStrategy.type", "RollingUpdate"},
		{"StatefulSet", "spec.volumeClaimTemplates", "<nil>"},
		{"StatefulSet", "spec.template.spec.volumes.1", "map[emptyDir:map[sizeLimit:5Gi] name:journal]"},
		{"StatefulSet", "spec.template.spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.0.podAffinityTerm.labelSelector.matchLabels", pods},
		{"PodDisruptionBudget", "spec.maxUnavailable", "1"},
		{"NetworkPolicy", "spec.ingress.1.from.0.podSelector.matchLabels", pods},
		{"NetworkPolicy", "spec.egress.0.to.0.podSelector.matchLabels", pods},
	} {
		if got := fmt.Sprint(at(objects[f.kind], f.path)); got != f.want {
			t.Errorf("%s %s: %s, want %s", f.kind, f.path, got, f.want)
		}
	}
	var c struct{ Journal map[string]any }
	if err := yaml.Unmarshal([]byte(config), &c); err != nil || fmt.Sprint(c.Journal) != "map[brokers:[kafka:9093] path:/var/lib/mfawatch/cache tls:map[enabled:true] type:kafka]" {
		t.Errorf("%v, %v", c.Journal, err)
	}
	alone := rendered(t)["StatefulSet"]
	if volume := at(alone, "spec.volumeClaimTemplates.0.metadata.name"); volume != "journal" {
		t.Errorf("a journal file has the volume %v", volume)
	}
	if got := at(alone, "spec.podManagementPolicy"); got != "Parallel" {
		t.Errorf("one replica: podManagementPolicy %v, want Parallel: a correction would not replace a pod that never became ready", got)
	}
}

// A mistake in the values is refused.
func TestHelmValuesSchema(t *testing.T) {
	tool(t, "helm", "template", "helm/mfawatch")
	tool(t, "helm", "template", "helm/mfawatch", "--set", "config.shutdown_timeout=44s500ms")
	tool(t, "helm", "template", "helm/mfawatch", "--set", "config.shutdown_timeout=1m30s,terminationGracePeriodSeconds=91")
	for _, set := range []string{"image.repositry=x", "serviceAccount.roleArn=mfawatch", "config.journal.path=x", "config.sources=null", "networkPolicy.ports[0]=smtp", "replicas=3", "replicas=0", "journal.kafka.path=x", "config.accounts.12345678901.name=x",
		"terminationGracePeriodSeconds=20", "config.shutdown_timeout=45s", "config.shutdown_timeout=1m30s", "config.shutdown_timeout=30s,journal.kafka.brokers={kafka:9093}"} {
		if out, err := exec.Command("helm", "template", "helm/mfawatch", "--set", set).CombinedOutput(); err == nil {
			t.Errorf("--set %s is accepted:\n%s", set, out)
		}
	}
}
