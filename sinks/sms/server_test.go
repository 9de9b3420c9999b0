package sms

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mfawatch/mfawatch/processor"
	"github.com/mfawatch/mfawatch/sinks"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/sinktest"
)

const (
	testNumber = "+15551234567"
	account    = "AC0123456789abcdef0123456789abcdef"
	token      = "xyzzy-token-of-twilio"
	secretOf   = "xyzzy/secret/access/key"
	phoneSID   = "+15005550006"
)

// A carrier is the phones behind a provider. It says what a provider refuses.
type carrier struct {
	mu     sync.Mutex
	refuse map[string]string // by number: the provider's code
	texts  []text
	about  map[string]*processor.Alert // by text: the alert that it is of
}

// A text is a message on a phone.
type text struct {
	id, to, body, status string
	about                *processor.Alert
	context              map[string]string
}

// take delivers. The caller holds the lock.
func (c *carrier) take(to, body string) text {
	c.texts = append(c.texts, text{id: fmt.Sprintf("SM%032x", len(c.texts)+1), to: to, body: body, status: "queued", about: c.about[body]})
	return c.texts[len(c.texts)-1]
}

func (c *carrier) refuses(to, code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse == nil {
		c.refuse = map[string]string{}
	}
	c.refuse[to] = code
}

// on returns the texts on the phone.
func (c *carrier) on(to string) (bodies []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range c.texts {
		if text.to == to {
			bodies = append(bodies, text.body)
		}
	}
	return bodies
}

// valid reports whether a message meets the demands of every provider.
func valid(to, body string) bool {
	return number().MatchString(to) && body != "" && len([]rune(body)) <= 1600
}

// An snsServer is Amazon SNS as far as Publish to a number goes: the query
// protocol, and its errors.
type snsServer struct{ carrier }

func (s *snsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	form, err := url.ParseQuery(string(text))
	s.mu.Lock()
	defer s.mu.Unlock()
	problem := func(status int, code string) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>%s</Code><Message>no: %s</Message></Error><RequestId>1</RequestId></ErrorResponse>`, code, code)
	}
	attributes := map[string]string{}
	for i := 1; form.Get(fmt.Sprintf("MessageAttributes.entry.%d.Name", i)) != ""; i++ {
		entry := fmt.Sprintf("MessageAttributes.entry.%d.", i)
		attributes[form.Get(entry+"Name")] = form.Get(entry + "Value.StringValue")
	}
	to, body := form.Get("PhoneNumber"), form.Get("Message")
	switch {
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"):
		problem(403, "InvalidClientTokenId")
	case err != nil || form.Get("Action") != "Publish" || !valid(to, body) || attributes["AWS.SNS.SMS.SMSType"] != "Transactional":
		problem(400, "InvalidParameter")
	case s.refuse[to] == "Throttling":
		problem(400, "Throttling")
	case s.refuse[to] == "InternalError":
		problem(500, "InternalError")
	case strings.HasPrefix(s.refuse[to], "Auth") || strings.HasPrefix(s.refuse[to], "Sig") || strings.HasPrefix(s.refuse[to], "Exp"):
		problem(403, s.refuse[to])
	case s.refuse[to] != "":
		problem(400, s.refuse[to])
	default:
		fmt.Fprintf(w, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>%s</MessageId></PublishResult></PublishResponse>`, s.take(to, body).id)
	}
}

// A voiceServer is AWS End User Messaging as far as SendTextMessage goes.
type voiceServer struct{ carrier }

func (s *voiceServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		DestinationPhoneNumber, MessageBody, MessageType, OriginationIdentity string
		TimeToLive                                                            int
		Context                                                               map[string]string
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	problem := func(status int, code, reason string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazonaws.pinpointsmsvoicev2#" + code, "Message": "no: " + code, "Reason": reason})
	}
	code, reason, _ := strings.Cut(s.refuse[in.DestinationPhoneNumber], " ")
	switch {
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"):
		problem(400, "UnrecognizedClientException", "")
	case err != nil || r.Header.Get("X-Amz-Target") != "PinpointSMSVoiceV2.SendTextMessage" || !valid(in.DestinationPhoneNumber, in.MessageBody) ||
		in.MessageType != "TRANSACTIONAL" || in.TimeToLive < 5 || in.TimeToLive > 259200 || len(in.Context) > 5:
		problem(400, "ValidationException", "INVALID_PARAMETER")
	case code == "InternalServerException":
		problem(500, code, reason)
	case code != "":
		problem(400, code, reason)
	default:
		text := s.take(in.DestinationPhoneNumber, in.MessageBody)
		s.texts[len(s.texts)-1].context = in.Context
		_ = json.NewEncoder(w).Encode(map[string]string{"MessageId": text.id})
	}
}

// A twilioServer is Twilio's Messages resource.
type twilioServer struct {
	carrier
	trial bool // the account is: Twilio writes a text of its own before ours
}

