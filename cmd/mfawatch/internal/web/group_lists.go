package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"

	"github.com/mfawatch/mfawatch/cmd/mfawatch/internal/shard"
	"github.com/mfawatch/mfawatch/processor/journal"
)

// ListDeadLetters calls each with the selected dead letters of all replicas.
func (q *query) ListDeadLetters(ctx context.Context, s Selection, each func(DeadLetter) error) error {
	return listAll(ctx, q, deadLettersPath, s, q.admin.ListDeadLetters, each, func(a, b DeadLetter) bool { return a.Sink < b.Sink })
}

// ListQuarantine calls each with the selected records of all replicas, oldest first.
func (q *query) ListQuarantine(ctx context.Context, s Selection, each func(journal.Quarantined) error) error {
	return listAll(ctx, q, quarantinePath, s, q.admin.ListQuarantine, each, func(a, b journal.Quarantined) bool { return a.Time.Before(b.Time) })
}

// listAll merges the lists of this replica and of the others, each of which is in
// order. It holds one item of each.
func listAll[T any](ctx context.Context, q *query, path string, s Selection, own func(context.Context, Selection, func(T) error) error, each func(T) error, less func(a, b T) bool) error {
	bodies := askOthers(ctx, q, readTime, func(c *Client) (io.ReadCloser, error) { return c.do(ctx, http.MethodGet, path, s) })
	lists := []iter.Seq2[T, error]{pushed(ctx, s, own)}
	for _, b := range bodies {
		if b.err != nil {
			lists = append(lists, func(yield func(T, error) bool) { yield(*new(T), b.err) })
			continue
		}
		defer b.value.Close()
		lists = append(lists, decoded[T](b.Instance, b.value))
	}
	type head struct {
		value T
		next  func() (T, error, bool)
	}
	var heads []*head
	var unknown error
	for _, list := range lists {
		next, stop := iter.Pull2(list)
		defer stop()
		v, err, ok := next()
		switch {
		case ok && isMissing(err): // no such sink there
			unknown = err
		case ok && err != nil:
			return err
		case ok:
			heads, unknown = append(heads, &head{v, next}), nil
		}
	}
	if unknown != nil && len(heads) == 0 {
		return unknown
	}
	for len(heads) > 0 {
		first := 0
		for i, h := range heads {
			if less(h.value, heads[first].value) {
				first = i
			}
		}
		h := heads[first]
		if err := each(h.value); err != nil {
			return err
		}
		v, err, ok := h.next()
		if ok && err != nil {
			return err
		}
		if h.value = v; !ok {
			heads = slices.Delete(heads, first, first+1)
		}
	}
	return nil
}

var errListEnds = errors.New("the reader of the list is gone")

// pushed yields what list calls its function with.
func pushed[T any](ctx context.Context, s Selection, list func(context.Context, Selection, func(T) error) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		err := list(ctx, s, func(v T) error {
			if !yield(v, nil) {
				return errListEnds
			}
			return nil
		})
		if err != nil && !errors.Is(err, errListEnds) {
			yield(*new(T), err)
		}
	}
}

// decoded yields the items of a list that another one sent. Each is bounded.
func decoded[T any](sender string, body io.Reader) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		part := bounded(bufio.NewReader(body))
		for d := json.NewDecoder(part); ; {
			var v T
			part.N = maxAnswer
			err := d.Decode(&v)
			if errors.Is(err, io.EOF) && part.N > 0 {
				return
			}
			if err != nil {
				err = fmt.Errorf("read the list of %s: %w", sender, part.explain(err))
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// RetryDeadLetters requeues the selected dead letters of all replicas.
func (q *query) RetryDeadLetters(ctx context.Context, s Selection) (Outcome, error) {
	return changeAll(ctx, q, s, q.admin.RetryDeadLetters, (*Client).RetryDeadLetters)
}

// DropDeadLetters drops the selected dead letters of all replicas.
func (q *query) DropDeadLetters(ctx context.Context, s Selection) (Outcome, error) {
	return changeAll(ctx, q, s, q.admin.DropDeadLetters, (*Client).DropDeadLetters)
}

// RetryQuarantine scans the selected records of all replicas again.
func (q *query) RetryQuarantine(ctx context.Context, s Selection) (Outcome, error) {
	return changeAll(ctx, q, s, q.admin.RetryQuarantine, (*Client).RetryQuarantine)
}

// DropQuarantine drops the selected records of all replicas.
func (q *query) DropQuarantine(ctx context.Context, s Selection) (Outcome, error) {
	return changeAll(ctx, q, s, q.admin.DropQuarantine, (*Client).DropQuarantine)
}

// changeAll carries out an action on the selection of every replica. An ID is
// unknown if no replica knows it. An error names each replica that refused.
func changeAll(ctx context.Context, q *query, s Selection, own func(context.Context, Selection) (Outcome, error), of func(*Client, context.Context, Selection) (Outcome, error)) (total Outcome, err error) {
	here := answered[Outcome]{Replica: shard.Replica{Instance: q.name()}}
	here.value, here.err = own(ctx, s)
	all := append([]answered[Outcome]{here}, askOthers(ctx, q, changeTime, func(c *Client) (Outcome, error) { return of(c, ctx, s) })...)
	known, unknown := false, slices.Clone(s.IDs)
	var missing error
	for _, a := range all {
		switch {
		case isMissing(a.err):
			missing = a.err
			continue
		case a.err != nil:
			err = errors.Join(err, fmt.Errorf("%s: %w", a.Instance, a.err))
		}
		known = known || a.err == nil
		for i, why := range a.value.Failed {
			a.value.Failed[i] = a.Instance + ": " + why
		}
		total.add(a.value)
		unknown = slices.DeleteFunc(unknown, func(id string) bool { return a.err == nil && !slices.Contains(a.value.Unknown, id) })
	}
	total.Unknown = unknown
	if err == nil && !known {
		err = missing
	}
	return total, err
}
