package servicenow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/processor/exposure"
	"github.com/mfawatch/mfawatch/processor/safetext"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/httpsend"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/ticket"
)

// Sink keeps an incident for each exposure, or an alert of Event
// Management.
type Sink struct {
	config  Config
	wording message.Wording
	texts   message.Texts
	log     *slog.Logger
	http    *httpsend.Client
}

var _ sinks.Sink = (*Sink)(nil)

// New returns a sink that writes as c says. It makes no request.
// It logs to log the problems of alerts that were delivered. The caller closes the
// sink.
func New(c Config, w message.Wording, log *slog.Logger) (*Sink, error) {
	d := DefaultConfig()
	c.Mode, c.ResolvedState, c.CloseCode = cmp.Or(c.Mode, d.Mode), cmp.Or(c.ResolvedState, d.ResolvedState), cmp.Or(c.CloseCode, d.CloseCode)
	if err := c.Validate(); err != nil {
		return nil, err
	}
	texts, _ := c.Templates.Parse(parts...) // which Validate accepted
	p, err := httpsend.New(c.Config)
	if err != nil {
		return nil, err
	}
	return &Sink{config: c, wording: w, texts: texts, log: log, http: p}, nil
}

// Close closes idle connections.
func (s *Sink) Close() error { return s.http.Close() }

// To is the sink for another assignment group, given by its sys_id; an incident
// that is open already keeps its own. Events have none. It shares the
// connections, and is not closed by itself.
func (s *Sink) To(recipients []string) (sinks.Sink, error) {
	switch {
	case s.config.Mode == modeEvents:
		return nil, errors.New("events of ServiceNow have no recipients: rules on the instance assign them")
	case len(recipients) != 1 || !sysIDText().MatchString(recipients[0]):
		return nil, fmt.Errorf("want one assignment group by its sys_id, 32 hexadecimal digits, got %.100q", recipients)
	}
	other := *s
	other.config.AssignmentGroup = recipients[0]
	return &other, nil
}

// Send writes the alert into a ticket. In mode incident it looks first, by correlation_id,
// which is the exposure's: an incident whose texts have the alert's mark was
// sent it, whatever became of the answer. Else the oldest one that is open is
// updated or resolved; urgency and impact are raised and never lowered. Where
// there is none, one is opened; but none is opened only to be resolved, unless
// the exposure was exploited. An incident that was resolved, closed or deleted
// stays so: the exposure is ClosedByPerson, and what has to be heard nevertheless
// (see exposure.Step.AlwaysDelivered) opens a new one that names the old.
//
// The ref is the instance, and the sys_id and the number of the incident.
func (s *Sink) Send(ctx context.Context, a *processor.Alert, ref string) (newRef string, err error) {
	cred, err := s.config.header()
	if err != nil {
		return ref, sinks.Misconfigured(err)
	}
	if s.config.Mode == modeEvents {
		return s.sendEvent(ctx, cred, a, ref)
	}
	return ticket.AtSite(s.config.URL, ref, func(ref string) (string, error) { return s.keep(ctx, cred, a, ref) })
}

// keep writes the alert into an incident of this instance.
func (s *Sink) keep(ctx context.Context, cred httpsend.Credentials, a *processor.Alert, ref string) (newRef string, err error) {
	if sysID(ref) == "" {
		ref = "" // of another type of sink, or of mode events
	}
	known, err := s.look(ctx, cred, a, ref)
	if err != nil {
		return ref, err
	}
	var open []incident
	for _, i := range known {
		if i.holds(a) {
			return i.ref(), nil
		}
		if !s.ended(i.State) {
			open = append(open, i)
		}
	}
	switch {
	case len(open) > 0:
		return open[0].ref(), s.update(ctx, cred, a, open)
	case len(known) == 0 && ref == "":
		if a.Step == exposure.Resolved && !ticket.Exploited(a) {
			return "", nil
		}
		return s.open(ctx, cred, a, "")
	case a.Step.AlwaysDelivered(a.Severity):
		return s.open(ctx, cred, a, lastNumber(known, ref))
	}
	return ref, sinks.ClosedByPerson(fmt.Errorf("incident %s was resolved, closed or deleted by a person", lastNumber(known, ref)))
}

// ended reports whether work on an incident in that state is over.
func (s *Sink) ended(state value) bool {
	return state.Value == s.config.ResolvedState || slices.Contains(endedStates, state.Value)
}

// look finds the latest incidents of the exposure, the oldest of them first. An
// exposure has more than one where people end them while it goes on. Where the notes
// are too long to be read, which a person who is watched can bring about, it does
// without: a note may then be there twice.
func (s *Sink) look(ctx context.Context, cred httpsend.Credentials, a *processor.Alert, ref string) ([]incident, error) {
	key, sysID := ticket.Key(a, s.config.AssignmentGroup), sysID(ref)
	query := "correlation_id=" + key
	if sysID != "" {
		query += "^ORsys_id=" + sysID
	}
	var got struct {
		Result []incident `json:"result"`
	}
	const columns = "sys_id,number,state,urgency,impact,correlation_id,description,close_notes"
	look := func(columns string) error {
		_, err := s.call(ctx, cred, opLook, http.MethodGet, "/api/now/table/incident?"+url.Values{
			"sysparm_query":                  {query + "^ORDERBYDESCsys_created_on"},
			"sysparm_fields":                 {columns},
			"sysparm_display_value":          {"all"}, // work notes are read in no other way
			"sysparm_exclude_reference_link": {"true"},
			"sysparm_limit":                  {"20"},
		}.Encode(), nil, &got)
		return err
	}
	err := look(columns + ",work_notes")
	if errors.Is(err, ticket.ErrLong) {
		err = look(columns)
	}
	if err != nil {
		return nil, err
	}
	slices.Reverse(got.Result)
	// What an instance does not understand of a query it leaves out, and
	// returns more.
	return slices.DeleteFunc(got.Result, func(i incident) bool {
		return i.CorrelationID.Value != key && i.SysID.Value != sysID || !sysIDText().MatchString(i.SysID.Value)
	}), nil
}

