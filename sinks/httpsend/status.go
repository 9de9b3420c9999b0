package httpsend

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mfawatch/mfawatch/sinks"
)

// MaxRetryAfter bounds the pause that a server may ask for: its mistake must not
// delay alerts for days.
const MaxRetryAfter = time.Hour

// StatusError returns the verdict on an HTTP status, the same for every channel; a
// channel adds its exceptions. 2xx is nil. A request that the server did not accept for
// now is retried: 408, 425, 429 and 503, the last two as late as Retry-After says. Any
// other 5xx may come from a proxy in front of a server that did accept the request, so
// it is Ambiguous. 401, 403, 407, 410 and 3xx, since redirects are not followed, are
// about the address or the credentials and not about the alert: Misconfigured. Any
// other 4xx is Permanent.
func StatusError(status int, header http.Header, now time.Time) error {
	if status >= 200 && status < 300 {
		return nil
	}
	err := errors.New("answered " + StatusText(status))
	with := func(hint string) error { return fmt.Errorf("%w; %s", err, hint) }
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return err
	case http.StatusTooManyRequests:
		return sinks.Throttled(err, RetryAfter(header, now))
	case http.StatusServiceUnavailable:
		if after := RetryAfter(header, now); after > 0 {
			return sinks.Throttled(err, after)
		}
		return err
	case http.StatusUnauthorized, http.StatusForbidden:
		return sinks.Misconfigured(with("check the credentials and what they allow"))
	case http.StatusProxyAuthRequired:
		return sinks.Misconfigured(with("put the proxy's user and password into HTTPS_PROXY or HTTP_PROXY"))
	case http.StatusGone:
		return sinks.Misconfigured(with("the receiver is gone: correct the address, or remove the sink"))
	}
	switch status / 100 {
	case 3:
		return sinks.Misconfigured(with("redirects are not followed: correct the address"))
	case 4:
		return sinks.Permanent(err)
	}
	return sinks.Ambiguous(err)
}

// StatusText returns a status with its name, if it has one.
func StatusText(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

// RetryAfter returns the pause that the server asks for, an hour at most; 0 if it asks
// for none, or cannot be read. A date is read by the server's own clock if the reply
// shows that.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if strings.Trim(text, "0123456789") == "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds > int64(MaxRetryAfter/time.Second) { // a number too long is a long time
			return MaxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	date, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if theirs, err := http.ParseTime(header.Get("Date")); err == nil {
		now = theirs
	}
	return max(0, min(date.Sub(now), MaxRetryAfter))
}
