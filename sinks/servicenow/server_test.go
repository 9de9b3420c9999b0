package servicenow

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A server is an instance of ServiceNow as its documentation describes it:
// the Table API of incident, and Event Management.
type server struct {
	t *testing.T

	mu        sync.Mutex
	now       func() time.Time
	incidents []*record // the oldest first
	events    []map[string]string
	requests  []string // method and path of each

	limit      int // requests an hour; 0: no rule
	counted    int
	hour       time.Time
	noAfter    bool                                  // a 429 has no Retry-After
	columnGone string                                // a column that the user may not read, or that there is not
	asleep     bool                                  // the instance hibernates
	noEvents   bool                                  // Event Management is not there
	unwritten  []string                              // columns that an ACL keeps the user from writing, in silence
	mandatory  map[string]string                     // columns that a data policy wants of a new incident, with their labels
	closing    map[string]string                     // the same of a resolved one, besides close_code and close_notes
	before     func(s *server, method, sysID string) // what another user does just before a request is processed
	user       func(r *http.Request) (name string, ok bool)
}

// An record is an incident.
type record struct {
	fields  map[string]string
	journal []string // work notes, the oldest first
}

// incidentColumns are those of incident that there are here.
var incidentColumns = []string{
	"sys_id", "number", "state", "urgency", "impact", "priority", "correlation_id", "short_description", "description", "assignment_group",
	"caller_id", "category", "close_code", "close_notes", "work_notes", "u_root_cause", "sys_created_on",
}

const group = "287ebd7da9fe198100f92cc8d1d2154e"

func newServer(t *testing.T) *server {
	return &server{t: t, now: time.Now, user: func(r *http.Request) (string, bool) {
		name, password, basic := r.BasicAuth()
		switch {
		case basic:
			return name, name == "mfawatch" && password == "xyzzy-password"
		case r.Header.Get("Authorization") != "":
			return "oauth", r.Header.Get("Authorization") == "Bearer xyzzy-token"
		}
		return "key", r.Header.Get("X-Sn-Apikey") == "xyzzy-api-key"
	}}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	if s.asleep {
		w.Header().Set("Content-Type", "text/html;charset=UTF-8")
		_, _ = io.WriteString(w, "<html><title>Instance Hibernating page</title></html>")
		return
	}
	if _, ok := s.user(r); !ok {
		fail(w, http.StatusUnauthorized, "User Not Authenticated", "Required to provide Auth information")
		return
	}
	if s.limit > 0 && !s.within(w) {
		return
	}
	var body map[string]any
	if r.Method != http.MethodGet {
		if r.Header.Get("Content-Type") != "application/json" {
			fail(w, http.StatusUnsupportedMediaType, "Unsupported media type", "")
			return
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			fail(w, http.StatusBadRequest, "Exception while reading request", err.Error())
			return
		}
	}
	path, isTable := strings.CutPrefix(r.URL.Path, "/api/now/table/")
	table, sysID, one := strings.Cut(path, "/")
	if s.before != nil {
		s.before(s, r.Method, sysID)
	}
	switch {
	case r.URL.Path == "/api/global/em/jsonv2" && r.Method == http.MethodPost && !s.noEvents:
		s.takeEvents(w, body)
	case !isTable:
		fail(w, http.StatusBadRequest, "Requested URI does not represent any resource", "")
	case table != "incident":
		fail(w, http.StatusBadRequest, "Invalid table "+table, "")
	case r.Method == http.MethodGet && !one:
		s.list(w, r)
	case r.Method == http.MethodPost && !one:
		s.create(w, r, body)
	case r.Method == http.MethodPatch && one:
		s.patch(w, r, sysID, body)
	default:
		fail(w, http.StatusMethodNotAllowed, "Method not supported", "")
	}
}

func fail(w http.ResponseWriter, status int, message, detail string) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"message": message, "detail": detail}, "status": "failure"})
}

func answer(w http.ResponseWriter, status int, result any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"result": result})
}

