package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/config"
	"github.com/mfawatch/mfawatch/processor/journal"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

// The paths of the admin API.
const (
	deadLettersPath = "/api/v1/deadletters"
	quarantinePath  = "/api/v1/quarantine"
	exposuresPath   = "/api/v1/exposures"
	alertsPath      = "/api/v1/alerts"
	sinksPath       = "/api/v1/sinks"
	sourcesPath     = "/api/v1/sources"
	overviewPath    = "/api/v1/overview"
)

// A Client calls the Handler of an Admin over HTTP.
type Client struct {
	client  *http.Client
	address string // of the URL
	at      string // in messages
	token   string
	replica string // name of the one that is asked by another; "": a client asks

	mu         sync.Mutex
	unanswered []string
}

// Unanswered names the replicas and the shards that are missing in the answers so
// far, each with the reason.
func (c *Client) Unanswered() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.unanswered)
}

// NewClient returns the client of the service at address, HOST:PORT or unix:PATH,
// which shows the token unless that is "". It sends nothing yet. Its error is a
// *config.Error.
func NewClient(address, token string) (*Client, error) {
	transport := &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: time.Minute}
	if path, ok := strings.CutPrefix(address, config.UnixPrefix); ok {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		return &Client{client: &http.Client{Transport: transport}, address: "localhost", at: address, token: token}, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" || port == "0" {
		return nil, config.Refuse("--address", config.Mistake{Problem: fmt.Sprintf("want HOST:PORT of the running service, or unix:PATH, got %q", config.Bounded(address))})
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	address = net.JoinHostPort(host, port)
	return &Client{client: &http.Client{Transport: transport}, address: address, at: address, token: token}, nil
}

// ListDeadLetters is Admin.ListDeadLetters over HTTP.
func (c *Client) ListDeadLetters(ctx context.Context, s Selection, each func(DeadLetter) error) error {
	return list(ctx, c, deadLettersPath, s, each)
}

// RetryDeadLetters is Admin.RetryDeadLetters over HTTP.
func (c *Client) RetryDeadLetters(ctx context.Context, s Selection) (Outcome, error) {
	return c.change(ctx, http.MethodPost, deadLettersPath+"/retry", s)
}

// DropDeadLetters is Admin.DropDeadLetters over HTTP.
func (c *Client) DropDeadLetters(ctx context.Context, s Selection) (Outcome, error) {
	return c.change(ctx, http.MethodDelete, deadLettersPath, s)
}

// ListQuarantine is Admin.ListQuarantine over HTTP.
func (c *Client) ListQuarantine(ctx context.Context, s Selection, each func(journal.Quarantined) error) error {
	return list(ctx, c, quarantinePath, s, each)
}

// RetryQuarantine is Admin.RetryQuarantine over HTTP.
func (c *Client) RetryQuarantine(ctx context.Context, s Selection) (Outcome, error) {
	return c.change(ctx, http.MethodPost, quarantinePath+"/retry", s)
}

// DropQuarantine is Admin.DropQuarantine over HTTP.
func (c *Client) DropQuarantine(ctx context.Context, s Selection) (Outcome, error) {
	return c.change(ctx, http.MethodDelete, quarantinePath, s)
}

// ListExposures is Admin.ListExposures over HTTP.
func (c *Client) ListExposures(ctx context.Context, f ExposureFilter) (page ExposurePage, err error) {
	q := url.Values{"state": f.States, "severity": f.Severities}
	for name, value := range map[string]string{"account": f.Account, "user": f.User, "after": f.After} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	return page, c.call(ctx, http.MethodGet, exposuresPath, q, nil, &page)
}

// ShowExposure is Admin.ShowExposure over HTTP.
func (c *Client) ShowExposure(ctx context.Context, id string) (story ExposureStory, err error) {
	return story, c.call(ctx, http.MethodGet, exposuresPath+"/"+url.PathEscape(id), nil, nil, &story)
}

// CloseExposure is Admin.CloseExposure over HTTP.
func (c *Client) CloseExposure(ctx context.Context, id string, closing Closing) error {
	body, err := json.Marshal(closing)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, exposuresPath+"/"+url.PathEscape(id)+"/close", nil, body, &closing)
}

// Overview returns the overview of the first page of open exposures by severity, the
// oldest of each first.
func (c *Client) Overview(ctx context.Context) (o Overview, err error) {
	return o, c.call(ctx, http.MethodGet, overviewPath, nil, nil, &o)
}

// Reload has the service read its configuration again, and returns the changes.
func (c *Client) Reload(ctx context.Context) (changes config.Changes, err error) {
	return changes, c.call(ctx, http.MethodPost, "/-/reload", nil, nil, &changes)
}