func (s *twilioServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	form, err := url.ParseQuery(string(text))
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	problem := func(status, code int) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"code":%d,"message":"no: %d","more_info":"https://www.twilio.com/docs/errors/%d","status":%d}`, code, code, code, status)
	}
	user, password, _ := r.BasicAuth()
	switch {
	case r.URL.Path != "/2010-04-01/Accounts/"+account+"/Messages.json":
		problem(404, 20404)
		return
	case user != account || password != token:
		problem(401, 20003)
		return
	case r.Method == http.MethodGet:
		found := []map[string]string{}
		for i := len(s.texts) - 1; i >= 0; i-- {
			if t := s.texts[i]; t.to == r.URL.Query().Get("To") {
				found = append(found, map[string]string{"sid": t.id, "body": t.body, "status": t.status, "to": t.to})
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"messages": found, "page_size": 20})
		return
	}
	to, body := form.Get("To"), form.Get("Body")
	lives := 0
	_, _ = fmt.Sscan(form.Get("ValidityPeriod"), &lives)
	switch code := s.refuse[to]; {
	case r.Header.Get("Content-Type") != "application/x-www-form-urlencoded", err != nil:
		problem(400, 20001)
	case !valid(to, body):
		problem(400, 21211)
	case form.Get("From") == "" && form.Get("MessagingServiceSid") == "":
		problem(400, 21603)
	case lives < 1 || lives > 36000:
		problem(400, 21601)
	case code == "20429":
		problem(429, 20429)
	case code == "20500":
		problem(500, 20500)
	case code != "":
		n := 0
		_, _ = fmt.Sscan(code, &n)
		problem(400, n)
	default:
		if s.trial {
			body = "Sent from your Twilio trial account - " + body
		}
		t := s.take(to, body)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"sid":%q,"status":"queued","to":%q,"num_segments":"1"}`, t.id, to)
	}
}

// awsClient is how the fake of a service of AWS is reached.
func awsClient(server string) aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(server),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secretOf}, nil
		}),
	}
}

// A provider is a fake of a provider, and how it is configured.
type provider struct {
	name    string
	carrier *carrier
	http.Handler
	config func(server string) (Config, aws.Config)
	find   bool
}

func providers() []provider {
	amazon, voice, twilio := &snsServer{}, &voiceServer{}, &twilioServer{}
	return []provider{
		{providerSNS, &amazon.carrier, amazon, func(server string) (Config, aws.Config) {
			return Config{Provider: providerSNS, To: []string{testNumber}, Resolved: true}, awsClient(server)
		}, false},
		{providerVoice, &voice.carrier, voice, func(server string) (Config, aws.Config) {
			return Config{Provider: providerVoice, To: []string{testNumber}, From: "mfawatch", Resolved: true}, awsClient(server)
		}, false},
		{providerTwilio, &twilio.carrier, twilio, func(server string) (Config, aws.Config) {
			return Config{Provider: providerTwilio, To: []string{testNumber}, From: phoneSID, Resolved: true,
				AccountSID: account, AuthToken: token, URL: server}, aws.Config{}
		}, true},
	}
}

// A watched notes the alert of each text, which does not say its exposure.
type watched struct {
	*Sink
	carrier *carrier
}

func (s watched) Send(ctx context.Context, a *processor.Alert, ref string) (string, error) {
	s.carrier.mu.Lock()
	if s.carrier.about == nil {
		s.carrier.about = map[string]*processor.Alert{}
	}
	s.carrier.about[s.body(a)], s.carrier.about[again(s.body(a))] = a, a
	s.carrier.mu.Unlock()
	return s.Sink.Send(ctx, a, ref)
}

func TestConforms(t *testing.T) {
	for i, p := range providers() {
		t.Run(p.name, func(t *testing.T) {
			c := sinktest.Channel{Brief: true, People: true, HTTP: true, Verdicts: map[int]sinks.Verdict{200: sinks.VerdictAmbiguous, 503: sinks.VerdictAmbiguous}}
			if p.find {
				c.Verdicts[404] = sinks.VerdictMisconfigured
			} else {
				c.Copies = "AWS has no key against copies, and does not say what it sent"
			}
			c.Start = func(t *testing.T) *sinktest.Server {
				p := providers()[i]
				server := sinktest.NewHTTPServer(t, p)
				config, reached := p.config(server.URL)
				return &sinktest.Server{
					Sink: func() (sinks.Sink, error) {
						s, err := New(config, message.Wording{}, slog.New(slog.DiscardHandler), reached)
						return watched{s, p.carrier}, err
					},
					Holds:   func(a *processor.Alert) sinktest.Held { return heldTexts(p.carrier, a) },
					Inject:  server.Inject,
					Bodies:  server.Bodies,
					Secrets: []string{map[bool]string{true: token, false: secretOf}[p.find]},
					Wrong: func(text string) string {
						switch n := gsmLength(text); {
						case n > gsmPart:
							return fmt.Sprintf("%d septets", n)
						case gsm(text) != text:
							return "not of the GSM alphabet"
						case strings.Contains(text, "://"):
							return "a link of an attacker's"
						}
						return ""
					},
				}
			}
			sinktest.Run(t, c)
		})
	}
}

func heldTexts(c *carrier, a *processor.Alert) (h sinktest.Held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := func(a *processor.Alert) string {
		if a.Exposure != nil {
			return *a.Exposure
		}
		return a.ID
	}
	for _, text := range c.texts {
		if text.about == nil || name(text.about) != name(a) {
			continue
		}
		h.Cases = 1
		h.Notes++
		h.State = sinktest.State(h.State, text.about.Step)
		h.Texts = append(h.Texts, text.body)
	}
	return h
}
