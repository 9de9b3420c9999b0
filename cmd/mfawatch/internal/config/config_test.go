package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/kafka"
	"github.com/mfawatch/mfawatch/sinks/file"
	"github.com/mfawatch/mfawatch/sources/files"
	kafkasource "github.com/mfawatch/mfawatch/sources/kafka"
)

const configData = "../../../../testdata/config/"

// Each mistake is a file, with the exact message beside it.
func TestConfigMistakes(t *testing.T) {
	paths, err := filepath.Glob(configData + "bad-*.yaml")
	if err != nil || len(paths) < 30 {
		t.Fatalf("%d files of mistakes, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want, err := os.ReadFile(strings.TrimSuffix(path, ".yaml") + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			c, err := loadFile(path)
			var mistake *Error
			if !errors.As(err, &mistake) {
				t.Fatalf("got %v, %v; want a refusal", c, err)
			}
			place := regexp.MustCompile("(?m)^( *)" + regexp.QuoteMeta(path) + "(:[1-9][0-9]*)?: ")
			got := place.ReplaceAllString(err.Error(), "$1")
			if !strings.HasPrefix(err.Error(), path+":") || got != strings.TrimSpace(string(want)) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestConfigDefaults(t *testing.T) {
	const least = "sources: {local: {type: files, paths: [x]}}\nsinks: {console: {type: stdout}}\n"
	c, err := Load("test", []byte(least), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c.Settings, Defaults()) {
		t.Errorf("got %+v, want the defaults %+v", c.Settings, Defaults())
	}
}

// defaults < file < environment < flags.
func TestConfigPrecedence(t *testing.T) {
	const text = "sources: {local: {type: files, paths: [x]}}\nsinks: {my-audit: {type: file, path: a}, b: {type: stdout}}\n" +
		"journal: {path: file.db}\nlog: {level: warn, format: json}\nescalate_after: [1h]\n"
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(flags)
	if err := flags.Parse([]string{"--log-level", "error"}); err != nil {
		t.Fatal(err)
	}
	c, err := Load("test", []byte(text), []string{
		"MFAWATCH_LOG__LEVEL=debug", "MFAWATCH_JOURNAL__PATH=env.db", "MFAWATCH_ESCALATE_AFTER=5m,2d",
		"MFAWATCH_SINKS__MY_AUDIT__PATH=env.jsonl", "MFAWATCH_SOURCES__LOCAL__PATHS=x, y",
		"MFAWATCH_TEST_KAFKA=ours", "MFAWATCH_PORT=tcp://10.0.0.1:80", "MFAWATCH_SERVICE_HOST=10.0.0.1", "PATH=/bin",
	}, flags)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		field     string
		got, want any
	}{
		{"shutdown_timeout (default)", c.ShutdownTimeout, 20 * time.Second},
		{"log.format (file)", c.Log.Format, "json"},
		{"journal.path (environment)", c.Journal.Path, "env.db"},
		{"escalate_after (environment)", c.EscalateAfter, []time.Duration{5 * time.Minute, 48 * time.Hour}},
		{"sinks.my-audit.path (environment)", c.Sinks["my-audit"].(*sinkEntry[file.Config]).Config.Path, "env.jsonl"},
		{"sources.local.paths (environment)", c.Sources["local"].(*sourceEntry[files.Config]).Config.Paths, []string{"x", "y"}},
		{"log.level (flag)", c.Log.Level, "error"},
	} {
		if !reflect.DeepEqual(f.got, f.want) {
			t.Errorf("%s: got %v, want %v", f.field, f.got, f.want)
		}
	}
}

// A mistake in the environment is reported with the variable.
func TestConfigEnvironmentMistake(t *testing.T) {
	const file = "sources: {local: {type: files, paths: [x]}}\nsinks: {console: {type: stdout}}\n"
	for variable, want := range map[string]string{
		"MFAWATCH_SHUTDOWN_TIMEOUT=soon": `test: shutdown_timeout: want a duration such as 90s, 15m or 35d, got "soon" (from MFAWATCH_SHUTDOWN_TIMEOUT)`,
		"MFAWATCH_HTP__ADDRESS=x":        `test: htp: unknown key; did you mean http? (from MFAWATCH_HTP__ADDRESS)`,
		"MFAWATCH_LOG_LEVEL=debug":       `test: log_level: unknown key; did you mean MFAWATCH_LOG__LEVEL? Two underscores separate keys`,
		"MFAWATCH_NOTHING=1":             `test: nothing: unknown key (from MFAWATCH_NOTHING)`,
		"MFAWATCH_LOG__LEVEL=":           `test: log.level: missing; known are debug, info, warn, error (from MFAWATCH_LOG__LEVEL)`,
		"MFAWATCH_SINKS__CONSOLE__X=no":  `test: sinks.console.x: unknown key; known are concurrency, format, group, rate, retry, timeout, type (from MFAWATCH_SINKS__CONSOLE__X)`,
	} {
		_, err := Load("test", []byte(file), []string{variable}, nil)
		if err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", variable, err, want)
		}
	}
}

// The output of check holds no secret, and is the same configuration again.
func TestConfigEffective(t *testing.T) {
	c, err := loadFile(configData + "good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := Effective(c)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(configData + "good.effective.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != string(want) {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	again, err := Load("again", text, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Settings, c.Settings) {
		t.Errorf("read again: got %+v, want %+v", again.Settings, c.Settings)
	}
	twice, err := Effective(again)
	if err != nil {
		t.Fatal(err)
	}
	if string(twice) != string(text) {
		t.Errorf("printed again:\n%s", twice)
	}
}

// No secret value reaches a message or the printed configuration, whatever else
// is wrong.
func TestConfigTellsNoSecret(t *testing.T) {
	const canary = "c4n4ry-s3cr3t"
	entry := func(sasl string) string {
		return "sources: {trail: {type: kafka, brokers: [a:1], topics: [t], tls: {enabled: true}, sasl: " + sasl + "}}\nsinks: {console: {type: stdout}}\n"
	}
	hook := func(rest string) string {
		return "sources: {local: {type: files, paths: [x]}}\nsinks: {hook: {type: webhook, " + rest + "}}\n"
	}
	ticket := func(rest string) string {
		return "sources: {local: {type: files, paths: [x]}}\nsinks: {desk: {" + rest + "}}\n"
	}
	mail := func(rest string) string {
		return "sources: {local: {type: files, paths: [x]}}\nsinks: {mail: {type: email, host: smtp.example.net, username: u, from: a@example.net, to: [b@example.net], " + rest + "}}\n"
	}
	text := func(provider, rest string) string {
		return "sources: {local: {type: files, paths: [x]}}\nsinks: {text: {type: sms, provider: " + provider + ", to: ['+15551234567'], " + rest + "}}\n"
	}
	for name, file := range map[string]string{
		"webhook":           hook("url: 'https://u:" + canary + "@hooks.example.net/" + canary + "?t=" + canary + "', headers: {Authorization: Bearer " + canary + "}"),
		"webhook's list":    hook("url: 'https://hooks.example.net/" + canary + "', headers: {Authorization: [" + canary + "]}"),
		"webhook's secret":  hook("url: 'https://hooks.example.net/" + canary + "', secrets: [whsec_" + canary + "]"),
		"webhook's secrets": hook("url: 'https://hooks.example.net/" + canary + "', secrets: whsec_" + canary),
		"webhook's URL":     hook("url: 'htps://hooks.example.net/" + canary + "'"),
		"webhook's header":  hook("url: 'https://hooks.example.net/', headers: {Content-Type: " + canary + "}"),
		"servicenow":        ticket("type: servicenow, url: 'https://acme.example', username: u, password: " + canary),
		"its key":           ticket("type: servicenow, url: 'https://acme.example', api_key: " + canary),
		"both":              ticket("type: servicenow, url: 'https://acme.example', token: " + canary + ", api_key: " + canary),
		"zendesk":           ticket("type: zendesk, url: 'https://acme.example', email: a@b.example, token: " + canary),
		"its desk":          ticket("type: zendesk, url: 'https://u:" + canary + "@acme.example', token: " + canary),
		"text":              text("sns", "access_key_id: AKIAX, secret_access_key: "+canary+", session_token: "+canary),
		"text by Twilio":    text("twilio", "from: '+15551234567', account_sid: AC0123456789abcdef0123456789abcdef, auth_token: "+canary),
		"text, no account":  text("twilio", "account_sid: x, auth_token: "+canary),
		"mail":              mail("password: " + canary),
		"mail, twice":       mail("password: " + canary + ", password_file: /dev/null"),
		"mail, no user":     mail("password: " + canary + ", usernme: x"),
		"mail, a list":      mail("password: [" + canary + "]"),
		"sound":             entry("{mechanism: plain, username: u, password: " + canary + "}"),
		"token":             entry("{mechanism: oauthbearer, token: " + canary + "}"),
		"a list":            entry("{mechanism: plain, username: u, password: [" + canary + "]}"),
		"a map":             entry("{mechanism: plain, username: u, password: {" + canary + ": x}}"),
		"misspelt key":      entry("{mechanism: plain, username: u, pasword: " + canary + "}"),
		"wrong mechanism":   entry("{mechanism: aws-msk-iam, password: " + canary + "}"),
		"no user":           entry("{mechanism: plain, password: " + canary + "}"),
		"anchor":            entry("{mechanism: plain, password: *" + canary + "}"),
		"tag":               entry("{mechanism: plain, password: !!int " + canary + "}"),
		"beside a mistake":  entry("{mechanism: plain, username: u, password: "+canary+"}") + "shutdown_timeout: soon\n",
		"not YAML":          entry("{mechanism: plain, password: \"" + canary + "}"),
		"whole file":        canary,
		"password and file": entry("{mechanism: plain, username: u, password: " + canary + ", password_file: /dev/null}"),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Load("test", []byte(file), nil, nil)
			said := ""
			if err != nil {
				said = err.Error()
			} else if text, err := Effective(c); err != nil {
				t.Fatal(err)
			} else if said = string(text); !strings.Contains(said, hidden) && !strings.Contains(said, "…") {
				t.Errorf("nothing is hidden:\n%s", said)
			}
			if strings.Contains(said, canary) {
				t.Errorf("the secret is shown:\n%s", said)
			}
		})
	}
	t.Run("environment", func(t *testing.T) {
		c, err := Load("test", []byte(entry("{mechanism: plain, username: u}")), []string{"MFAWATCH_SOURCES__TRAIL__SASL__PASSWORD=" + canary}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Sources["trail"].(*sourceEntry[reached[kafka.Config, kafkasource.Config]]).Config.Reach.SASL.Password; got != canary {
			t.Errorf("password from the environment: got %q", got)
		}
		if text, _ := Effective(c); strings.Contains(string(text), canary) {
			t.Errorf("the secret is shown:\n%s", text)
		}
	})
}

// Variables that contradict each other are a mistake, and no panic.
func TestConfigEnvironmentContradicts(t *testing.T) {
	const file = "sources: {local: {type: files, paths: [x]}}\nsinks: {console: {type: stdout}}\n"
	for _, environ := range [][]string{
		{"MFAWATCH_LOG=x", "MFAWATCH_LOG__LEVEL=debug"},
		{"MFAWATCH_LOG__LEVEL=debug", "MFAWATCH_LOG=x"},
		{"MFAWATCH_SOURCES=x", "MFAWATCH_SOURCES__LOCAL__PATHS=y"},
		{"MFAWATCH_SINKS__CONSOLE=x"},
		{"MFAWATCH___=x", "MFAWATCH_____=y"},
	} {
		var mistake *Error
		if _, err := Load("test", []byte(file), environ, nil); !errors.As(err, &mistake) {
			t.Errorf("%q: got %v, want a mistake", environ, err)
		}
	}
}

func FuzzConfig(f *testing.F) {
	paths, _ := filepath.Glob(configData + "*.yaml")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "MFAWATCH_LOG__LEVEL=debug")
	}
	f.Add([]byte("log: x"), "MFAWATCH_LOG__LEVEL__X=y")
	f.Add([]byte("sources: {1: {type: files}}"), "MFAWATCH_SOURCES____=y")
	f.Fuzz(func(t *testing.T, text []byte, variable string) {
		c, err := Load("fuzz", text, []string{variable}, nil)
		var mistake *Error
		switch {
		case err == nil:
			if len(c.Sources) == 0 || len(c.Sinks) == 0 {
				t.Error("accepted without a source or a sink")
			}
			if _, err := Effective(c); err != nil {
				t.Error(err)
			}
		case !errors.As(err, &mistake) || len(mistake.Mistakes) == 0:
			t.Errorf("refused without a mistake: %v", err)
		}
	})
}

func loadFile(path string) (*Config, error) {
	text, err := ReadText(path)
	if err != nil {
		return nil, err
	}
	return LoadTexts([]Text{text}, nil, nil)
}
