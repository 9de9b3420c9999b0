package web

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/demo"
	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/history"
)

var screenshots = flag.String("screenshots", "", "the `FOLDER` in which to make the pictures of the documentation again")

// The pictures of the documentation, with the bundled trail: go test -run
// Screenshots ./cmd/mfawatch/internal/web -screenshots "$PWD/deploy/images".
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		return
	}
	trail, err := demo.ReadTrail()
	if err != nil {
		t.Fatal(err)
	}
	var records bytes.Buffer
	start := time.Now().Add(-trail[len(trail)-1].After - 12*time.Minute).Truncate(time.Second)
	for _, r := range trail {
		records.Write(r.At(start))
		records.WriteByte('\n')
	}
	w := runningWith(t, `accounts: {"111122223333": {name: production}}`, records.String())
	w.http.Store(&config.HTTPConfig{URL: "https://watch.example.net"})
	admin := NewAdmin(w, prometheus.NewRegistry())
	b := newBoard(w, admin)
	b.health.started = time.Now().Add(-9 * 24 * time.Hour)
	p := pages{b, access{func() config.HTTPConfig { return w.Config().HTTP }, func() bool { return true }}, "", nil, nil, nil}
	lately := time.Now().Add(-7 * time.Second)
	b.history.Look(time.Now(), lastDeliveries(t, lately, lately.Add(-4*time.Minute)))
	for _, step := range steadySteps(time.Now()) {
		b.history.Add(step)
	}
	dir := t.TempDir()
	for name, look := range map[string]struct{ path, size, scheme string }{
		"overview": {"/", "1000,960", "1"},
		"exposure": {"/exposures/" + w.Journal().Open()[0].ID, "1000,700", "0"},
	} {
		file := filepath.Join(dir, name+".html")
		if err := os.WriteFile(file, []byte(shown(t, p, look.path)), 0o600); err != nil {
			t.Fatal(err)
		}
		chromium(t, "--window-size="+look.size, "--blink-settings=preferredColorScheme="+look.scheme, "--screenshot="+file+".png", "file://"+file)
		shrink(t, file+".png", filepath.Join(*screenshots, name+".png"))
	}
}

// shrink copies a picture with its 256 most frequent colours.
func shrink(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[color.Color]int{}
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			counts[color.RGBAModel.Convert(picture.At(x, y))]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	small := image.NewPaletted(picture.Bounds(), colours[:min(len(colours), 256)])
	draw.Draw(small, small.Rect, picture, image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, small); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// lastDeliveries are the metrics of a source and a sink with the times of their last
// deliveries.
func lastDeliveries(t *testing.T, source, sink time.Time) []*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewRegistry()
	for kind, last := range map[string]struct {
		name string
		at   time.Time
	}{"source": {"local", source}, "sink": {"audit", sink}} {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mfawatch_" + kind + "_last_delivery_timestamp_seconds"}, []string{kind})
		registry.MustRegister(g)
		g.WithLabelValues(last.name).Set(float64(last.at.Unix()))
	}
	metrics, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return metrics
}

// steadySteps is a full history until now.
func steadySteps(now time.Time) (all []history.Step) {
	for i := range history.StepCount {
		day := math.Sin(float64(i) / 40)
		st := history.Step{End: now.Add(time.Duration(i-history.StepCount+1) * history.StepTime), Records: 420 + 160*day + float64(i*37%53), P50: math.NaN(), P99: math.NaN()}
		if i%7 == 0 || i > 200 {
			st.P50, st.P99 = 0.3+float64(i%5)/20, 0.7+float64(i*31%23)/20
		}
		all = append(all, st)
	}
	return all
}
