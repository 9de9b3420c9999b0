package deploy

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// called returns the actions of AWS that the sources call.
func called(t *testing.T) []string {
	t.Helper()
	all := map[string]bool{"kms:Decrypt": true} // S3 and SQS do it for the reader
	operation := regexp.MustCompile(`(s3|sqs)\.([A-Z]\w+)Input\b`)
	action := map[string]string{
		"s3:ListObjectsV2": "s3:ListBucket", "sqs:DeleteMessageBatch": "sqs:DeleteMessage", "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
	}
	files, err := filepath.Glob("../sources/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "awstest") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range operation.FindAllStringSubmatch(string(text), -1) {
			name := m[1] + ":" + m[2]
			all[cmp.Or(action[name], name)] = true
		}
		if strings.Contains(string(text), ".VersionId = ") { // has a permission of its own
			all["s3:GetObjectVersion"] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// listed returns the actions of a statement, one or several.
func listed(action any) (all []string) {
	if one, ok := action.(string); ok {
		return []string{one}
	}
	for _, one := range action.([]any) {
		all = append(all, one.(string))
	}
	return all
}

// block returns the text of a block of Terraform.
func block(t *testing.T, path, head string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n"+head+" {\n")
	body, _, closed := strings.Cut(rest, "\n}\n")
	if !found || !closed {
		t.Fatalf("%s has no block %s", path, head)
	}
	return body
}

// CloudFormation and Terraform allow what the program calls, and nothing else.
func TestReaderPoliciesAreWhatIsCalled(t *testing.T) {
	want := called(t)
	var formation []string
	policy := documents(t, "cloudformation/trail.yaml")[0]["Resources"].(map[string]any)["ReaderPolicy"].(map[string]any)["Properties"].(map[string]any)["PolicyDocument"].(map[string]any)
	for _, statement := range policy["Statement"].([]any) {
		formation = append(formation, listed(statement.(map[string]any)["Action"])...)
	}
	var terraform []string
	for _, line := range regexp.MustCompile(`actions\s+= \[(.*)\]`).FindAllStringSubmatch(block(t, "terraform/role.tf", `data "aws_iam_policy_document" "reader"`), -1) {
		for _, m := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(line[1], -1) {
			terraform = append(terraform, m[1])
		}
	}
	for name, got := range map[string][]string{"CloudFormation": formation, "Terraform": terraform} {
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s allows %v, the program calls %v", name, got, want)
		}
	}
}

// sourceArns returns the value of aws:SourceArn of each statement for a service, by
// Sid; "" where there is none.
func sourceArns(statements []any) map[string]string {
	all := map[string]string{}
	for _, s := range statements {
		if choice, ok := s.([]any); ok { // !If
			s = choice[1]
		}
		statement := s.(map[string]any)
		principal, _ := statement["Principal"].(map[string]any)
		if principal["Service"] == nil {
			continue
		}
		sid := statement["Sid"].(string)
		all[sid] = ""
		conditions, _ := statement["Condition"].(map[string]any)
		for _, of := range conditions {
			if arn := of.(map[string]any)["aws:SourceArn"]; arn != nil {
				all[sid] = fmt.Sprint(arn)
			}
		}
	}
	return all
}

// Services of AWS send to the queue, and use its key, for one bucket, rule or trail:
// not for those of another account (the confused deputy). EventBridge's use of the
// key is without a condition.
func TestOneBucketMayNotify(t *testing.T) {
	resources := documents(t, "cloudformation/trail.yaml")[0]["Resources"].(map[string]any)
	const trailArn, bucketArn, ruleArn = ":trail/${TrailName}", ":s3:::${BucketPrefix}-${AWS::AccountId}-${AWS::Region}", "ObjectCreated.Arn"
	for _, f := range []struct {
		resource, document string
		want               map[string]string
	}{
		{"QueuePolicy", "PolicyDocument", map[string]string{"BucketNotifies": bucketArn, "EventBridgeNotifies": ruleArn}},
		{"Key", "KeyPolicy", map[string]string{"CloudTrailEncrypts": trailArn, "BucketNotifies": bucketArn, "EventBridgeNotifies": ""}},
	} {
		policy := resources[f.resource].(map[string]any)["Properties"].(map[string]any)[f.document].(map[string]any)
		got := sourceArns(policy["Statement"].([]any))
		for sid, arn := range got {
			if want, known := f.want[sid]; !known || !strings.HasSuffix(strings.Trim(arn, "[]"), want) || want == "" && arn != "" {
				t.Errorf("CloudFormation, %s, %s: aws:SourceArn %q, want it to end in %q", f.resource, sid, arn, want)
			}
		}
		if len(got) != len(f.want) {
			t.Errorf("CloudFormation, %s: statements for services %v, want %v", f.resource, got, f.want)
		}
	}
	statement := regexp.MustCompile(`(?s)statement" ?\{|statement \{`)
	for document, want := range map[string]map[string]string{
		"queue": {"BucketNotifies": "local.bucket_arn", "EventBridgeNotifies": "statement.value.arn"},
		"key":   {"CloudTrailEncrypts": "local.trail_arn", "BucketNotifies": "local.bucket_arn", "EventBridgeNotifies": ""},
	} {
		found := 0
		for _, text := range statement.Split(block(t, "terraform/queue.tf", `data "aws_iam_policy_document" "`+document+`"`), -1) {
			sid := regexp.MustCompile(`sid\s+= "(\w+)"`).FindStringSubmatch(text)
			if sid == nil || !strings.Contains(text, `"Service"`) {
				continue
			}
			found++
			arn := ""
			if m := regexp.MustCompile(`variable = "aws:SourceArn"\s+values\s+= \[(.+)\]`).FindStringSubmatch(text); m != nil {
				arn = m[1]
			}
			if expected, known := want[sid[1]]; !known || arn != expected {
				t.Errorf("Terraform, %s, %s: aws:SourceArn %q, want %q", document, sid[1], arn, expected)
			}
		}
		if found != len(want) {
			t.Errorf("Terraform, %s: %d statements for services, want %d", document, found, len(want))
		}
	}
}

// The service account that IRSA allows is that of the chart and the manifest, and
// the outputs are those that the chart's values name.
func TestRolesFitTheServiceAccount(t *testing.T) {
	values := documents(t, "helm/mfawatch/values.yaml")[0]
	account := values["serviceAccount"].(map[string]any)["name"].(string)
	if got := block(t, "terraform/variables.tf", `variable "service_account"`); !strings.Contains(got, `= "`+account+`"`) {
		t.Errorf("Terraform allows another service account than %s: %s", account, got)
	}
	for _, d := range documents(t, "kubernetes/s3.yaml") {
		if d["kind"] == "ServiceAccount" && d["metadata"].(map[string]any)["name"] != account {
			t.Errorf("the manifest has another service account: %v", d["metadata"])
		}
	}
	template := documents(t, "cloudformation/trail.yaml")[0]
	reader := template["Parameters"].(map[string]any)["ReaderPrincipal"].(map[string]any)["AllowedValues"].([]any)
	if !slices.Contains(reader, any("pods.eks.amazonaws.com")) || !strings.Contains(block(t, "terraform/variables.tf", `variable "principals"`), "pods.eks.amazonaws.com") {
		t.Error("EKS Pod Identity may not assume the role")
	}
}

// Both make the same alarms, and let the queue forget a message after mfawatch does.
func TestTemplatesAgree(t *testing.T) {
	formation, err := os.ReadFile("cloudformation/trail.yaml")
	if err != nil {
		t.Fatal(err)
	}
	terraform, err := os.ReadFile("terraform/queue.tf")
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]string{
		{"maxReceiveCount: 20", "maxReceiveCount = 20"},
		{"MetricName: ApproximateAgeOfOldestMessage", `"ApproximateAgeOfOldestMessage"`},
		{"MetricName: ApproximateNumberOfMessagesVisible", `"ApproximateNumberOfMessagesVisible"`},
		{"MessageRetentionPeriod: 1209600", "message_retention_seconds  = 1209600"},
		{"VisibilityTimeout: 120", "visibility_timeout_seconds = 120"},
	} {
		if !strings.Contains(string(formation), pair[0]) || !strings.Contains(string(terraform), pair[1]) {
			t.Errorf("one of them lacks %q or %q", pair[0], pair[1])
		}
	}
}

func TestTerraformIsFormatted(t *testing.T) {
	files, err := filepath.Glob("terraform/*.tf")
	if err != nil || len(files) < 5 {
		t.Fatalf("%v, %v", files, err)
	}
	tool(t, "hclfmt", append([]string{"-check"}, files...)...)
}

// An organization's trail is made with its bucket alone: both refuse it beside an
// existing bucket, where it would have no effect.
func TestOrganizationBesideAnExistingBucket(t *testing.T) {
	precondition := regexp.MustCompile(`precondition \{\n\s+condition\s+= local\.create \|\| var\.organization_id == null\n`)
	if got := block(t, "terraform/trail.tf", `data "aws_caller_identity" "this"`); !precondition.MatchString(got) {
		t.Errorf("Terraform accepts organization_id with existing_bucket: %s", got)
	}
	rule := at(documents(t, "cloudformation/trail.yaml")[0], "Rules.OrganizationIsNamed").(map[string]any)
	if fmt.Sprint(rule["RuleCondition"]) != "[OrganizationTrail true]" {
		t.Fatalf("the rule is for %v", rule["RuleCondition"])
	}
	for _, a := range rule["Assertions"].([]any) {
		if fmt.Sprint(a.(map[string]any)["Assert"]) == "[ExistingBucket ]" {
			return
		}
	}
	t.Errorf("CloudFormation accepts OrganizationTrail with ExistingBucket: %v", rule)
}
