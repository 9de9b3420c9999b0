//go:build ignore

// Ratios reads the output of go test -bench and prints the ratios of its medians.
package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// rows lists the comparisons: the rates of two benchmarks, or a ratio or rate that
// a benchmark reports itself.
var rows = []struct {
	what, of, to string
	atLeast      float64 // 0: at most
	atMost       float64
}{
	{"sweep, to one bare bytes.Index pass for `ventName\"`", "default:Sweep/mfawatch", "default:Sweep/index", 0.5, 0},
	{"sweep, to such a pass for `Name`, the fastest there is", "default:Sweep/mfawatch", "default:Sweep/fastest", 0, 0},
	{"sweep, to a gjson walk of each record", "default:Sweep/mfawatch", "default:Sweep/gjson", 4, 0},
	{"inflater, to klauspost: one object of 65 MB", "default:Ratio/inflate/big ratio", "", 1.8, 0},
	{"inflater, to klauspost: objects of 13 MB", "default:Ratio/inflate/middle ratio", "", 1.8, 0},
	{"inflater, to klauspost: objects of eight records", "default:Ratio/inflate/small ratio", "", 1.6, 0},
	{"one big gzip object, to inflating it into nothing", "default:Ratio/scan/big ratio", "", 0.78, 0},
	{"gzip objects of 13 MB, likewise", "default:Ratio/scan/middle ratio", "", 0.78, 0},
	{"gzip objects of eight records, likewise", "default:Ratio/scan/small ratio", "", 0.85, 0},
	{"`mfawatch scan` of a large object, to `gzip -dc`, whole process", "default:Process/large ratio", "", 0, 0.36},
	{"the same, objects of 800 records", "default:Process/middle ratio", "", 0, 0.36},
	{"the same, objects of eight records", "default:Process/small ratio", "", 0, 0.54},
	{"resident memory in MiB, one object that inflates to 2 GB", "default:Process/huge MiB", "", 0, 64},
	{"gzip with one match in a hundred, to none", "default:Ratio/matches/gzip ratio", "", 0, 1.25},
	{"inflated with one match in a hundred, to none", "default:Ratio/matches/plain ratio", "", 0, 1.6},
	{"watched records, with 2,500 objects that look like watched ones, to the same bytes without", "default:Ratio/decoys/objects/behind ratio", "", 0, 3},
	{"the same before the members that mark the record", "default:Ratio/decoys/objects/before ratio", "", 0, 3},
	{"the same in strings", "default:Ratio/decoys/strings/behind ratio", "", 0, 3},
	{"the same in strings before the members", "default:Ratio/decoys/strings/before ratio", "", 0, 3},
	{"two cores, to one", "default:Cores-2", "default:Cores", 1.6, 0},
	{"Kafka, to a bare client that throws all away", "default:scan/bare", "", 0.9, 0},
	{"S3, objects of eight records, one in flight, to a bare klauspost gunzip of them", "default:s3-1/bare", "", 1.1, 0},
	{"S3, 16 in flight, likewise", "default:s3-16/bare", "", 1.1, 0},
	{"S3, 256 in flight, likewise", "default:s3-256/bare", "", 1.1, 0},
	{"S3, 1 in flight, records a second on each core", "default:S3/inflight=1 records/s/core", "", 120_000, 0},
	{"S3, 16 in flight, likewise", "default:S3/inflight=16 records/s/core", "", 120_000, 0},
	{"S3, 256 in flight, likewise", "default:S3/inflight=256 records/s/core", "", 120_000, 0},
}

func main() {
	rates := map[string][]float64{} // in MB/s, or what else goes up with speed
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		f := strings.Fields(in.Text())
		if len(f) < 4 {
			continue
		}
		name := strings.TrimPrefix(f[0], "Benchmark")
		if cut, ok := strings.CutSuffix(name, "-2"); ok && !strings.Contains(name, "Cores") {
			name = cut
		}
		for i := 2; i+1 < len(f); i++ {
			v, err := strconv.ParseFloat(f[i], 64)
			switch unit := f[i+1]; {
			case err != nil:
			case unit == "ns/op":
				rates[name] = append(rates[name], 1e9/v)
			case strings.HasSuffix(unit, "/bare"):
				tag, _, _ := strings.Cut(name, ":")
				rates[tag+":"+unit] = append(rates[tag+":"+unit], v)
			case strings.HasSuffix(unit, "/core"), unit == "ratio", unit == "MiB":
				rates[name+" "+unit] = append(rates[name+" "+unit], v)
			}
		}
	}
	fmt.Println("| what | ratio | is to be |\n|---|---|---|")
	for _, r := range rows {
		of, to := median(rates[r.of]), median(rates[r.to])
		if r.to == "" {
			to = 1
		}
		if of == 0 || to == 0 {
			fmt.Printf("| %s | not run | |\n", r.what)
			continue
		}
		want := ""
		if r.atLeast > 0 {
			want = "≥ " + number(r.atLeast)
		} else if r.atMost > 0 {
			want = "≤ " + number(r.atMost)
		}
		fmt.Printf("| %s | %s | %s |\n", r.what, number(of/to), want)
	}
}

func number(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[len(v)/2]
}
