package deploy

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// held names, for each sentence of SECURITY.md by how it begins, the tests that hold
// it, as folder and name. Without one it claims nothing of mfawatch: it says who is
// trusted with what, or advises.
var held = []struct {
	begins string
	tests  []string
}{
	{"Writers of a source are trusted", nil},
	{"mfawatch checks no signatures", nil},
	{"Whatever bytes they send", []string{"processor/trail FuzzScan", "processor/trail TestWorkIsBounded", "cmd/mfawatch TestMemoryOfRun"}},
	{"The package that reads them opens no file", []string{"deploy TestReadersOpenNothing"}},
	{"The writers are: bucket and queue: writers of the bucket write records", nil},
	{"Senders to the queue choose the objects", []string{"sources/s3 TestOtherBuckets", "sources/s3 TestConfigBuckets"}},
	{"Let the role read the trail's bucket alone", nil},
	{"Receivers of the queue can withhold", nil},
	{"Messages given up go to the quarantine", []string{"sources/s3 TestQuarantines"}},
	{"Kafka: writers of the topic", nil},
	{"With rights on the consumer group", nil},
	{"A batch that is corrupt or inflates", []string{"sources/kafka TestBatchTooLarge", "sources/kafka TestInflateBudget"}},
	{"HTTP: holders of a token", []string{"sources/httpin TestTokens", "sources/httpin TestMutualTLS"}},
	{"On a loopback address without either", []string{"sources/httpin TestWebPage"}},
	{"An address that other machines can reach is refused", []string{"sources/httpin TestConfig"}},
	{"omprog, pipe, files: writers of standard input", nil},
	{"A CloudTrail record in a syslog message counts", []string{"processor/trail TestR37_EveryEnvelopeGivesTheSameEvent"}},
	{"Callers of AWS, the attacker among them, choose text", nil},
	{"That text is bounded and never taken for a record", []string{"processor/trail TestHostileText", "processor/trail TestForgedRecords", "processor/trail TestCallersCannotChange"}},
	{"Where humans see it, control and bidirectional", []string{"processor/safetext TestClean", "processor/safetext TestUnlink", "sinks/message TestOfHostileText",
		"sinks/slack TestEscape", "sinks/slack TestConforms", "sinks/email TestConforms", "sinks/sms TestConforms", "sinks/pagerduty TestConforms",
		"sinks/servicenow TestConforms", "sinks/zendesk TestConforms", "cmd/mfawatch/internal/web TestPages"}},
	{"An alert for machines is free of them in title", []string{"processor/alerting TestHostileText"}},
	{"They can cause more alerts", nil},
	{"Calls by one actor are folded into one", []string{"processor/alerting TestAttemptsAreCounters", "processor/alerting TestCampaign", "sinks/dispatch TestBurstBecomesGroups", "sinks/dispatch TestRate"}},
	{"A critical alert is sent before the alerts", []string{"processor/route TestDecoysDelayNothing", "sinks/dispatch TestDecoysDelayNothing", "processor/route TestQueueUrgentOnly"}},
	{"It waits for sends that are under way", []string{"sinks/dispatch TestThrottledHoldsTheWholeSinkAlone", "sinks/dispatch TestHangingSendsDelayNothing", "processor/route TestMuteTimes"}},
	{"A channel that counts as down or misconfigured is tried", []string{"sinks/dispatch TestCriticalIsItsOwnProbe"}},
	{"They cannot cause fewer alerts", []string{"processor/alerting TestPolicyExtraCallsChangeNothing", "processor/trail TestDecoysHideNothing", "processor/alerting TestJ2_NoIntruderEndsAnExposure"}},
	{"They can profit from the configuration", nil},
	{"Write these as narrowly as possible", nil},
	{"Exploited exposures are alerted in any case", []string{"processor/alerting TestExpected", "processor/alerting TestSeverityRulesHideNoIntruder"}},
	{"A stopped trail, and objects deleted", nil},
	{"Alert on mfawatch_records_total standing still", nil},
	{"Authors of the configuration are trusted", nil},
	{"templates are Go templates over the alert", []string{"sinks/message TestTemplates"}},
	{"planned_changes_file can silence human sinks", []string{"processor TestExpectedChangesAreReported", "processor/alerting TestExpected"}},
	{"Restrict it to persons who may announce", nil},
	{"Recipients, and operators of the channels, read names", nil},
	{"Recipients in routes are never shown", []string{"cmd/mfawatch TestCanaryInEverySecret"}},
	{"The journal stores the recipients of open exposures", []string{"sinks/pagerduty TestTo"}},
	{"Answers of channels are untrusted", []string{"sinks/httpsend TestPostFaults", "cmd/mfawatch TestCanaryInWhatChannelsAnswer"}},
	{"An answer affects only its own alerts", []string{"sinks/dispatch TestOneSickExposureDoesNotHoldUpOthers"}},
	{"Redirects are not followed", []string{"sinks/httpsend TestPostRedirect", "sinks/httpsend TestPostDNS"}},
	{"Receivers of webhooks can verify", []string{"sinks/webhook TestSignature"}},
	{"The journal, file sinks and the file of scan --resume hold raw records", []string{"processor/journal TestOpenAfterAKilledCreation", "sinks/file TestFileModeIsRestricted", "cmd/mfawatch/internal/batch TestCheckpointModeIsRestricted"}},
	{"Those that others could read are set to it", []string{"processor/journal TestOpenRestrictsTheMode", "processor/ownfile TestModeAndLinks"}},
	{"The journal is sealed", []string{"processor/journal TestOpenDamagedJournals", "processor/journal TestOpenRefusesContradictions"}},
	{"A damaged journal is refused", []string{"processor/journal TestOpenDamageAnywhere"}},
	{"The seal detects damage, not a writer", nil},
	{"With journal.type: kafka its topics hold the same", nil},
	{"A record in the topic of events that is no event", []string{"cmd/mfawatch/internal/shard TestForeignRecords"}},
	{"Replicas ask each other with signed requests", []string{"cmd/mfawatch/internal/web TestSignature", "cmd/mfawatch/internal/web TestEndlessAnswers"}},
	{"There are no others, and none is reachable", []string{"cmd/mfawatch/internal/web TestListenersAreOnLoopback"}},
	{"On a non-loopback address http.address serves", []string{"cmd/mfawatch/internal/web TestGuard", "cmd/mfawatch/internal/web TestToken"}},
	{"A wrong token is refused on every address", []string{"cmd/mfawatch/internal/web TestToken"}},
	{"Programs on this machine need none", []string{"cmd/mfawatch/internal/web TestGuard", "cmd/mfawatch/internal/web TestCloseBodies"}},
	{"A Unix socket as http.admin_address", []string{"cmd/mfawatch/internal/web TestUnixSocket"}},
	{"With http.admin every client may see", []string{"cmd/mfawatch/internal/web TestGuard", "cmd/mfawatch/internal/web TestWhoMaySeePages"}},
	{"Put an authenticating proxy in front", nil},
	{"A proxy on this machine that forwards", []string{"cmd/mfawatch/internal/web TestWhoMayChange"}},
	{"Requests from other sites are refused", []string{"cmd/mfawatch/internal/web TestGuard"}},
	{"On loopback, requests under foreign host names", []string{"cmd/mfawatch/internal/web TestForeignHostsReadNothing"}},
	{"Secrets are read from files", []string{"cmd/mfawatch TestCanaryInEverySecret", "cmd/mfawatch TestCanaryInAService", "sinks/slack TestConforms", "sinks/email TestConforms"}},
	{"A test puts a value into each secret field", []string{"cmd/mfawatch TestCanaryInEverySecret"}},
}