// within counts the request, and refuses it if it is one too many of the hour.
func (s *server) within(w http.ResponseWriter) bool {
	now := s.now()
	if now.Sub(s.hour) >= time.Hour {
		s.hour, s.counted = now, 0
	}
	reset := s.hour.Add(time.Hour)
	w.Header().Set("X-RateLimit-Limit", strconv.Itoa(s.limit))
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
	w.Header().Set("X-RateLimit-Rule", group)
	if s.counted++; s.counted <= s.limit {
		return true
	}
	if !s.noAfter {
		w.Header().Set("Retry-After", strconv.Itoa(int(reset.Sub(now).Seconds())))
	}
	fail(w, http.StatusTooManyRequests, "Rate limit exceeded", fmt.Sprintf("Rate limit of %d requests per hour for Table API exceeded", s.limit))
	return false
}

// list answers an encoded query. Invalid parts of it are ignored, and so more
// is returned.
func (s *server) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	rows := slices.Clone(s.incidents)
	if text := query.Get("sysparm_query"); text != "" {
		var conditions [][2]string
		text, order, _ := strings.Cut(text, "^ORDERBY")
		if order == "DESCsys_created_on" {
			slices.Reverse(rows)
		} else if order != "" {
			s.t.Errorf("order %s", order)
		}
		for part := range strings.SplitSeq(text, "^OR") {
			if column, value, ok := strings.Cut(part, "="); ok && slices.Contains(incidentColumns, column) && column != s.columnGone && !strings.Contains(value, "^") {
				conditions = append(conditions, [2]string{column, value})
			}
		}
		if len(conditions) > 0 {
			rows = slices.DeleteFunc(rows, func(i *record) bool {
				return !slices.ContainsFunc(conditions, func(c [2]string) bool { return i.fields[c[0]] == c[1] })
			})
		}
	}
	if limit, err := strconv.Atoi(query.Get("sysparm_limit")); err == nil && limit < len(rows) {
		rows = rows[:limit]
	}
	if query.Get("sysparm_fields") == "" {
		s.t.Error("the whole records are asked for")
	}
	result := []any{}
	for _, i := range rows {
		row := i.shown(query.Get("sysparm_fields"), query.Get("sysparm_display_value"))
		delete(row, s.columnGone)
		result = append(result, row)
	}
	answer(w, http.StatusOK, result)
}

// shown is a record with the columns that were asked for and that there are.
func (i *record) shown(columns, display string) map[string]any {
	row := map[string]any{}
	for column := range strings.SplitSeq(columns, ",") {
		if !slices.Contains(incidentColumns, column) {
			continue
		}
		value, shown := i.fields[column], i.fields[column]
		if column == "work_notes" { // only shown, the latest first
			shown = ""
			for n := len(i.journal) - 1; n >= 0; n-- {
				shown += "2026-05-01 08:03:11 - mfawatch (Work notes)\n" + i.journal[n] + "\n\n"
			}
		}
		switch display {
		case "all":
			row[column] = map[string]string{"display_value": shown, "value": value}
		case "true":
			row[column] = shown
		default:
			row[column] = value
		}
	}
	return row
}

func (s *server) create(w http.ResponseWriter, r *http.Request, body map[string]any) {
	i := &record{fields: map[string]string{
		"sys_id": fmt.Sprintf("%032x", 0xabc0+len(s.incidents)), "number": fmt.Sprintf("INC%07d", 10_000+len(s.incidents)), "state": "1",
		"sys_created_on": s.now().UTC().Format(time.DateTime), "urgency": "3", "impact": "3",
	}}
	s.set(i, body)
	var missing []string
	for column, label := range s.mandatory {
		if i.fields[column] == "" {
			missing = append(missing, label)
		}
	}
	if len(missing) > 0 {
		fail(w, http.StatusForbidden, "Operation Failed", "Data Policy Exception: The following fields are mandatory: "+strings.Join(missing, ", "))
		return
	}
	s.incidents = append(s.incidents, i)
	w.Header().Set("Location", "http://"+r.Host+"/api/now/table/incident/"+i.fields["sys_id"])
	answer(w, http.StatusCreated, i.shown(r.URL.Query().Get("sysparm_fields"), r.URL.Query().Get("sysparm_display_value")))
}

