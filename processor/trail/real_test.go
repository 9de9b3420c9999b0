package trail

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const realData = "../../testdata/real"

// notJSON explains why files in testdata/real cannot be read.
var notJSON = map[string]string{
	".yml":  "YAML that quotes a record",
	".yaml": "YAML about a data set",
	".txt":  "plain text",
	".log":  "plain text",
}

// unreadableReal explains the others, by the end of their names.
var unreadableReal = map[string]Reason{
	"data/000000":              ReasonFormat,    // an access log
	"data/000000.gz":           ReasonFormat,    // the same, compressed
	"data/000000.zip":          ReasonFormat,    // the same, in an archive
	"honeybucketlogs.zip":      ReasonFormat,    // access logs
	"data/bad_cloudtrail.json": ReasonTruncated, // cut off on purpose
}

// TestRealData scans what others wrote: every record is seen, and what cannot
// be read is explained above.
func TestRealData(t *testing.T) {
	f, err := os.Open(filepath.Join(realData, "INDEX.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = '\t', true, -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) < 300 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	s := NewScanner()
	var total int64
	for _, row := range rows[1:] {
		name := row[0]
		b, err := os.ReadFile(filepath.Join(realData, name))
		if err != nil {
			t.Error(err)
			continue
		}
		want, _ := strconv.ParseInt(row[4], 10, 64)
		var reason Reason
		if notJSON[filepath.Ext(name)] != "" {
			want, reason = 0, ReasonFormat
		}
		for end, because := range unreadableReal {
			if strings.HasSuffix(name, end) {
				reason = because
			}
		}
		if strings.HasSuffix(name, "bad_cloudtrail.json") {
			want = 1 // the record is whole; what is cut is the list
		}
		var v found
		stats := s.ScanBytes(Place(name), b, &v)
		if stats.Records != want || v.reasons() != string(reason) {
			t.Errorf("%s: %d records, unreadable %q; want %d, %q", name, stats.Records, v.reasons(), want, reason)
		}
		total += stats.Records
	}
	if total != 4386 {
		t.Errorf("%d records in all", total)
	}
}
