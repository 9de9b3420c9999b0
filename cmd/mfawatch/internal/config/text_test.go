package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const leastConfig = "sources: {local: {type: files, paths: [x]}}\nsinks: {console: {type: stdout}}\n"

// References are replaced in values, and nowhere else.
func TestReferences(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("\uFEFFfrom a file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"HOST=db", "EMPTY=", "HOST=db2", "NESTED=${HOST}"}
	for _, tt := range []struct{ value, want string }{
		{"plain $HOST {HOST}", "plain $HOST {HOST}"},
		{"${HOST}.example.net", "db2.example.net"},
		{"${HOST}${HOST}", "db2db2"},
		{"${EMPTY}", ""},
		{"${EMPTY:-none}", "none"},
		{"${UNSET:-}", ""},
		{"${UNSET:-a b}", "a b"},
		{"${file:" + file + "}", "from a file"},
		{"$${HOST}", "${HOST}"},
		{"$$${HOST}", "$${HOST}"},
		{"${NESTED}", "${HOST}"}, // replaced once
	} {
		r := textReader{lookup: lookup(environ), places: places{}}
		if got := r.expand("field", tt.value); got != tt.want || r.mistakes != nil {
			t.Errorf("%s: got %q, %v, want %q", tt.value, got, r.mistakes, tt.want)
		}
		r = textReader{lookup: lookup(environ)}
		if got := r.expand("field", Escape(tt.value)); got != tt.value {
			t.Errorf("%s escaped: got %q", tt.value, got)
		}
	}
	for _, value := range []string{"${", "${}", "${1A}", "${A", "${A:-", "${file:}", "${UNSET}", "${file:/nonexistent}"} {
		r := textReader{lookup: lookup(environ)}
		if r.expand("field", value); len(r.mistakes) != 1 {
			t.Errorf("%s: %v, want one mistake", value, r.mistakes)
		}
	}
}

func TestReferencesInAConfiguration(t *testing.T) {
	c, err := Load("test", []byte(leastConfig+"# ${IN_A_COMMENT}\nshutdown_timeout: ${WAIT}\nretention: ${DAYS:-40d}\naccounts: {012345678901: {name: '$${x}'}}\n"), []string{"WAIT=7s"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if FormatDuration(c.ShutdownTimeout) != "7s" || FormatDuration(c.Retention) != "40d" || c.Accounts["012345678901"].Name != "${x}" {
		t.Errorf("got %+v", c.Settings)
	}
}

// A password that begins with ! would lose its first word, without a message. No
// message shows a secret.
func TestTagsAndPasswordsAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"sinks: {mail: {type: email, host: h, from: a@example.net, to: [b@example.net], username: u, password: !hunter2 x}}": "sinks.mail.password: begins with !",
		"sinks: {mail: {type: !hunter2 stdout}}":                                       "sinks.mail.type: begins with !",
		"sinks: {mail: !hunter2 {type: stdout}}":                                       "sinks.mail: begins with !",
		"sinks: {mail: {type: email, to: [a@example.net, !hunter2 b]}}":                "sinks.mail.to[1]: begins with !",
		"sinks: {out: {type: stdout}}\nhttp: {url: 'https://ann:hunter2@example.net'}": "got one that is not shown",
	} {
		_, err := Load("test", []byte("sources: {local: {type: files, paths: [x]}}\n"+text+"\n"), nil, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if _, err := Load("test", []byte(leastConfig+"log: {level: !!str warn}\n"), nil, nil); err != nil {
		t.Errorf("a tag of YAML: %v", err)
	}
}

// Texts are merged in their order, and each mistake names its file and line.
func TestTexts(t *testing.T) {
	base := Text{"base.yaml", []byte(leastConfig + "log: {level: warn, format: json}\nescalate_after: [1h, 2h]\n")}
	c, err := LoadTexts([]Text{base, {"more.yaml", []byte("log: {level: debug}\nescalate_after: [3h]\n")}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Log.Level != "debug" || c.Log.Format != "json" || len(c.EscalateAfter) != 1 {
		t.Errorf("got %+v", c.Settings)
	}
	for _, tt := range []struct{ more, want string }{
		{"\nlog:\n  level: loud\n", `more.yaml:3: log.level: unknown "loud"; known are debug, info, warn, error`},
		{"log: {level: loud}\nsinks:\n  hook:\n    type: file\n    paht: x\nretention: 3\n", "base.yaml, more.yaml: 3 mistakes:\n" +
			"  more.yaml:1: log.level: unknown \"loud\"; known are debug, info, warn, error\n" +
			"  more.yaml:6: retention: want a duration such as 90s, 15m or 35d, got 3\n" +
			"  more.yaml:5: sinks.hook.paht: unknown key; did you mean path?"},
		{"log: {level: '${UNSET}', format: xml}\n", "base.yaml, more.yaml: 2 mistakes:\n" +
			"  more.yaml:1: log.format: unknown \"xml\"; known are text, json\n" +
			"  more.yaml:1: log.level: the environment variable UNSET is not set; set it, or write ${UNSET:-default}"},
		{"a: &a\n  b: *a\n", "more.yaml: not readable as YAML; check for values that need quotes"},
		{"---\nlog: {level: debug}\n---\nhttp: {address: 'off'}\n", "more.yaml:4: want one YAML document, got a second one after ---; remove the ---, or give each document a file and a -c"},
		{"log: {level: loud}\n---\n# nothing\n", `more.yaml:1: log.level: unknown "loud"; known are debug, info, warn, error`},
		{"log: &log {level: loud}\nhttp: *log\n", ""},
	} {
		_, err := LoadTexts([]Text{base, {"more.yaml", []byte(tt.more)}}, nil, nil)
		if err == nil || tt.want != "" && err.Error() != tt.want {
			t.Errorf("%q: got\n%v\nwant\n%s", tt.more, err, tt.want)
		}
	}
}

// The keys of a merge give way to those beside it.
func TestMergeKeys(t *testing.T) {
	const text = "base: &base {a: 1, b: 2}\nother: &other {b: 3, c: 4}\nall: {b: 9, <<: [*base, *other]}\n"
	r := textReader{name: "test", places: places{}}
	got, err := r.read([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	all := got["all"].(map[string]any)
	if len(all) != 3 || all["a"] != 1 || all["b"] != 9 || all["c"] != 4 {
		t.Errorf("got %v", all)
	}
}
