package config

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/mfawatch/mfawatch/processor/secret"
)

// The second server is for this machine, and there where http.address is for
// others.
func TestLocalAddress(t *testing.T) {
	for _, f := range []struct{ address, admin, want string }{
		{"127.0.0.1:9464", "", HTTPOff},
		{"localhost:9464", "", HTTPOff},
		{HTTPOff, "", HTTPOff},
		{"0.0.0.0:9464", "", defaultAdminAddress},
		{":9464", "", defaultAdminAddress},
		{"10.0.0.7:9464", HTTPOff, HTTPOff},
		{"127.0.0.1:9464", "unix:/run/admin.sock", "unix:/run/admin.sock"},
		{HTTPOff, "127.0.0.1:1", "127.0.0.1:1"},
	} {
		if got := (HTTPConfig{Address: f.address, AdminAddress: f.admin}).LocalAddress(); got != f.want {
			t.Errorf("%+v: %s", f, got)
		}
	}
}

// The shipped layouts have an address for the commands of their own runbook, which
// no other machine can reach.
func TestShippedLayoutsHaveALocalAddress(t *testing.T) {
	for path, want := range map[string]string{
		"kubernetes/mfawatch.yaml": defaultAdminAddress, "kubernetes/sidecar.yaml": "unix:/var/lib/mfawatch/admin.sock", "compose/mfawatch.yaml": "unix:/var/lib/mfawatch/admin.sock",
	} {
		text, err := os.ReadFile("../../../../deploy/" + path)
		if err != nil {
			t.Fatal(err)
		}
		settings := string(text)
		if _, data, ok := strings.Cut(settings, "  mfawatch.yaml: |\n"); ok { // a ConfigMap
			data, _, _ = strings.Cut(data, "\n---")
			settings = strings.ReplaceAll("\n"+data, "\n    ", "\n")
		}
		var c struct {
			HTTP struct {
				Address string `yaml:"address"`
				Admin   string `yaml:"admin_address"`
			} `yaml:"http"`
		}
		if err := yaml.Unmarshal([]byte(settings), &c); err != nil {
			t.Fatal(err)
		}
		got := HTTPConfig{Address: c.HTTP.Address, AdminAddress: c.HTTP.Admin}
		if got.mistakes(func(field, format string, args ...any) {
			t.Errorf("%s: %s: "+format, append([]any{path, field}, args...)...)
		}); got.LocalAddress() != want || secret.Loopback(got.Address) {
			t.Errorf("%s: %+v, want %s", path, got, want)
		}
	}
}
