package aws

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Nothing of the machine's own settings, and no server of metadata.
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			_ = os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		_ = os.Setenv(name, value)
	}
	goleak.VerifyTestMain(m)
}

var unlogged = slog.New(slog.DiscardHandler)

const secretWord = "correct-horse-battery"

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestValidate(t *testing.T) {
	for name, test := range map[string]struct {
		c    Config
		want string // the whole error
	}{
		"nothing":            {Config{}, ""},
		"region":             {Config{Region: "us-gov-west-1"}, ""},
		"region of others":   {Config{Region: "garage"}, ""},
		"a zone":             {Config{Region: "us-east-1a"}, `region: want a region such as us-east-1, got the availability zone "us-east-1a"`},
		"a zone afar":        {Config{Region: "us-gov-west-1b"}, `region: want a region such as us-gov-west-1, got the availability zone "us-gov-west-1b"`},
		"region in words":    {Config{Region: "Ireland"}, `region: want a region such as us-east-1, got "Ireland"`},
		"endpoint":           {Config{Endpoint: "http://127.0.0.1:5000"}, ""},
		"endpoint no scheme": {Config{Endpoint: "127.0.0.1:5000"}, `endpoint: want a URL such as http://127.0.0.1:5000, got one that cannot be read`},
		"endpoint no URL":    {Config{Endpoint: "sqs.example.net"}, `endpoint: want a URL such as http://127.0.0.1:5000, got one that does not begin with https:// or http://`},
		"endpoint no host":   {Config{Endpoint: "https:///x"}, `endpoint: want a URL such as http://127.0.0.1:5000, got one without a host`},
		"endpoint user":      {Config{Endpoint: "https://me:" + secretWord + "@example.net"}, `endpoint: want a URL such as http://127.0.0.1:5000, got one with a user in it`},
		"endpoint query":     {Config{Endpoint: "https://example.net?x=" + secretWord}, `endpoint: want a URL such as http://127.0.0.1:5000, got one with more than a path behind the host`},
		"keys":               {Config{AccessKeyID: "AKIA", SecretAccessKey: secretWord, SessionToken: secretWord}, ""},
		"keys by file":       {Config{AccessKeyID: "AKIA", SecretAccessKeyFile: write(t, "key", secretWord+"\n")}, ""},
		"key without secret": {Config{AccessKeyID: "AKIA"}, `secret_access_key_file: missing; want the path of a file that holds the secret of access_key_id`},
		"secret without key": {Config{SecretAccessKey: secretWord}, `secret_access_key: has no effect without access_key_id`},
		"file without key":   {Config{SecretAccessKeyFile: "x"}, `secret_access_key_file: has no effect without access_key_id`},
		"token without key":  {Config{SessionToken: secretWord}, `session_token: has no effect without access_key_id`},
		"secret twice":       {Config{AccessKeyID: "AKIA", SecretAccessKey: secretWord, SecretAccessKeyFile: "x"}, `secret_access_key_file: set beside secret_access_key; want one of them`},
		"file is not there":  {Config{AccessKeyID: "AKIA", SecretAccessKeyFile: "/nonexistent"}, `secret_access_key_file: open /nonexistent: no such file or directory`},
		"role":               {Config{RoleARN: "arn:aws-cn:iam::111122223333:role/path/mfawatch", ExternalID: "our=id"}, ""},
		"role by name":       {Config{RoleARN: "mfawatch"}, `role_arn: want the ARN of a role such as arn:aws:iam::111122223333:role/mfawatch, got "mfawatch"`},
		"user for a role":    {Config{RoleARN: "arn:aws:iam::111122223333:user/x"}, `role_arn: want the ARN of a role such as arn:aws:iam::111122223333:role/mfawatch, got "arn:aws:iam::111122223333:user/x"`},
		"id without role":    {Config{ExternalID: "ours"}, `external_id: has no effect without role_arn`},
		"id of one letter":   {Config{RoleARN: "arn:aws:iam::111122223333:role/x", ExternalID: "o"}, `external_id: want 2 to 1224 letters, digits and any of _+=,.@:/-, got "o"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := test.c.Validate(); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestSecretsAreHidden(t *testing.T) {
	c := Config{AccessKeyID: "AKIA", SecretAccessKey: secretWord, SessionToken: secretWord}
	for _, text := range []string{fmt.Sprintf("%v", c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprint(c.SessionToken)} {
		if strings.Contains(text, secretWord) {
			t.Errorf("shown: %s", text)
		}
	}
	if text, err := c.SecretAccessKey.MarshalText(); err != nil || string(text) != "(hidden)" {
		t.Errorf("got %s, %v", text, err)
	}
	if text, _ := Secret("").MarshalText(); len(text) > 0 {
		t.Errorf("no secret is shown as %q", text)
	}
}

// The region: ours, the environment's, the one that is known anyway, or an error.
func TestRegion(t *testing.T) {
	for name, test := range map[string]struct{ ours, environment, known, want string }{
		"ours":        {"eu-west-1", "eu-west-2", "eu-west-3", "eu-west-1"},
		"environment": {"", "eu-west-2", "eu-west-3", "eu-west-2"},
		"known":       {"", "", "eu-west-3", "eu-west-3"},
		"none":        {"", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_REGION", test.environment)
			config, err := Config{Region: test.ours}.Load(t.Context(), test.known, unlogged)
			if test.want == "" {
				if err == nil || err.Error() != "region: missing; want one such as us-east-1, here or in the environment as AWS_REGION" {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || config.Region != test.want {
				t.Errorf("got %q, %v; want %q", config.Region, err, test.want)
			}
		})
	}
}

func TestProfile(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", write(t, "config", "[profile work]\nregion = ap-south-1\naws_access_key_id = AKIAWORK\naws_secret_access_key = x\n"))
	config, err := Config{Profile: "work"}.Load(t.Context(), "", unlogged)
	if err != nil || config.Region != "ap-south-1" {
		t.Fatalf("got %q, %v", config.Region, err)
	}
	if keys, err := config.Credentials.Retrieve(t.Context()); err != nil || keys.AccessKeyID != "AKIAWORK" {
		t.Errorf("got %s, %v", keys.AccessKeyID, err)
	}
	_, err = Config{Profile: "wrok"}.Load(t.Context(), "", unlogged)
	if err == nil || err.Error() != `profile: the shared files of AWS, such as ~/.aws/config, have no profile "wrok"` {
		t.Errorf("got %v", err)
	}
}

// Load asks no server, not even a server of metadata that never answers.
func TestLoadDoesNotWait(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked") }))
	defer silent.Close()
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", silent.URL)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // what would ask could not
	if _, err := (Config{RoleARN: "arn:aws:iam::111122223333:role/x"}).Load(ctx, "us-east-1", unlogged); err != nil {
		t.Error(err)
	}
}

// Messages of the SDK go to the log, and not beside it.
func TestSDKLogs(t *testing.T) {
	machine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut: // IMDSv2
			w.WriteHeader(http.StatusForbidden)
		case strings.HasSuffix(r.URL.Path, "/security-credentials/"):
			_, _ = io.WriteString(w, "role")
		default:
			_, _ = fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"ASIAMACHINE","SecretAccessKey":%q,"Token":"t","Expiration":%q}`,
				secretWord, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		}
	}))
	defer machine.Close()
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.URL)
	var said strings.Builder
	config, err := Config{}.Load(t.Context(), "us-east-1", slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := config.Credentials.Retrieve(t.Context()); err != nil || keys.AccessKeyID != "ASIAMACHINE" {
		t.Fatalf("got %s, %v", keys.AccessKeyID, err)
	}
	if text := said.String(); !strings.Contains(text, "level=WARN") || !strings.Contains(text, "falling back to IMDSv1") || strings.Contains(text, secretWord) {
		t.Errorf("logged %q", text)
	}
}

