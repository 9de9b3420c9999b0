package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mfawatch/mfawatch/processor/trail"
	"github.com/mfawatch/mfawatch/processor/trail/trailtest"
)

// A killFeed produces records all the time: stories of users, and the noise of
// an account around them.
type killFeed struct {
	topic  *killTopic
	random *rand.Rand
	noise  *trailtest.Maker
	spread bool // the records of an account go to any partition

	halt  func()
	ended chan error

	due     map[int][]killRecord // by tick
	tick    int
	stories int
	events  int
	watched [][]byte // all that was produced and is watched
	records int      // all that were produced
}

// A killRecord is a watched record, and the account whose order it belongs to.
type killRecord struct {
	account string
	json    []byte
}

const (
	killTick      = 20 * time.Millisecond
	killSpread    = 100 // ticks between two records of a story, at most
	killNoise     = 8   // records a tick
	killPerTenant = 10  // stories of one account
)

func newKillFeed(seed uint64, topic *killTopic) *killFeed {
	return &killFeed{topic: topic, random: rand.New(rand.NewPCG(seed, 2)), noise: trailtest.New(seed), due: make(map[int][]killRecord)}
}

func (f *killFeed) start() {
	ctx, halt := context.WithCancel(context.Background())
	f.halt, f.ended = halt, make(chan error, 1)
	go func() { f.ended <- f.run(ctx) }()
}

// stop feeds the stories under way to their end. It may be called again.
func (f *killFeed) stop() error {
	f.halt()
	err, ok := <-f.ended
	if ok {
		close(f.ended)
	}
	return err
}

func (f *killFeed) run(ctx context.Context) error {
	ticker := time.NewTicker(killTick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if f.random.IntN(3) == 0 {
				f.begin()
			}
			if err := f.produce(f.due[f.tick]); err != nil {
				return err
			}
			delete(f.due, f.tick)
			f.tick++
		case <-ctx.Done():
			for ; len(f.due) > 0; f.tick++ {
				if err := f.produce(f.due[f.tick]); err != nil {
					return err
				}
				delete(f.due, f.tick)
			}
			return nil
		}
	}
}

// produce writes records, each in a message of its own or among noise. Those of
// an account stay in order, in one partition.
func (f *killFeed) produce(records []killRecord) error {
	var batch []*kgo.Record
	for range killNoise {
		batch = append(batch, &kgo.Record{Value: f.noise.Record()})
		f.records++
	}
	for _, r := range records {
		value := r.json
		if f.random.IntN(2) == 0 {
			value = bytes.Join([][]byte{[]byte(`{"Records":[`), f.noise.Record(), []byte(","), r.json, []byte("]}")}, nil)
			f.records++
		}
		key := r.account
		if f.spread {
			key = fmt.Sprint(f.records)
		}
		batch = append(batch, &kgo.Record{Key: []byte(key), Value: value})
		f.records++
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f.topic.client.ProduceSync(ctx, batch...).FirstErr(); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	for _, r := range records {
		f.watched = append(f.watched, r.json)
	}
	return nil
}

// killStories lists possible histories of a user, as verbs of say.
var killStories = [][]string{
	{"deactivate A"},
	{"deactivate A", "enable B"},
	{"deactivate A", "enable A"},
	{"deactivate A", "key"},
	{"deactivate A", "login"},
	{"deactivate A", "login", "key", "enable B"},
	{"deactivate A", "deactivate B"},
	{"deactivate A", "delete"},
	{"enable A", "enable B", "deactivate A"},
	{"try A"},
	{"try A", "try A", "deactivate A", "enable A"},
}

// begin begins a story: its records become due one after the other.
func (f *killFeed) begin() {
	account := fmt.Sprintf("%012d", 400_000_000_000+f.stories/killPerTenant)
	user := fmt.Sprintf("user-%d", f.stories)
	verbs := killStories[f.random.IntN(len(killStories))]
	at, happened := f.tick, time.Now().Add(-2*time.Minute)
	for i, verb := range verbs {
		r := killRecord{account, f.say(verb, account, user, happened.Add(time.Duration(i)*10*time.Second))}
		f.due[at] = append(f.due[at], r)
		at += f.random.IntN(killSpread)
	}
	f.stories++
}

// say writes the record of something that was done to a user, or by him.
func (f *killFeed) say(verb, account, user string, at time.Time) []byte {
	f.events++
	source, name, actor := trail.SourceIAM, "", "alice"
	parameters, rest := fmt.Sprintf(`{"userName":%q}`, user), `"responseElements":null`
	device := func(name string) string {
		return fmt.Sprintf(`{"userName":%q,"serialNumber":"arn:aws:iam::%s:mfa/%s-%s"}`, user, account, user, name)
	}
	switch verb {
	case "deactivate A", "deactivate B":
		name, parameters = trail.DeactivateMFADevice, device(verb[len(verb)-1:])
	case "enable A", "enable B":
		name, parameters = trail.EnableMFADevice, device(verb[len(verb)-1:])
	case "try A":
		name, parameters = trail.DeactivateMFADevice, "null"
		rest = fmt.Sprintf(`"errorCode":"AccessDenied","errorMessage":"User: arn:aws:iam::%[1]s:user/alice is not authorized to perform: `+
			`iam:DeactivateMFADevice on resource: user %[2]s because no identity-based policy allows the iam:DeactivateMFADevice action"`, account, user)
	case "key":
		name = trail.CreateAccessKey
	case "delete":
		name = trail.DeleteUser
	case "login":
		source, name, actor, parameters = trail.SourceSignin, trail.ConsoleLogin, user, "null"
		rest = `"responseElements":{"ConsoleLogin":"Success"},"additionalEventData":{"MFAUsed":"No"}`
	}
	return fmt.Appendf(nil, `{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::%[1]s:user/%[2]s","accountId":"%[1]s",`+
		`"userName":"%[2]s"},"eventTime":"%[3]s","eventSource":"%[4]s","eventName":"%[5]s","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.7",`+
		`"userAgent":"aws-cli/2.31.0","requestParameters":%[6]s,%[7]s,"eventID":"kill-%08[8]d","recipientAccountId":"%[1]s"}`,
		account, actor, at.UTC().Format(time.RFC3339), source, name, parameters, rest, f.events)
}