// SECURITY.md says only what a test holds.
func TestSecurityPageIsHeld(t *testing.T) {
	known := map[string]bool{}
	for _, sentence := range sentences(t, "Trust", "Listeners", "Secrets") {
		found := false
		for _, h := range held {
			if strings.HasPrefix(sentence, h.begins) {
				found, known[h.begins] = true, true
			}
		}
		if !found {
			t.Errorf("no test holds %q", sentence)
		}
	}
	for _, h := range held {
		if !known[h.begins] {
			t.Errorf("the page does not say %q", h.begins)
		}
		for _, test := range h.tests {
			folder, name, _ := strings.Cut(test, " ")
			if !hasTest(t, filepath.Join("..", folder), name) {
				t.Errorf("%q: there is no %s in %s", h.begins, name, folder)
			}
		}
	}
}

// sentences returns those of the sections, without marks and tables.
func sentences(t *testing.T, sections ...string) (all []string) {
	t.Helper()
	page, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?m)^\|.*$`)
	end := regexp.MustCompile(`\. |\.\n|\.$`)
	for _, section := range sections {
		_, text, found := strings.Cut(string(page), "\n## "+section+"\n")
		if !found {
			t.Fatalf("no section %s", section)
		}
		text, _, _ = strings.Cut(text, "\n## ")
		text = regexp.MustCompile(`(?m)^ *- `).ReplaceAllString(table.ReplaceAllString(text, ""), "")
		text = strings.NewReplacer("*", "", "`", "").Replace(text)
		for _, sentence := range end.Split(strings.Join(strings.Fields(text), " ")+" ", -1) {
			if sentence = strings.TrimSpace(sentence); sentence != "" {
				all = append(all, sentence)
			}
		}
	}
	return all
}

// The packages that read what senders send open no file and no connection, and start
// no program.
func TestReadersOpenNothing(t *testing.T) {
	for _, folder := range []string{"../processor/trail", "../processor/trail/inflate"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range parsed.Imports {
				path, _ := strconv.Unquote(i.Path.Value)
				if root, _, _ := strings.Cut(path, "/"); root == "os" || root == "net" || root == "plugin" || root == "syscall" {
					t.Errorf("%s imports %s", file, path)
				}
			}
		}
	}
}
