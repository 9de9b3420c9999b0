package processor

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/trail"
)

// delays are bucket bounds in seconds, from live to a week of backlog: trails
// deliver within minutes, and redelivered records are days old.
var delays = []float64{1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600}

// lengths are bucket bounds in seconds, from a quick exchange of devices to a
// forgotten exposure.
var lengths = []float64{60, 300, 900, 1800, 3600, 4 * 3600, 24 * 3600, 3 * 24 * 3600, 7 * 24 * 3600, 30 * 24 * 3600}

// watched lists the event names, so that each series starts at zero.
var watched = []string{
	trail.DeactivateMFADevice, trail.EnableMFADevice, trail.ResyncMFADevice, trail.CreateVirtualMFADevice,
	trail.DeleteVirtualMFADevice, trail.CreateUser, trail.UpdateUser, trail.DeleteUser, trail.CreateLoginProfile,
	trail.UpdateLoginProfile, trail.DeleteLoginProfile, trail.CreateAccessKey, trail.UpdateAccessKey,
	trail.DeleteAccessKey, trail.AttachUserPolicy, trail.PutUserPolicy, trail.AddUserToGroup, trail.ConsoleLogin,
	trail.CheckMfa, trail.ChangePassword, trail.CreateServiceSpecificCredential, trail.DeleteServiceSpecificCredential,
	trail.UploadSSHPublicKey, trail.DeleteSSHPublicKey, trail.UploadSigningCertificate, trail.DeleteSigningCertificate,
	trail.DetachUserPolicy, trail.DeleteUserPolicy, trail.RemoveUserFromGroup, trail.PutUserPermissionsBoundary,
	trail.DeleteUserPermissionsBoundary, trail.SwitchRole, trail.CreateOAuth2Token, trail.AuthorizeOAuth2Access,
	trail.PasswordRecoveryRequested, trail.PasswordRecoveryCompleted, trail.PasswordUpdated, trail.EmailUpdated,
}

type metrics struct {
	records, bytes, inflated *prometheus.CounterVec // by source
	unread                   *prometheus.CounterVec // by source and reason
	matches                  *prometheus.CounterVec // by event
	alerts                   *prometheus.CounterVec // by step and severity
	toSeen, toAlert          prometheus.Histogram
	lasted                   *prometheus.HistogramVec // by resolution
	appendErrors, foldErrors prometheus.Counter
	plannedChanges           *prometheus.GaugeVec // by state
	overdue                  prometheus.Counter

	mu      sync.RWMutex
	sources map[string]*sourceMetrics
}

func newMetrics(reg prometheus.Registerer, j stats) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		records: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_records_total",
			Help: "CloudTrail records read, watched or not."}, []string{"source"}),
		bytes: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_bytes_total",
			Help: "Bytes read, before decompression."}, []string{"source"}),
		inflated: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_inflated_bytes_total",
			Help: "Bytes read, after decompression."}, []string{"source"}),
		unread: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_unreadable_total",
			Help: "Parts of the input that could not be read."}, []string{"source", "reason"}),
		matches: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_matches_total",
			Help: "Watched records found, by event name, redelivered ones included."}, []string{"event"}),
		alerts: f.NewCounterVec(prometheus.CounterOpts{Name: "mfawatch_alerts_total",
			Help: "Alerts journalled."}, []string{"step", "severity"}),
		toSeen: f.NewHistogram(prometheus.HistogramOpts{Name: "mfawatch_event_seen_latency_seconds",
			Help: "Time from eventTime until a watched record was journalled.", Buckets: delays}),
		toAlert: f.NewHistogram(prometheus.HistogramOpts{Name: "mfawatch_event_alert_latency_seconds",
			Help: "Time from eventTime until its alert was journalled.", Buckets: delays}),
		lasted: f.NewHistogramVec(prometheus.HistogramOpts{Name: "mfawatch_exposure_duration_seconds",
			Help: "Time from an exposure's opening to its end, by resolution.", Buckets: lengths}, []string{"resolution"}),
		appendErrors: f.NewCounter(prometheus.CounterOpts{Name: "mfawatch_append_errors_total",
			Help: "Appends to the journal that failed."}),
		foldErrors: f.NewCounter(prometheus.CounterOpts{Name: "mfawatch_fold_errors_total",
			Help: "Folds that failed."}),
		plannedChanges: f.NewGaugeVec(prometheus.GaugeOpts{Name: "mfawatch_planned_changes",
			Help: "Planned changes, by state: upcoming, active, used, or unused after they expired."}, []string{"state"}),
		overdue: f.NewCounter(prometheus.CounterOpts{Name: "mfawatch_planned_changes_overdue_total",
			Help: "Exposures still open after the planned change that covers them expired."}),
		sources: map[string]*sourceMetrics{},
	}
	for _, state := range changeStates {
		m.plannedChanges.WithLabelValues(state)
	}
	for _, name := range watched {
		m.matches.WithLabelValues(name)
	}
	for _, resolution := range exposure.Resolutions {
		m.lasted.WithLabelValues(resolution)
	}
	for _, step := range exposure.Steps {
		for _, severity := range exposure.Severities {
			m.alerts.WithLabelValues(string(step), string(severity))
		}
	}
	if reg != nil {
		reg.MustRegister(statsCollector{j})
	}
	return m
}

