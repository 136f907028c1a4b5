package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
)

// Channel is one way to people.
type Channel interface {
	// Name returns the channel's name, such as "webhook" or "mail".
	Name() string
	// Send makes one attempt to deliver a message. Its errors contain no secret.
	Send(ctx context.Context, m Message) error
}

// sendLimit bounds one attempt to deliver.
const sendLimit = 30 * time.Second

// Keeper stores what a restart must not forget. If it is lost, present alarms are sent again.
type Keeper interface {
	LoadNotices(ctx context.Context) ([]byte, error)
	SaveNotices(ctx context.Context, b []byte) error
}

// Clock is the notifier's clock.
type Clock interface {
	Now() time.Time
	After(time.Duration) <-chan time.Time
}

// Options are the parts of a Notifier. Only Log and Rules may be missing.
type Options struct {
	Channels []Channel
	Keeper   Keeper
	Clock    Clock
	NewID    func() string
	Rules    Rules  // the zero value: DefaultRules
	Host     string // this machine's name, for people
	Log      *slog.Logger
}

// Notifier sends notifications. It is safe for concurrent use.
type Notifier struct {
	o     Options
	names []string

	mu     sync.Mutex
	kept   kept
	counts map[string]*Counts
	wake   map[string]chan struct{} // by channel: receives after something was queued
}

// kept is what a Keeper stores.
type kept struct {
	Memory Memory `json:"memory"`
	Queue  Queue  `json:"queue"`
}

// Counts counts what a channel did since this process began, and what waits for it.
type Counts struct {
	Channel   string
	Delivered uint64
	Failed    uint64 // attempts
	Dropped   uint64 // messages that were given up: too many waited, or a day passed
	Waiting   int
	Oldest    int64  // Unix ms at which the oldest was queued; 0: none waits
	Error     string // of the last attempt at what waits
}

// Open returns a notifier that continues where an earlier process ended. If the stored state cannot be read, it begins with nothing sent.
func Open(ctx context.Context, o Options) *Notifier {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Rules.Pause == 0 {
		wants := o.Rules.Wants
		o.Rules = DefaultRules
		o.Rules.Wants = wants
	}
	n := &Notifier{o: o, kept: kept{Memory: Memory{}}, counts: map[string]*Counts{}, wake: map[string]chan struct{}{}}
	for _, c := range o.Channels {
		n.names = append(n.names, c.Name())
		n.counts[c.Name()], n.wake[c.Name()] = &Counts{Channel: c.Name()}, make(chan struct{}, 1)
	}
	var old kept
	if b, err := o.Keeper.LoadNotices(ctx); err == nil && b != nil && json.Unmarshal(b, &old) == nil {
		n.kept.Queue = old.Queue.Of(n.names)
		if old.Memory != nil {
			n.kept.Memory = old.Memory
		}
	}
	return n
}

// Look decides what to send about the present alarms, stores that and queues it for the channels. installation is written into the messages.
func (n *Notifier) Look(ctx context.Context, alarms []alarm.Alarm, installation string) {
	if len(n.o.Channels) == 0 {
		return
	}
	now := n.o.Clock.Now()
	n.mu.Lock()
	messages, memory := Next(n.kept.Memory, alarms, now, n.o.Rules)
	changed := !same(n.kept.Memory, memory)
	n.kept.Memory = memory
	for _, m := range messages {
		m.ID, m.Installation, m.Host = n.o.NewID(), installation, n.o.Host
		before := n.kept.Queue
		queue, dropped := before.With(m, n.names, now)
		for _, d := range before[:min(dropped, len(before))] {
			n.counts[d.Channel].Dropped++
		}
		n.kept.Queue = queue
	}
	n.mu.Unlock()
	if changed || len(messages) > 0 {
		n.save(ctx)
	}
	if len(messages) > 0 {
		n.ring()
	}
}

// same reports whether two memories are equal in everything that has to survive a restart. When an alarm was first seen, and what explained it, need not.
func same(a, b Memory) bool {
	if len(a) != len(b) {
		return false
	}
	for cause, x := range a {
		y, there := b[cause]
		x.Began, x.Explained = y.Began, y.Explained
		if !there || x != y {
			return false
		}
	}
	return true
}

