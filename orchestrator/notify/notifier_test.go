package notify_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/notify"
)

// shelf keeps what a notifier leaves, unless it is full.
type shelf struct {
	mu   sync.Mutex
	b    []byte
	full bool
}

func (s *shelf) LoadNotices(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.b), nil
}

func (s *shelf) SaveNotices(_ context.Context, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return errors.New("no space left")
	}
	s.b = slices.Clone(b)
	return nil
}

// bell is a channel that fails as long as it is wanted to.
type bell struct {
	name string

	mu    sync.Mutex
	fails int
	tries int
	heard []string
}

func (b *bell) Name() string { return b.name }

func (b *bell) Send(_ context.Context, m notify.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tries++; b.fails != 0 {
		b.fails--
		return errors.New("busy")
	}
	b.heard = append(b.heard, string(m.Event)+" "+m.Cause)
	return nil
}

func (b *bell) wants(t *testing.T, want ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.heard, want) {
		t.Errorf("%s heard %q, want %q", b.name, b.heard, want)
	}
}

type clock struct{}

func (clock) Now() time.Time                         { return time.Now() }
func (clock) After(d time.Duration) <-chan time.Time { return time.After(d) }

func open(t *testing.T, s *shelf, channels ...notify.Channel) *notify.Notifier {
	n := 0
	return notify.Open(t.Context(), notify.Options{Channels: channels, Keeper: s, Clock: clock{}, NewID: func() string { n++; return fmt.Sprint("m", n) }, Host: "sync1"})
}

// rings lets a notifier deliver for a while.
func rings(n *notify.Notifier, d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	n.Run(ctx)
}

func TestWhatCannotBeDeliveredIsTriedAgainAndHoldsNobodyElseUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, good := &bell{name: "webhook", fails: 4}, &bell{name: "mail"}
		n := open(t, &shelf{}, bad, good)
		n.Look(t.Context(), []alarm.Alarm{down("tenant")}, "i")
		time.Sleep(time.Minute)
		n.Look(t.Context(), []alarm.Alarm{down("tenant")}, "i")
		rings(n, 10*time.Second)
		good.wants(t, "failed tenant")
		bad.wants(t)
		if c := n.Channels()[0]; c.Waiting != 1 || c.Oldest == 0 || c.Failed < 2 || !strings.Contains(c.Error, "busy") {
			t.Errorf("the channel that fails: %+v", c)
		}
		n.Look(t.Context(), nil, "i")
		rings(n, 10*time.Minute)
		bad.wants(t, "failed tenant", "recovered tenant") // in this order
		if c := n.Channels()[0]; c.Waiting != 0 || c.Delivered != 2 {
			t.Errorf("in the end: %+v", c)
		}
	})
}

func TestARestartForgetsNoMessageAndTellsNoneTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := &shelf{}, &bell{name: "webhook", fails: -1}
		n := open(t, s, b)
		n.Look(t.Context(), []alarm.Alarm{down("tenant")}, "i")
		time.Sleep(time.Minute)
		n.Look(t.Context(), []alarm.Alarm{down("tenant")}, "i")
		rings(n, time.Minute)
		b.wants(t)
		b.fails = 0
		n = open(t, s, b)
		n.Look(t.Context(), []alarm.Alarm{down("tenant")}, "i")
		rings(n, time.Hour)
		b.wants(t, "failed tenant")
		n = open(t, s, b)
		n.Look(t.Context(), []alarm.Alarm{down("tenant")}, "i")
		rings(n, time.Hour)
		b.wants(t, "failed tenant")
		n = open(t, s, b)
		n.Look(t.Context(), nil, "i")
		rings(n, time.Second)
		b.wants(t, "failed tenant", "recovered tenant")
	})
}

func TestOnAFullDiskPeopleAreToldAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bell{name: "mail"}
		n := open(t, &shelf{full: true}, b)
		n.Look(t.Context(), []alarm.Alarm{down("disk full")}, "i")
		time.Sleep(time.Minute)
		n.Look(t.Context(), []alarm.Alarm{down("disk full")}, "i")
		rings(n, time.Second)
		b.wants(t, "failed disk full")
	})
}

func TestAQueueIsBoundedAndGivesUpAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bell{name: "webhook", fails: -1}
		n := open(t, &shelf{}, b)
		for i := range 700 {
			a := down(fmt.Sprint("cause ", i))
			n.Look(t.Context(), []alarm.Alarm{a}, "i")
			time.Sleep(time.Minute)
			n.Look(t.Context(), []alarm.Alarm{a}, "i")
		}
		c := n.Channels()[0]
		if c.Waiting != 500 || c.Dropped < 700 {
			t.Errorf("it keeps %d and dropped %d", c.Waiting, c.Dropped)
		}
		rings(n, 26*time.Hour)
		if after := n.Channels()[0]; after.Waiting >= 500 || after.Dropped <= c.Dropped {
			t.Errorf("after more than a day: %+v", after)
		}
		if b.tries > 700 { // a day of attempts every 15 minutes, and one for each that is given up
			t.Errorf("%d attempts", b.tries)
		}
	})
}

func TestATestMessageGoesOutAtOnceAndSaysWhoRefuses(t *testing.T) {
	good, bad := &bell{name: "webhook"}, &bell{name: "mail", fails: 1}
	n := open(t, &shelf{}, good, bad)
	tried, err := n.Test(t.Context(), "i", "ida")
	if err != nil || len(tried) != 2 || tried[0].Err != nil || tried[1].Err == nil {
		t.Errorf("%+v, %v", tried, err)
	}
	good.wants(t, "test test")
	if _, err := open(t, &shelf{}).Test(t.Context(), "i", "ida"); !errors.Is(err, notify.ErrNoChannel) {
		t.Errorf("without a channel: %v", err)
	}
}

func TestNothingOfAChannelThatIsGoneWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := &shelf{}, &bell{name: "webhook", fails: -1}
		n := open(t, s, b)
		n.Look(t.Context(), []alarm.Alarm{down("tenant")}, "i")
		time.Sleep(time.Minute)
		n.Look(t.Context(), []alarm.Alarm{down("tenant")}, "i")
		m := &bell{name: "mail"}
		n = open(t, s, m)
		if c := n.Channels(); len(c) != 1 || c[0].Waiting != 0 {
			t.Errorf("%+v", c)
		}
	})
}
