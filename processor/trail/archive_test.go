package trail

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func zstdOf(doc string, options ...zstd.EOption) string {
	var b bytes.Buffer
	w, _ := zstd.NewWriter(&b, options...)
	io.WriteString(w, doc)
	w.Close()
	return b.String()
}

// zipOf makes an archive of the files, whose names are their numbers.
func zipOf(files ...string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.Create("folder/")
	for i, f := range files {
		w, _ := z.Create("folder/" + string(rune('a'+i)) + ".json")
		io.WriteString(w, f)
	}
	z.Close()
	return b.String()
}

func TestZstdAndZip(t *testing.T) {
	const bob, twice = "DeactivateMFADevice:bob", "DeactivateMFADevice:bob DeactivateMFADevice:bob"
	big := `{"Records":[` + strings.Repeat(`{"eventName":"ListUsers","x":"`+strings.Repeat("y", 1000)+`"},`, 20_000) + minimal + `]}`
	one := zipOf(minimal)
	flip := func(s string, at int) string { return s[:at] + string(s[at]^1) + s[at+1:] }
	wide := strings.Repeat("z", 100<<20) + minimal
	for _, c := range []struct{ name, doc, names, reasons string }{
		{"zstd", zstdOf(minimal), bob, ""},
		{"zstd, two frames", zstdOf(minimal[:50]) + zstdOf(minimal[50:]), bob, ""},
		{"zstd, a big document", zstdOf(big), bob, ""},
		{"zstd and garbage", zstdOf(minimal) + "garbage", bob, "garbage"},
		{"zstd that is cut", zstdOf(minimal)[:100], "", "truncated"},
		{"zstd that is damaged", flip(zstdOf(minimal), 60), "", "corrupt"},
		{"zstd with a window over the bound", zstdOf(wide, zstd.WithWindowSize(64<<20)), "", "too_large"},
		{"zstd of gzip", zstdOf(gzipOf(minimal)), "", "format"},
		{"zip", one, bob, ""},
		{"zip of nothing", zipOf(), "", ""},
		{"zip of two files", zipOf(minimal, "\n"+minimal), twice, ""},
		{"zip of a big document", zipOf(big), bob, ""},
		{"zip of gzip, zstd and zip", zipOf(gzipOf(minimal), zstdOf(minimal), zipOf(minimal)), twice + " " + bob, ""},
		{"zip with a file that is no JSON", zipOf("hello", minimal), bob, "format"},
		{"zip that is cut", one[:len(one)-30], "", "corrupt"},
		{"zip that is damaged", flip(one, strings.Index(one, "folder/a.json")+100), "", "corrupt"},
		{"zip with a file that is damaged and one that is not", flip(zipOf(minimal, minimal), strings.Index(one, "folder/a.json")+100), bob, "corrupt"},
		{"zip of zips", zipOf(zipOf(zipOf(zipOf(zipOf(zipOf(zipOf(zipOf(zipOf(zipOf(minimal)))))))))), "", "too_deep"},
		{"zip over the bound", "PK\x03\x04" + strings.Repeat("x", maxArchive-3), "", "too_large"},
		{"zip with too many files", "PK\x03\x04" + strings.Repeat("PK\x01\x02", maxEntries+1), "", "too_large"},
		{"zip, encrypted", strings.NewReplacer("PK\x03\x04\x14\x00\x08", "PK\x03\x04\x14\x00\x09", "PK\x01\x02\x14\x00\x14\x00\x08", "PK\x01\x02\x14\x00\x14\x00\x09").Replace(one), "", "format"},
	} {
		v, _ := scanBytes(t, c.doc)
		if v.names() != c.names || v.reasons() != c.reasons {
			t.Errorf("%s: found %q, unreadable %q %v; want %q, %q", c.name, v.names(), v.reasons(), v.unreadable, c.names, c.reasons)
		}
	}
}

// TestLinesAreKnown has a first line that does not end in what is read first, and
// that is cut: it hides none of the others.
func TestLinesAreKnown(t *testing.T) {
	cut := func(n int) string {
		return `{"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","userAgent":"` + strings.Repeat("a", n) + " ]}\n"
	}
	behind := minimal + "\n" + cut(10)
	for name, doc := range map[string]string{
		"in memory": cut(5000) + behind,
		"zip":       zipOf(cut(5000) + behind),
		"zstd":      zstdOf(cut(5000)) + zstdOf(behind),
		"streamed":  cut(40_000) + behind + strings.Repeat("{}\n", wholeObject),
	} {
		var v found
		if _, err := NewScanner().Scan(Place("x"), strings.NewReader(doc), &v); err != nil || v.names() != "DeactivateMFADevice:bob" {
			t.Errorf("%s: found %q, unreadable %v, %v", name, v.names(), v.reasons(), err)
		}
	}
}
