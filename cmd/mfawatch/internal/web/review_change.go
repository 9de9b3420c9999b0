package web

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/output"
	"github.com/mfawatch/mfawatch/processor/safetext"
)

// maxForm bounds a form: a page of keys.
const maxForm = 256 << 10

// mayChange refuses a form that another site sent, that is not of a page of this
// process, or that shows no token where one is needed.
func (p pages) mayChange(r *http.Request) error {
	switch err := http.NewCrossOriginProtection().Check(r); {
	case err != nil:
		return refused{http.StatusForbidden, "refused: the form comes from a web page of another site"}
	case subtle.ConstantTimeCompare([]byte(r.PostForm.Get("form")), []byte(p.form)) != 1:
		return refused{http.StatusForbidden, "refused: mfawatch was started again since the page was loaded, or the form is not of this page; load the page again"}
	case p.open():
		return nil
	case p.config().TokenFile == "":
		return refused{http.StatusForbidden, "refused: other machines can reach this address, and http.token_file is not set; ask on the machine of the service"}
	case !p.proves(r.PostForm.Get("token")):
		return refused{http.StatusUnauthorized, "refused: the token is not that of http.token_file, or that file cannot be read; go back and enter it"}
	}
	return nil
}

// change carries out a form, and shows the page with the outcome. It drops nothing
// before a person confirmed that.
func (p pages) change(w http.ResponseWriter, r *http.Request, of reviewed) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	if err != nil {
		err = refused{http.StatusBadRequest, "want the form of this page"}
	}
	if err == nil {
		err = p.mayChange(r)
	}
	var v *review
	if err == nil {
		v, err = p.changed(r, of)
	}
	q := page{Review: v}
	if err == nil {
		q.Title = "mfawatch: " + v.Title
	}
	p.show(w, q, err)
}

func (p pages) changed(r *http.Request, of reviewed) (*review, error) {
	action, all := strings.CutSuffix(r.PostForm.Get("do"), "-all")
	if action != actionRetry && action != actionDrop {
		return nil, refused{http.StatusBadRequest, "want the form of this page"}
	}
	keys, done := r.PostForm["key"], "Nothing was selected."
	if all {
		keys = nil
	}
	if all || len(keys) > 0 {
		word := of.retry
		if action == actionDrop {
			v, err := p.review(r, of)
			// A person who confirmed all has not seen those that came since.
			if confirmed := r.PostForm.Get("confirmed"); err != nil || confirmed == "" || all && confirmed != strconv.Itoa(v.Total) {
				if err == nil {
					v.Drop, v.DropAll = keys, all
				}
				return v, err
			}
			word = "Drop"
		}
		o, err := of.change(r.Context(), action, keys)
		if err != nil {
			return nil, err
		}
		done = outcome(o, of.noun, word)
	}
	v, err := p.review(r, of)
	if err == nil {
		v.Done = done
	}
	return v, err
}

// outcome says what an action did.
func outcome(o Outcome, noun, action string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s done", action, output.Count(int64(o.Done), noun))
	if n := len(o.Still); n > 0 {
		fmt.Fprintf(&b, ", %d still unreadable and kept", n)
	}
	if n := len(o.Unknown); n > 0 {
		fmt.Fprintf(&b, ", %d not found", n)
	}
	for _, why := range o.Failed {
		b.WriteString("; not all: " + why)
	}
	return b.String() + "."
}

func (p pages) changeDead(ctx context.Context, action string, keys []string) (total Outcome, err error) {
	change := p.admin.RetryDeadLetters
	if action == actionDrop {
		change = p.admin.DropDeadLetters
	}
	if keys == nil {
		return despite(change(ctx, Selection{All: true}))
	}
	bySink := map[string][]string{}
	for _, key := range keys {
		sink, id, ok := strings.Cut(key, ":")
		if !ok {
			return total, refused{http.StatusBadRequest, fmt.Sprintf("no dead letter has the key %s", safetext.Clean(key, 100))}
		}
		bySink[sink] = append(bySink[sink], id)
	}
	for sink, ids := range bySink {
		o, err := change(ctx, Selection{Sink: sink, IDs: ids})
		if total.add(o); err != nil {
			return despite(total, err)
		}
	}
	return total, nil
}

func (p pages) changeQuarantined(ctx context.Context, action string, keys []string) (Outcome, error) {
	change := p.admin.RetryQuarantine
	if action == actionDrop {
		change = p.admin.DropQuarantine
	}
	return despite(change(ctx, Selection{IDs: keys, All: keys == nil}))
}
