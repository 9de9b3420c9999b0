package config

import "testing"

// The place of a service needs no other key, nor its secrets.
func TestLoadPlace(t *testing.T) {
	const rest = "sources: {local: {type: files, paths: ['${UNSET}']}}\nsinks: {page: {type: nonsense, token: '${UNSET}'}}\nrouts: 1\n"
	for _, tt := range []struct {
		name, text, address, journal, wrong string
		environ                             []string
	}{
		{name: "defaults", address: "127.0.0.1:9464", journal: "bbolt mfawatch.db"},
		{name: "a file", text: "http: {address: '${HOST}:1'}\njournal: {path: a.db}\n", environ: []string{"HOST=::1"}, wrong: "test:4: http.address: want host:port such as 127.0.0.1:9464, or off, got \"::1:1\""},
		{name: "a variable", text: "http: {address: '127.0.0.1:1'}\n", environ: []string{"MFAWATCH_HTTP__ADDRESS=127.0.0.1:2"}, address: "127.0.0.1:2", journal: "bbolt mfawatch.db"},
		{name: "a shared journal", text: "journal: {type: kafka, path: caches, brokers: ['${UNSET}'], sasl: {password: '${UNSET}'}}\n", address: "127.0.0.1:9464", journal: "kafka caches"},
		{name: "a reference", text: "http: {address: '${UNSET}'}\n", wrong: "test:4: http.address: the environment variable UNSET is not set; set it, or write ${UNSET:-default}"},
		{name: "a wrong type", text: "journal: {type: file}\n", wrong: "test:4: journal.type: unknown \"file\"; known are bbolt, kafka"},
		{name: "a wrong zone", text: "time_zone: Nowhere\n", wrong: "test:4: time_zone: want a name such as Europe/Vienna, or UTC, got \"Nowhere\""},
		{name: "a wrong account", text: "accounts: {12: {name: x}}\n", wrong: "test:4: accounts.12: want an account's number, 12 digits in quotes"},
		{name: "an unknown key", text: "http: {addresss: x}\n", wrong: "test:4: http.addresss: unknown key; did you mean address?"},
		{name: "no map", text: "http: 5\n", wrong: "test:4: http: want a map of keys to values, got 5"},
	} {
		p, err := LoadPlace([]Text{{"test", []byte(rest + tt.text)}}, tt.environ)
		switch {
		case err != nil || tt.wrong != "":
			if err == nil || err.Error() != tt.wrong {
				t.Errorf("%s: got %v, want %s", tt.name, err, tt.wrong)
			}
		case p.HTTP.Address != tt.address || p.Journal.Type+" "+p.Journal.Path != tt.journal:
			t.Errorf("%s: got %+v", tt.name, p)
		}
	}
}