// open opens an incident, after one that was ended if it has a number.
func (s *Sink) open(ctx context.Context, cred httpsend.Credentials, a *processor.Alert, after string) (ref string, err error) {
	sent := s.incident(a, after)
	var got struct {
		Result incident `json:"result"`
	}
	r, err := s.call(ctx, cred, opOpen, http.MethodPost, "/api/now/table/incident?"+echo, sent, &got)
	if err != nil {
		return "", err
	}
	i := got.Result
	if !sysIDText().MatchString(i.SysID.Value) {
		return "", sinks.Ambiguous(fmt.Errorf("answered %s without the sys_id of an incident", httpsend.StatusText(r.Status)))
	}
	var lost []string
	if i.CorrelationID.Value != sent["correlation_id"] {
		lost = append(lost, "correlation_id")
	}
	if i.AssignmentGroup.Value != sent["assignment_group"] && sent["assignment_group"] != "" {
		lost = append(lost, "assignment_group")
	}
	if len(lost) > 0 {
		s.log.Warn("the instance did not keep what was set: let the user write and read these fields of incident; without a correlation_id an incident may be opened twice",
			"incident", i.Number.Value, "fields", strings.Join(lost, ", "))
		i.lost = lost
	}
	return i.ref(), nil
}

// update writes the alert into the first of the incidents. The others are
// duplicates, which are named to people.
func (s *Sink) update(ctx context.Context, cred httpsend.Credentials, a *processor.Alert, open []incident) error {
	sent := s.change(a, open)
	var got struct {
		Result incident `json:"result"`
	}
	what := opUpdate
	if a.Step == exposure.Resolved {
		what = opResolve
	}
	if len(open) > 1 {
		s.log.Warn("there are several open incidents of one exposure; the oldest is kept up to date", "incident", open[0].Number.Value, "others", numbersOf(open[1:]))
	}
	_, err := s.call(ctx, cred, what, http.MethodPatch, "/api/now/table/incident/"+open[0].SysID.Value+"?"+echo, sent, &got)
	if err != nil {
		return err
	}
	if state := got.Result.State; what == opResolve && !s.ended(state) {
		return sinks.Permanent(fmt.Errorf("incident %s was not resolved: its state is still %.20q; let the user write the field state, or set resolved_state to what the instance calls resolved, then retry the dead letter",
			open[0].Number.Value, state.Value))
	}
	return nil
}

// sendEvent posts an event. Events with one message_key are one alert on the
// instance, so that a copy changes nothing; severity 0 clears it, or does
// nothing where there is none. The ref is the message_key.
func (s *Sink) sendEvent(ctx context.Context, cred httpsend.Credentials, a *processor.Alert, ref string) (newRef string, err error) {
	event := s.event(a, ref == "" && ticket.Exploited(a))
	var got struct {
		Result map[string]string `json:"result"`
	}
	_, err = s.call(ctx, cred, opEvent, http.MethodPost, "/api/global/em/jsonv2", map[string]any{"records": []any{event}}, &got)
	if err != nil {
		return ref, err
	}
	for _, said := range got.Result {
		if strings.HasPrefix(said, "0 ") {
			return ref, sinks.Permanent(fmt.Errorf("the event was not taken: %s", safetext.Clean(said, httpsend.MaxExcerpt)))
		}
	}
	return event["message_key"], nil
}

// Render returns the request about an alert: a first step opens an incident, and the
// others update it.
func (s *Sink) Render(a *processor.Alert) (string, error) {
	switch {
	case s.config.Mode == modeEvents:
		return ticket.RenderRequest("POST /api/global/em/jsonv2", map[string]any{"records": []any{s.event(a, false)}})
	case message.Follows(a.Step):
		return ticket.RenderRequest("PATCH /api/now/table/incident/SYS_ID", s.change(a, make([]incident, 1)))
	}
	return ticket.RenderRequest("POST /api/now/table/incident", s.incident(a, ""))
}

// Receipt names the incident, and the fields that the instance did not keep.
func (s *Sink) Receipt(ref string) string {
	if s.config.Mode == modeEvents {
		return "event with message_key " + ref
	}
	sysID, rest, _ := strings.Cut(ticket.WithoutSite(ref), " ")
	number, lost, _ := strings.Cut(rest, " ")
	if sysID == "" {
		return "nothing, since there was no incident"
	}
	if lost != "" {
		return number + "; but the instance did not keep " + lost + ": let the user write and read it"
	}
	return number
}