func (s *server) patch(w http.ResponseWriter, r *http.Request, sysID string, body map[string]any) {
	n := slices.IndexFunc(s.incidents, func(i *record) bool { return i.fields["sys_id"] == sysID })
	if n < 0 {
		fail(w, http.StatusNotFound, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
		return
	}
	i := s.incidents[n]
	if i.fields["state"] == "7" {
		fail(w, http.StatusForbidden, "Operation Failed", "Operation against file 'incident' was aborted by Business Rule: closed incidents are read only")
		return
	}
	before := i.fields
	i.fields = map[string]string{}
	maps.Copy(i.fields, before)
	notes := len(i.journal)
	s.set(i, body)
	if i.fields["state"] == "6" && before["state"] != "6" {
		var missing []string
		for column, label := range s.closing {
			if i.fields[column] == "" {
				missing = append(missing, label)
			}
		}
		if i.fields["close_code"] == "" || i.fields["close_notes"] == "" {
			missing = append(missing, "Resolution code, Resolution notes")
		}
		if len(missing) > 0 {
			i.fields, i.journal = before, i.journal[:notes]
			fail(w, http.StatusForbidden, "Operation Failed", "Data Policy Exception: The following fields are mandatory: "+strings.Join(missing, ", "))
			return
		}
	}
	answer(w, http.StatusOK, i.shown(r.URL.Query().Get("sysparm_fields"), r.URL.Query().Get("sysparm_display_value")))
}

// set sets columns. Those that there are not, or that may not be written, are
// ignored in silence.
func (s *server) set(i *record, body map[string]any) {
	for column, value := range body {
		text, ok := value.(string)
		if !ok {
			s.t.Errorf("%s is no text: %v", column, value)
		}
		if !slices.Contains(incidentColumns, column) || strings.HasPrefix(column, "sys_") || slices.Contains(s.unwritten, column) {
			continue
		}
		for name, longest := range map[string]int{"short_description": 160, "correlation_id": 100, "description": 4000, "close_notes": 4000, "work_notes": 4000} {
			if name == column && len(text) > longest {
				s.t.Errorf("%s of %d bytes", column, len(text))
			}
		}
		if (column == "urgency" || column == "impact") && !slices.Contains([]string{"1", "2", "3"}, text) {
			s.t.Errorf("%s %q", column, text)
		}
		if column == "assignment_group" && text != group {
			continue // a reference to nothing
		}
		if column == "work_notes" {
			i.journal = append(i.journal, text)
			continue
		}
		i.fields[column] = text
	}
}

// eventColumns are those that an event may have.
var eventColumns = []string{
	"source", "event_class", "node", "resource", "metric_name", "type", "message_key", "severity", "description", "additional_info", "time_of_event", "resolution_state",
}

func (s *server) takeEvents(w http.ResponseWriter, body map[string]any) {
	records, _ := body["records"].([]any)
	taken := 0
	for _, r := range records {
		record, _ := r.(map[string]any)
		event := map[string]string{}
		for column, value := range record {
			text, ok := value.(string)
			if !ok || !slices.Contains(eventColumns, column) {
				s.t.Errorf("%s: %v", column, value)
				continue
			}
			event[column] = text
		}
		var info map[string]string
		if err := json.Unmarshal([]byte(event["additional_info"]), &info); err != nil {
			s.t.Errorf("additional_info %q: %v", event["additional_info"], err)
		}
		if _, err := time.Parse("2006-01-02 15:04:05", event["time_of_event"]); err != nil {
			s.t.Error(err)
		}
		if !regexp.MustCompile(`^[0-5]$`).MatchString(event["severity"]) || event["resolution_state"] != "New" && event["resolution_state"] != "Closing" {
			s.t.Errorf("severity %q, state %q", event["severity"], event["resolution_state"])
		}
		if len(event["message_key"]) == 0 || len(event["message_key"]) > 100 || len(event["description"]) > 4000 || len(event["additional_info"]) > 4000 || len(event["node"]) > 100 || len(event["resource"]) > 100 {
			s.t.Errorf("too long, or no key: %v", event)
		}
		s.events = append(s.events, event)
		taken++
	}
	answer(w, http.StatusOK, map[string]string{"Default Bulk Endpoint": fmt.Sprintf("%d events were inserted", taken)})
}

// of is the incidents of an exposure.
func (s *server) of(key string) (found []*record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.incidents {
		if i.fields["correlation_id"] == key {
			found = append(found, i)
		}
	}
	return found
}
