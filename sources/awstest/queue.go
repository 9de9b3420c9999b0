package awstest

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// QueueURL is the address of the one queue there is.
const QueueURL = "https://sqs.us-east-1.amazonaws.com/111122223333/trail"

// A Message is one of the queue's.
type Message struct {
	ID       string
	Body     string
	Sent     time.Time
	Receives int
	Visible  time.Time       // from when on it may be received
	Waits    []time.Duration // what its visibility was set to, in turn, by ChangeMessageVisibility
	Deleted  bool
}

type queue struct {
	messages []*Message    // in the order they were sent
	live     []*Message    // not deleted
	changed  chan struct{} // closed when there may be more to receive
}

// Send puts a message into the queue and returns its ID.
func (s *Server) Send(body string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &Message{ID: fmt.Sprintf("message-%06d", len(s.queue.messages)+1), Body: body, Sent: time.Now()}
	s.queue.messages = append(s.queue.messages, m)
	s.queue.live = append(s.queue.live, m)
	s.wake()
	return m.ID
}

// Messages are all that were ever sent, as they are now.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Message, len(s.queue.messages))
	for i, m := range s.queue.messages {
		all[i] = *m
		all[i].Waits = slices.Clone(m.Waits)
	}
	return all
}

// Expire ends the visibility of all received messages, as time would if the
// receiver died.
func (s *Server) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.queue.live {
		m.Visible = time.Time{}
	}
	s.wake()
}

// Left returns the number of messages that are not deleted.
func (s *Server) Left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue.live)
}

func (s *Server) wake() {
	close(s.queue.changed)
	s.queue.changed = make(chan struct{})
}

// refuse is SQS's way to say no.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazonaws.sqs#" + code, "message": message})
}

type entry struct {
	ID                string `json:"Id"`
	ReceiptHandle     string
	VisibilityTimeout int
}

type failure struct {
	ID          string `json:"Id"`
	Code        string
	Message     string
	SenderFault bool
}

func (s *Server) serveQueue(w http.ResponseWriter, r *http.Request, call Call) {
	var in struct {
		QueueURL            string `json:"QueueUrl"`
		MaxNumberOfMessages int
		WaitTimeSeconds     int
		VisibilityTimeout   int
		Entries             []entry
	}
	if err := json.Unmarshal(call.Body, &in); err != nil {
		refuse(w, http.StatusBadRequest, "InvalidAttributeValue", err.Error())
		return
	}
	if in.QueueURL != QueueURL {
		refuse(w, http.StatusBadRequest, "QueueDoesNotExist", "The specified queue does not exist.")
		return
	}
	var out any
	switch call.Operation {
	case "ReceiveMessage":
		out = map[string]any{"Messages": s.receive(r.Context(), in.MaxNumberOfMessages, time.Duration(in.WaitTimeSeconds)*time.Second, time.Duration(in.VisibilityTimeout)*time.Second)}
	case "DeleteMessageBatch":
		out = s.each(in.Entries, func(_ entry, m *Message) {
			m.Deleted = true
			s.queue.live = slices.DeleteFunc(s.queue.live, func(l *Message) bool { return l == m })
		})
	case "ChangeMessageVisibilityBatch":
		out = s.each(in.Entries, func(e entry, m *Message) {
			wait := time.Duration(e.VisibilityTimeout) * time.Second
			m.Visible, m.Waits = time.Now().Add(wait), append(m.Waits, wait)
			s.wake()
		})
	default:
		refuse(w, http.StatusBadRequest, "InvalidAction", "unknown "+call.Operation)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_ = json.NewEncoder(w).Encode(out)
}

// each does something to the message of each entry. A receipt is good until the
// message is received again, or deleted.
func (s *Server) each(entries []entry, do func(entry, *Message)) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	done, failed := []map[string]string{}, []failure{}
	for _, e := range entries {
		id, receives, _ := strings.Cut(e.ReceiptHandle, "/")
		at := slices.IndexFunc(s.queue.live, func(m *Message) bool { return m.ID == id })
		if at < 0 || strconv.Itoa(s.queue.live[at].Receives) != receives {
			failed = append(failed, failure{e.ID, "ReceiptHandleIsInvalid", "The receipt handle has expired", true})
			continue
		}
		do(e, s.queue.live[at])
		done = append(done, map[string]string{"Id": e.ID})
	}
	return map[string]any{"Successful": done, "Failed": failed}
}

// receive waits for messages as a long poll does.
func (s *Server) receive(ctx context.Context, most int, wait, visibility time.Duration) []map[string]any {
	end := time.Now().Add(wait)
	for {
		s.mu.Lock()
		now := time.Now()
		next := end
		var got []map[string]any
		for _, m := range s.queue.live {
			switch {
			case len(got) == most:
			case m.Visible.After(now):
				if m.Visible.Before(next) {
					next = m.Visible
				}
			default:
				m.Receives++
				m.Visible = now.Add(visibility)
				sum := md5.Sum([]byte(m.Body))
				got = append(got, map[string]any{
					"MessageId": m.ID, "ReceiptHandle": m.ID + "/" + strconv.Itoa(m.Receives), "Body": m.Body, "MD5OfBody": hex.EncodeToString(sum[:]),
					"Attributes": map[string]string{
						"ApproximateReceiveCount": strconv.Itoa(m.Receives),
						"SentTimestamp":           strconv.FormatInt(m.Sent.UnixMilli(), 10),
					},
				})
			}
		}
		changed := s.queue.changed
		s.mu.Unlock()
		if len(got) > 0 || !now.Before(end) {
			return got
		}
		select {
		case <-time.After(next.Sub(now)):
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}