func (n *Notifier) ring() {
	for _, w := range n.wake {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

func (n *Notifier) save(ctx context.Context) {
	n.mu.Lock()
	b, err := json.Marshal(n.kept)
	n.mu.Unlock()
	if err == nil {
		err = n.o.Keeper.SaveNotices(context.WithoutCancel(ctx), b)
	}
	if err != nil {
		n.o.Log.Warn("notifications cannot be kept: a restart may tell them once more", "error", err)
	}
}

// Run delivers the queue until ctx ends, each channel in a goroutine of its own, and returns when all have ended.
func (n *Notifier) Run(ctx context.Context) {
	var channels sync.WaitGroup
	for _, c := range n.o.Channels {
		channels.Go(func() { n.deliver(ctx, c) })
	}
	channels.Wait()
}

func (n *Notifier) deliver(ctx context.Context, c Channel) {
	for ctx.Err() == nil {
		n.mu.Lock()
		d, any := n.kept.Queue.Next(c.Name())
		n.mu.Unlock()
		var due <-chan time.Time
		if any {
			if left := time.UnixMilli(d.Due).Sub(n.o.Clock.Now()); left <= 0 || left > lastRetry { // no pause is longer than lastRetry: the clock was set back
				n.attempt(ctx, c, d)
				continue
			} else {
				due = n.o.Clock.After(left)
			}
		}
		select {
		case <-ctx.Done():
		case <-due:
		case <-n.wake[c.Name()]:
		}
	}
}

func (n *Notifier) attempt(ctx context.Context, c Channel, d Delivery) {
	err := n.send(ctx, c, d.Message)
	if ctx.Err() != nil && err != nil {
		return // the process ends: the next one delivers it
	}
	n.mu.Lock()
	queue, gaveUp := n.kept.Queue.After(d, err, n.o.Clock.Now())
	n.kept.Queue = queue
	x := n.counts[c.Name()]
	switch {
	case err == nil:
		x.Delivered++
	case gaveUp:
		x.Failed, x.Dropped = x.Failed+1, x.Dropped+1
	default:
		x.Failed++
	}
	n.mu.Unlock()
	if err != nil {
		n.o.Log.Warn("a notification could not be delivered", "channel", c.Name(), "cause", d.Message.Cause, "attempts", d.Attempts+1, "givenUp", gaveUp, "error", err)
	}
	n.save(ctx)
}

func (n *Notifier) send(ctx context.Context, c Channel, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	return c.Send(ctx, m)
}

// Tried is the result of one test message; Err is nil if the channel accepted it.
type Tried struct {
	Channel string
	Err     error
}

// ErrNoChannel means that no channel is configured.
var ErrNoChannel = errors.New("no notifications are configured")

// Test sends a test message through every channel, one after the other and without the queue.
func (n *Notifier) Test(ctx context.Context, installation, by string) ([]Tried, error) {
	if len(n.o.Channels) == 0 {
		return nil, ErrNoChannel
	}
	m := Message{Version: 1, ID: n.o.NewID(), At: stamp(n.o.Clock.Now().UnixMilli()), Event: Test, Cause: "test", Also: []string{}, Installation: installation, Host: n.o.Host,
		Message: fmt.Sprintf("this is a test that %s asked for: notifications of this host arrive", by)}
	var out []Tried
	for _, c := range n.o.Channels {
		out = append(out, Tried{c.Name(), n.send(ctx, c, m)})
	}
	return out, nil
}

// Channels returns the counts of each channel, in the order of the configuration.
func (n *Notifier) Channels() []Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []Counts
	for _, name := range n.names {
		c := *n.counts[name]
		for _, d := range n.kept.Queue {
			if d.Channel != name {
				continue
			}
			if c.Waiting++; c.Oldest == 0 {
				c.Oldest, c.Error = d.Queued, d.Error
			}
		}
		out = append(out, c)
	}
	return out
}
