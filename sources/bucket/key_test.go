package bucket

import (
	"strings"
	"testing"
	"time"
)

func keyTime(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestParseKey(t *testing.T) {
	const (
		day  = "2026-05-01T00:00:00Z"
		file = "111122223333_CloudTrail_us-east-1_20260501T0805Z_A6kvhMoVeCsc7v8U.json.gz"
	)
	at := keyTime(t, "2026-05-01T08:05:00Z")
	records := Key{Kind: KeyRecords, Account: "111122223333", Region: "us-east-1", Day: keyTime(t, day), Delivered: at}
	with := func(change func(k *Key)) Key {
		k := records
		change(&k)
		return k
	}
	for _, tt := range []struct {
		name, key string
		want      Key
	}{
		{"no prefix", "AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/01/" + file, records},
		{"prefix", "audit/all/AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/01/" + file, records},
		{"prefix that is a tree itself", "AWSLogs/o-exampleorgid/444455556666/CloudTrail/eu-west-1/2025/01/01/AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/01/" + file, records},
		{"slashes without a name between", "//AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/01/" + file, records},
		{"organisation", "AWSLogs/o-exampleorgid/111122223333/CloudTrail/us-east-1/2026/05/01/" + file,
			with(func(k *Key) { k.Organization = "o-exampleorgid" })},
		{"region of another partition", "AWSLogs/111122223333/CloudTrail/us-gov-west-1/2026/05/01/" + file,
			with(func(k *Key) { k.Region = "us-gov-west-1" })},
		{"region to come", "AWSLogs/111122223333/CloudTrail/eusc-de-east-1/2026/05/01/" + file,
			with(func(k *Key) { k.Region = "eusc-de-east-1" })},
		{"other name", "AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/01/part-0001.jsonl",
			with(func(k *Key) { k.Delivered = time.Time{} })},
		{"inflated", "AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/01/" + strings.TrimSuffix(file, ".gz"), records},
		{"R33 digest", "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/05/01/111122223333_CloudTrail-Digest_us-east-1_my_trail_us-east-1_20260501T080512Z.json.gz",
			with(func(k *Key) { k.Kind, k.Delivered = KeyDigest, keyTime(t, "2026-05-01T08:05:12Z") })},
		{"R33 insight", "AWSLogs/111122223333/CloudTrail-Insight/us-east-1/2026/05/01/111122223333_CloudTrail-Insight_us-east-1_20260501T0805Z_x.json.gz",
			with(func(k *Key) { k.Kind = KeyInsight })},
		{"R33 network activity", "AWSLogs/o-exampleorgid/111122223333/CloudTrail-NetworkActivity/us-east-1/2026/05/01/x.json.gz",
			with(func(k *Key) {
				k.Kind, k.Organization, k.Delivered = KeyNetworkActivity, "o-exampleorgid", time.Time{}
			})},
		{"R33 aggregated", "AWSLogs/111122223333/CloudTrail-Aggregated/us-east-1/2026/05/01/x.json.gz",
			with(func(k *Key) { k.Kind, k.Delivered = KeyAggregated, time.Time{} })},
		{"a copy without folders", "flat/" + file, records},
		{"a copy without any", file, records},
		{"a digest's copy", "flat/111122223333_CloudTrail-Digest_us-east-1_t_us-east-1_20260501T080512Z.json.gz",
			with(func(k *Key) { k.Kind, k.Delivered = KeyDigest, keyTime(t, "2026-05-01T08:05:12Z") })},
		{"R33 Config", "p/AWSLogs/o-exampleorgid/111122223333/Config/us-east-1/2026/5/1/ConfigHistory/111122223333_Config_us-east-1_ConfigHistory_AWS__x.json.gz",
			Key{Kind: KeyForeign, Account: "111122223333", Organization: "o-exampleorgid"}},
		{"R33 flow logs", "AWSLogs/111122223333/vpcflowlogs/us-east-1/2026/05/01/111122223333_vpcflowlogs_us-east-1_fl-1_20260501T0800Z_x.log.gz",
			Key{Kind: KeyForeign, Account: "111122223333"}},
		{"R33 web firewall", "AWSLogs/111122223333/WAFLogs/us-east-1/acl/2026/05/01/08/05/111122223333_waflogs_us-east-1_acl_20260501T0805Z_x.log.gz",
			Key{Kind: KeyForeign, Account: "111122223333"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cut := strings.LastIndexByte(tt.key, '/') + 1
			tt.want.Folder, tt.want.Name = tt.key[:cut], tt.key[cut:]
			if got, ok := ParseKey(tt.key); !ok || got != tt.want {
				t.Errorf("ParseKey(%q)\n got %+v, %v\nwant %+v", tt.key, got, ok, tt.want)
			}
		})
	}
}

// R33: what is not surely something else is read.
func TestParseKeyUnknown(t *testing.T) {
	for _, key := range []string{
		"",
		"/",
		"AWSLogs",
		"AWSLogs/",
		"AWSLogs/111122223333/CloudTrail/",
		"AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/01/",
		"trail.json.gz",
		"archive/2026/05/01/trail.json.gz",
		"AWSLogs/111122223333/cloudtrail/us-east-1/2026/05/01/part.json.gz",
		"AWSLogs/111122223333/CloudTrail-New/us-east-1/2026/05/01/111122223333_CloudTrail-New_us-east-1_20260501T0805Z_x.json.gz",
		"AWSLogs/111122223333/CloudTrail/us-east-1/2026/13/01/x.json.gz",
		"AWSLogs/111122223333/CloudTrail/us-east-1/2026/5/1/x.json.gz",
		"AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/01/deeper/x.json.gz",
		"AWSLogs/001/CloudTrail/us-east-1/2026/05/01/x.json.gz",
		"AWSLogs/111122223333/CloudTrail/US-EAST-1/2026/05/01/x.json.gz",
		"awslogs/111122223333/CloudTrail/us-east-1/2026/05/01/x.json.gz",
		"AWSLogs/o-short/111122223333/CloudTrail/us-east-1/2026/05/01/x.json.gz",
		"AWSLogs/111122223333/Config/us-east-1/ConfigWritabilityCheckFile",
		"AWSLogs/111122223333/reports/2026.json",
		"AWSLogs/111122223333_Config_us-east-1.json.gz",
		"111122223333_CloudTrail_us-east-1_20260532T0805Z_x.json.gz",
		"11112222333_CloudTrail_us-east-1_20260501T0805Z_x.json.gz",
		"AWSLogs%2F111122223333%2FCloudTrail%2Fus-east-1%2F2026%2F05%2F01%2Fx.json.gz",
	} {
		if k, ok := ParseKey(key); ok || k != (Key{}) {
			t.Errorf("ParseKey(%q) = %+v, %v; want nothing", key, k, ok)
		}
	}
}

func TestDayFolder(t *testing.T) {
	at := time.Date(2026, 5, 1, 23, 30, 0, 0, time.FixedZone("", -3*3600)) // 2 May in UTC
	if got := DayFolder("AWSLogs/111122223333/CloudTrail/us-east-1/", at); got != "AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/02/" {
		t.Error(got)
	}
}

func FuzzParseKey(f *testing.F) {
	const name = "111122223333_CloudTrail_us-east-1_20260501T0805Z_A6kvhMoVeCsc7v8U.json.gz"
	f.Add("AWSLogs/111122223333/CloudTrail/us-east-1/2026/05/01/" + name)
	f.Add("p/AWSLogs/o-exampleorgid/111122223333/CloudTrail-Digest/us-east-1/2026/05/01/x.json.gz")
	f.Add("AWSLogs/111122223333/Config/us-east-1/2026/5/1/111122223333_Config_us-east-1.json.gz")
	f.Add(name)
	f.Add("//AWSLogs//")
	f.Add("CloudTrail/us-east-1/0001/01/01/" + name)
	f.Fuzz(func(t *testing.T, key string) {
		k, ok := ParseKey(key)
		if !ok {
			if k != (Key{}) {
				t.Fatalf("%q: not known, yet %+v", key, k)
			}
			return
		}
		if k.Folder+k.Name != key {
			t.Fatalf("%q: %q and %q do not make it", key, k.Folder, k.Name)
		}
		if !IsAccount(k.Account) || k.Organization != "" && !isOrganization(k.Organization) {
			t.Fatalf("%q: %+v", key, k)
		}
		if k.Kind == KeyForeign {
			if k.Region != "" || !k.Day.IsZero() || !k.Delivered.IsZero() {
				t.Fatalf("%q: %+v", key, k)
			}
			return
		}
		if !IsRegion(k.Region) || k.Day.IsZero() || !k.Day.Equal(k.Day.Truncate(24*time.Hour)) {
			t.Fatalf("%q: %+v", key, k)
		}
		// Whatever stands before the tree changes nothing but the folder.
		longer, ok := ParseKey("AWSLogs/o-exampleorgid/backup/" + key)
		longer.Folder = k.Folder
		if !ok || longer != k {
			t.Fatalf("%q behind a prefix: %+v, was %+v", key, longer, k)
		}
	})
}
