package bucket

import (
	"strings"
	"time"
)

// A KeyKind is the content of an object, as far as its key says. Its text is a
// metric's label.
type KeyKind string

// The kinds of objects that CloudTrail and its neighbours write below AWSLogs.
// Only the first holds management records (R33).
const (
	KeyRecords         KeyKind = "records"
	KeyDigest          KeyKind = "digest"
	KeyInsight         KeyKind = "insight"
	KeyNetworkActivity KeyKind = "network_activity"
	KeyAggregated      KeyKind = "aggregated"
	KeyForeign         KeyKind = "foreign" // another service's, such as Config's or a load balancer's
)

// keyFolders are CloudTrail's folders below an account, which are also the
// words in the names of the files there.
var keyFolders = map[string]KeyKind{
	"CloudTrail":                 KeyRecords,
	"CloudTrail-Digest":          KeyDigest,
	"CloudTrail-Insight":         KeyInsight,
	"CloudTrail-NetworkActivity": KeyNetworkActivity,
	"CloudTrail-Aggregated":      KeyAggregated,
}

// A Key is the key of an object that CloudTrail wrote, taken apart:
//
//	[prefix/]AWSLogs/[o-id/]account/CloudTrail…/region/YYYY/MM/DD/name
//
// (AWS CloudTrail User Guide, "Finding your CloudTrail log files"). Day and
// Delivered are when the object was delivered; the records in it may be older
// by any amount, and of another Region (R34).
type Key struct {
	Folder       string // of the object, up to and with the last slash; empty where there is none
	Name         string // what follows it
	Kind         KeyKind
	Organization string    // o-…; empty for the trail of one account, and where only the name says so
	Account      string    // 12 digits
	Region       string    // empty for KeyForeign
	Day          time.Time // midnight UTC; zero for KeyForeign
	Delivered    time.Time // as the name says, to the minute or second; zero where it does not
}

// ParseKey takes a decoded key apart. It reads from the end, since the prefix
// may hold anything, AWSLogs and slashes included. Of an object that lies
// elsewhere but bears the name of a CloudTrail file, as in a copy without folders,
// the name alone counts.
//
// False means a key of unknown form, which does not show the content of the object: it
// may be a copy under another key, and has to be read unless a filter excludes it (R33).
func ParseKey(key string) (Key, bool) {
	cut := strings.LastIndexByte(key, '/') + 1
	k := Key{Folder: key[:cut], Name: key[cut:]}
	if k.Name == "" {
		return Key{}, false
	}
	name, named := parseKeyName(k.Name)
	if named {
		k.Delivered = name.delivered
	}
	if k.folders() {
		return k, true
	}
	if named {
		k.Kind, k.Account, k.Region = name.kind, name.account, name.region
		k.Day = k.Delivered.Truncate(24 * time.Hour)
		return k, true
	}
	return k.foreign()
}

// folders reads the folders of k from the last to the first and reports whether
// they are CloudTrail's.
func (k *Key) folders() bool {
	rest := k.Folder
	last := func() (folder string) {
		rest, folder = lastFolder(rest)
		return folder
	}
	day, month, year := last(), last(), last()
	region, kind, account, root := last(), last(), last(), last()
	organization := ""
	if isOrganization(root) {
		organization, root = root, last()
	}
	date, ok := keyDay(year, month, day)
	k.Kind = keyFolders[kind]
	if !ok || root != "AWSLogs" || k.Kind == "" || !IsAccount(account) || !IsRegion(region) {
		return false
	}
	k.Organization, k.Account, k.Region, k.Day = organization, account, region, date
	return true
}

