package trail

import (
	"strings"
	"testing"
)

// A mapped record that is doubtful is reported; one of a call that failed is an
// attempt.
func TestMappedRecordsInDoubt(t *testing.T) {
	with := func(member string) string { return strings.TrimSuffix(ecs, "}") + "," + member + "}" }
	deep := strings.Repeat("[", maxNesting+1) + strings.Repeat("]", maxNesting+1)
	for _, c := range []struct{ name, doc, reason string }{
		{"two names", with(`"event":{"action":"CheckMfa"}`), "ecs"},
		{"two names, the last of which nobody watches", with(`"event":{"action":"ListUsers"}`), "ecs"},
		{"the same name twice", with(`"event.action":"DeactivateMFADevice"`), "ecs"},
		{"no valid JSON", with(`"x":tru`), "ecs"},
		{"no parameters", strings.Replace(ecs, `"request_parameters"`, `"other"`, 1), "ecs"},
		{"a sign-in without its response", strings.NewReplacer("DeactivateMFADevice", "ConsoleLogin", "iam.amazonaws", "signin.amazonaws").Replace(ecs), "ecs"},
		{"nested too deep", with(`"x":` + deep), "too_deep"},
	} {
		if v, _ := scanBytes(t, c.doc); v.names() != "" || v.reasons() != c.reason || !v.unreadable[0].Watched {
			t.Errorf("%s: found %q, unreadable %q, want %q", c.name, v.names(), v.reasons(), c.reason)
		}
	}
	failed := strings.Replace(ecs, `"event.outcome":"success"`, `"event.outcome":"failure"`, 1)
	if v, _ := scanBytes(t, failed); len(v.events) != 1 || !v.events[0].Failed() {
		t.Errorf("a call that failed: %s", v.summary())
	}
}