// A key that changes in its file is the new one when the old is not used any more.
func TestKeyFile(t *testing.T) {
	path := write(t, "key", "first\r\n")
	config, err := Config{AccessKeyID: "AKIA", SecretAccessKeyFile: path}.Load(t.Context(), "us-east-1", unlogged)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := config.Credentials.Retrieve(t.Context())
	if err != nil || keys.SecretAccessKey != "first" {
		t.Fatalf("got %q, %v", keys.SecretAccessKey, err)
	}
	if left := time.Until(keys.Expires); !keys.CanExpire || left <= 0 || left > keysFor {
		t.Errorf("used for %s", left)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = Config{AccessKeyID: "AKIA", SecretAccessKeyFile: path}.keys(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "secret_access_key_file: open "+path) {
		t.Errorf("got %v", err)
	}
}

// The role is assumed at the first request, as ours and with the external ID,
// and the service is asked with the role's keys.
func TestRole(t *testing.T) {
	var asked url.Values
	var signed, agent string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("X-Amz-Target") == "" {
			asked, _ = url.ParseQuery(string(body))
			_, _ = fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
			return
		}
		signed, agent = r.Header.Get("Authorization"), r.Header.Get("User-Agent")
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, `{}`)
	}))
	defer server.Close()
	config, err := Config{
		Endpoint: server.URL, AccessKeyID: "AKIAOURS", SecretAccessKey: secretWord,
		RoleARN: "arn:aws:iam::111122223333:role/reader", ExternalID: "ours",
	}.Load(t.Context(), "eu-west-1", unlogged)
	if err != nil {
		t.Fatal(err)
	}
	if asked != nil {
		t.Error("asked before the first request")
	}
	if _, err := sqs.NewFromConfig(config).ListQueues(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"Action": "AssumeRole", "RoleArn": "arn:aws:iam::111122223333:role/reader", "ExternalId": "ours", "RoleSessionName": "mfawatch",
	} {
		if got := asked.Get(key); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	if !strings.Contains(signed, "Credential=ASIAROLE/") || !strings.Contains(signed, "/eu-west-1/sqs/") {
		t.Errorf("signed by %s", signed)
	}
	if !strings.Contains(agent, "app/mfawatch") {
		t.Errorf("called us %s", agent)
	}
}