// foreign recognises what another service writes below AWSLogs: the service's
// folder lies below an account's, and the name of the file repeats it, as in
// AWSLogs/111122223333/Config/…/111122223333_Config_….json.gz. Without that
// proof a folder may be anybody's.
func (k Key) foreign() (Key, bool) {
	at := strings.LastIndex("/"+k.Folder, "/AWSLogs/") // where AWSLogs begins
	if at < 0 {
		return Key{}, false
	}
	root, rest, _ := strings.Cut(k.Folder[at+len("AWSLogs/"):], "/")
	if isOrganization(root) {
		k.Organization = root
		root, rest, _ = strings.Cut(rest, "/")
	}
	service, _, ok := strings.Cut(rest, "/")
	if !ok || service == "" || !IsAccount(root) || len(service) >= 10 && strings.EqualFold(service[:10], "CloudTrail") ||
		!strings.Contains(strings.ToLower(k.Name), "_"+strings.ToLower(service)+"_") {
		return Key{}, false
	}
	k.Account, k.Kind = root, KeyForeign
	return k, true
}

// DayFolder is the prefix of the keys delivered on the UTC day of t below the
// folder of a Region, which ends in a slash.
func DayFolder(region string, t time.Time) string {
	return region + t.UTC().Format("2006/01/02/")
}

// lastFolder splits the last folder from a path that is empty or ends in a
// slash.
func lastFolder(path string) (rest, folder string) {
	path = strings.TrimSuffix(path, "/")
	cut := strings.LastIndexByte(path, '/') + 1
	return path[:cut], path[cut:]
}

// A keyName holds the facts in the name of a file.
type keyName struct {
	kind            KeyKind
	account, region string
	delivered       time.Time
}

// parseKeyName reads the name of a CloudTrail file:
//
//	account_CloudTrail_region_YYYYMMDDTHHmmZ_random.json.gz
//	account_CloudTrail-Digest_region_trail_region_YYYYMMDDTHHmmssZ.json.gz
//
// Whether it is still compressed does not matter.
func parseKeyName(name string) (n keyName, ok bool) {
	stem := strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
	stem, ok = strings.CutSuffix(stem, ".json")
	account, rest, _ := strings.Cut(stem, "_")
	kind, rest, _ := strings.Cut(rest, "_")
	region, rest, more := strings.Cut(rest, "_")
	n = keyName{kind: keyFolders[kind], account: account, region: region}
	if !ok || !more || n.kind == "" || !IsAccount(account) || !IsRegion(region) {
		return keyName{}, false
	}
	first, _, _ := strings.Cut(rest, "_")
	for _, stamp := range [...]string{first, rest[strings.LastIndexByte(rest, '_')+1:]} {
		for _, layout := range [...]string{"20060102T1504Z", "20060102T150405Z"} {
			if len(stamp) != len(layout) {
				continue
			}
			if t, err := time.Parse(layout, stamp); err == nil && t.Year() > 1 {
				n.delivered = t
				return n, true
			}
		}
	}
	return keyName{}, false
}

// IsAccount reports whether s is the number of an account: 12 digits.
func IsAccount(s string) bool { return len(s) == 12 && onlyDigits(s) }

// isOrganization knows o-exampleorgid: AWS says 10 to 32 letters and digits.
func isOrganization(s string) bool {
	id, ok := strings.CutPrefix(s, "o-")
	return ok && len(id) >= 10 && len(id) <= 32 && onlyLower(id)
}

// IsRegion reports whether s has the form of a region, as us-east-1 and
// us-gov-west-1 have: words of lower case with hyphens between, the last of them
// a number.
func IsRegion(s string) bool {
	if len(s) > 32 || strings.Count(s, "-") < 2 {
		return false
	}
	last := ""
	for last = range strings.SplitSeq(s, "-") {
		if last == "" || !onlyLower(last) {
			return false
		}
	}
	return onlyDigits(last)
}

// onlyDigits reports whether all of s are digits.
func onlyDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// onlyLower reports whether all of s are lower-case letters and digits.
func onlyLower(s string) bool { return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == "" }

// keyDay reads the folders of a day.
func keyDay(year, month, day string) (time.Time, bool) {
	if len(year) != 4 || len(month) != 2 || len(day) != 2 {
		return time.Time{}, false
	}
	t, err := time.Parse("20060102", year+month+day)
	return t, err == nil && t.Year() > 1
}