// call sends a request and decodes its answer.
func (c *Client) call(ctx context.Context, method, path string, q url.Values, body []byte, result any) error {
	answer, err := c.send(ctx, method, path, q, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	part := bounded(answer)
	if err := json.NewDecoder(part).Decode(result); err != nil {
		return fmt.Errorf("read the answer: %w", part.explain(err))
	}
	return nil
}

// maxAnswer bounds an answer, and an item of a list, in bytes: the one who answers
// may be another program that joined the group of the replicas.
const maxAnswer = 64 << 20

// A boundedAnswer reads as much of an answer as its bound allows.
type boundedAnswer struct{ io.LimitedReader }

func bounded(r io.Reader) *boundedAnswer { return &boundedAnswer{io.LimitedReader{R: r, N: maxAnswer}} }

// explain returns the reason for an error of what was read.
func (a *boundedAnswer) explain(err error) error {
	if a.N <= 0 {
		return fmt.Errorf("it is larger than %d MiB", maxAnswer>>20)
	}
	return err
}

// do sends a request about a selection. The caller closes the body.
func (c *Client) do(ctx context.Context, method, path string, s Selection) (io.ReadCloser, error) {
	q := url.Values{"id": s.IDs}
	if s.All {
		q.Set("all", "true")
	}
	if s.Sink != "" {
		q.Set("sink", s.Sink)
	}
	return c.send(ctx, method, path, q, nil)
}

// send sends a request. path is escaped. The caller closes the body of the answer.
func (c *Client) send(ctx context.Context, method, path string, q url.Values, body []byte) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.address+path+"?"+q.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Host = "localhost" // see plainHost
	switch {
	case c.replica != "":
		r.Header.Set(replicaHeader, c.replica)
		if c.token != "" {
			sign(r, c.token, c.replica, body)
		}
	case c.token != "":
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.client.Do(r)
	if wrong, ok := errors.AsType[*url.Error](err); ok {
		return nil, fmt.Errorf("call the service at %s: %w", c.at, wrong.Err)
	}
	if err != nil {
		return nil, err
	}
	c.note(response.Header.Values(unansweredHeader))
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
		reason := safetext.Clean(line(string(text)), 4<<10)
		switch {
		case response.StatusCode != http.StatusNotFound:
			return nil, refused{response.StatusCode, reason}
		case strings.HasPrefix(reason, "no "):
			return nil, NotFound{reason}
		}
		return nil, fmt.Errorf("no mfawatch with this API listens at %s", c.at)
	}
	return response.Body, nil
}

// Refused reports whether a service refused a client without its token.
func Refused(err error) bool {
	var r refused
	return errors.As(err, &r) && (r.status == http.StatusUnauthorized || r.status == http.StatusForbidden)
}

// maxUnanswered bounds what is noted of answers.
const maxUnanswered = 100

func (c *Client) note(unanswered []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range unanswered {
		if text = safetext.Clean(text, maxProblem); len(c.unanswered) < maxUnanswered && !slices.Contains(c.unanswered, text) {
			c.unanswered = append(c.unanswered, text)
		}
	}
}

// idStep bounds the IDs of one request.
const idStep = 100

// list calls each with every item of a list.
func list[T any](ctx context.Context, c *Client, path string, s Selection, each func(T) error) error {
	steps := slices.Collect(slices.Chunk(s.IDs, idStep))
	if len(steps) == 0 {
		steps = [][]string{nil}
	}
	for _, ids := range steps {
		body, err := c.do(ctx, http.MethodGet, path, Selection{Sink: s.Sink, IDs: ids})
		if err != nil {
			return err
		}
		for v, wrong := range decoded[T]("the service", body) {
			if err = wrong; err == nil {
				err = each(v)
			}
			if err != nil {
				break
			}
		}
		body.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// change carries out one action on a selection.
func (c *Client) change(ctx context.Context, method, path string, s Selection) (total Outcome, err error) {
	steps := slices.Collect(slices.Chunk(s.IDs, idStep))
	if s.All {
		steps = [][]string{nil}
	}
	for _, ids := range steps {
		body, err := c.do(ctx, method, path, Selection{Sink: s.Sink, IDs: ids, All: s.All})
		if err != nil {
			return total, err
		}
		var o Outcome
		err = json.NewDecoder(bounded(body)).Decode(&o)
		body.Close()
		if err != nil {
			return total, fmt.Errorf("read the result: %w", err)
		}
		total.add(o)
	}
	return total, nil
}