// sourceMetrics is the series of one source, looked up once per delivery.
type sourceMetrics struct {
	records, bytes, inflated prometheus.Counter
	unread                   *prometheus.CounterVec // by reason
}

func (m *metrics) source(name string) *sourceMetrics {
	m.mu.RLock()
	s := m.sources[name]
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	s = &sourceMetrics{
		records:  m.records.WithLabelValues(name),
		bytes:    m.bytes.WithLabelValues(name),
		inflated: m.inflated.WithLabelValues(name),
		unread:   m.unread.MustCurryWith(prometheus.Labels{"source": name}),
	}
	for _, reason := range trail.Reasons {
		s.unread.WithLabelValues(string(reason))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sources[name] = s
	return s
}

func (s *sourceMetrics) add(st trail.Stats) {
	s.records.Add(float64(st.Records))
	s.bytes.Add(float64(st.Bytes))
	s.inflated.Add(float64(st.Inflated))
}

func (s *sourceMetrics) unreadable(r trail.Reason) { s.unread.WithLabelValues(string(r)).Inc() }

// stats is the part of the journal that is collected.
type stats interface {
	Stats() (journal.Stats, error)
	Open() []exposure.Open
}

var (
	openDesc = prometheus.NewDesc("mfawatch_open_exposures",
		"Open exposures.", []string{"severity"}, nil)
	openByAccountDesc = prometheus.NewDesc("mfawatch_account_open_exposures",
		"Open exposures by account: the hundred accounts with the most.", []string{"account"}, nil)
	oldestOpenDesc = prometheus.NewDesc("mfawatch_oldest_open_exposure_seconds",
		"Age of the oldest open exposure; 0 if none is open.", []string{"severity"}, nil)
	journalBytesDesc = prometheus.NewDesc("mfawatch_journal_bytes",
		"Size of the journal file.", nil, nil)
	journalSubjectsDesc = prometheus.NewDesc("mfawatch_journal_subjects",
		"Users, unknown devices and actors in the journal.", nil, nil)
	journalUnfoldedDesc = prometheus.NewDesc("mfawatch_journal_unfolded_subjects",
		"Of these, those with events not folded yet.", nil, nil)
	quarantineDesc = prometheus.NewDesc("mfawatch_quarantine_records",
		"Watched records and messages in the quarantine.", nil, nil)
)

// A statsCollector reads the journal at each scrape.
type statsCollector struct{ stats }

func (c statsCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{openDesc, openByAccountDesc, oldestOpenDesc,
		journalBytesDesc, journalSubjectsDesc, journalUnfoldedDesc, quarantineDesc} {
		ch <- d
	}
}

// maxAccountSeries bounds the series by account.
const maxAccountSeries = 100

func (c statsCollector) Collect(ch chan<- prometheus.Metric) {
	open := map[exposure.Severity]int{}
	oldest := map[exposure.Severity]time.Duration{}
	byAccount := map[string]int{}
	now := time.Now()
	for _, o := range c.Open() {
		open[o.Severity]++
		oldest[o.Severity] = max(oldest[o.Severity], now.Sub(o.OpenedAt))
		byAccount[o.Account]++
	}
	for _, s := range exposure.Severities {
		ch <- prometheus.MustNewConstMetric(openDesc, prometheus.GaugeValue, float64(open[s]), string(s))
		ch <- prometheus.MustNewConstMetric(oldestOpenDesc, prometheus.GaugeValue, oldest[s].Seconds(), string(s))
	}
	accounts := slices.SortedFunc(maps.Keys(byAccount), func(a, b string) int {
		return cmp.Or(cmp.Compare(byAccount[b], byAccount[a]), strings.Compare(a, b))
	})
	for _, a := range accounts[:min(len(accounts), maxAccountSeries)] {
		ch <- prometheus.MustNewConstMetric(openByAccountDesc, prometheus.GaugeValue, float64(byAccount[a]), a)
	}
	st, err := c.Stats()
	if err != nil {
		return // closed: the other series are still collected
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	gauge(journalBytesDesc, float64(st.Bytes))
	gauge(journalSubjectsDesc, float64(st.Subjects))
	gauge(journalUnfoldedDesc, float64(st.Unfolded))
	gauge(quarantineDesc, float64(st.Quarantined))
}
