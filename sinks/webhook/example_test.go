package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/mfawatch/mfawatch/processor/secret"
	"github.com/mfawatch/mfawatch/sinks/message"
	"github.com/mfawatch/mfawatch/sinks/webhook"
)

func ExampleSink_Send() {
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var alert struct{ Title string }
		_ = json.NewDecoder(r.Body).Decode(&alert)
		fmt.Println(r.Header.Get("Webhook-Id"), alert.Title)
	}))
	defer receiver.Close()

	sink, err := webhook.New(webhook.Config{URL: secret.URL(receiver.URL)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sink.Close()
	if _, err := sink.Send(context.Background(), message.SampleAlert(), ""); err != nil {
		fmt.Println(err)
	}
	// Output: 4d66617761746368207465737400000001 Test: MFA removed from mfawatch-test in 000000000000 by tester
}
