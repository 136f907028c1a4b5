package cloudsync

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
)

// Why a token or an agent is refused.
var (
	errTokenWrong   = errors.New("the token is wrong or was used before: ask for a new one with tandem agent invite")
	errTokenExpired = errors.New("the token has expired: ask for a new one with tandem agent invite")
	errUnknownAgent = errors.New("no such agent")
)

// keepExpired is how long an expired token is remembered, so that its owner hears what is wrong with it.
const keepExpired = 30 * 24 * time.Hour

// enrolled is one agent that may attend.
type enrolled struct {
	ID       string    `json:"id"`
	Group    string    `json:"group"`
	Base     string    `json:"base"`
	Host     string    `json:"host"`
	Enrolled time.Time `json:"enrolled"`
	Embedded bool      `json:"embedded,omitempty"` // started by the engine itself; forgotten at its next start
	Machine  string    `json:"machine,omitempty"`  // on which it was enrolled
	Expires  time.Time `json:"expires,omitzero"`   // when the certificate ends that was given out last; zero: not known
}

// removal is an agent that a person removed. It is remembered as long as its certificate can connect, so that it is told to end.
type removal struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
}

// keepRemoved is longer than any certificate can connect.
const keepRemoved = agentLife + renewalGrace + 24*time.Hour

// invitation is a token that was given out: the hash of its secret, never the secret.
type invitation struct {
	Hash     string    `json:"hash"`
	Group    string    `json:"group"`
	Expires  time.Time `json:"expires"`
	Embedded bool      `json:"embedded,omitempty"`
}

// registry remembers invitations and agents in one small file. Every change is on disk before it counts.
type registry struct {
	path string

	mu      sync.Mutex
	content registryFile
}

type registryFile struct {
	Version     int          `json:"version"`
	Invitations []invitation `json:"invitations"`
	Agents      []enrolled   `json:"agents"`
	Removed     []removal    `json:"removed,omitempty"`
}

const registryVersion = 1

func openRegistry(dir string) (*registry, error) {
	r := &registry{path: filepath.Join(dir, "agents.json"), content: registryFile{Version: registryVersion}}
	text, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &r.content); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w: restore it from a backup, or remove it and enrol every agent again", r.path, err)
	}
	if r.content.Version != registryVersion {
		return nil, fmt.Errorf("%s has format %d, this program knows %d", r.path, r.content.Version, registryVersion)
	}
	return r, r.change(func(c *registryFile) error {
		c.Agents = slices.DeleteFunc(c.Agents, func(a enrolled) bool { return a.Embedded })
		c.Invitations = slices.DeleteFunc(c.Invitations, func(i invitation) bool { return i.Embedded })
		return nil
	})
}

// change applies f to a copy, writes it, and makes it the content.
func (r *registry) change(f func(*registryFile) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := registryFile{Version: registryVersion, Invitations: slices.Clone(r.content.Invitations), Agents: slices.Clone(r.content.Agents),
		Removed: slices.Clone(r.content.Removed)}
	if err := f(&next); err != nil {
		return err
	}
	text, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	if err := replaceFile(r.path, append(text, '\n')); err != nil {
		return fmt.Errorf("store the agents: %w", err)
	}
	r.content = next
	return nil
}

// invite makes a token for one agent of the group.
func (r *registry) invite(pin line.Pin, group string, expires, now time.Time, embedded bool) (line.Token, error) {
	t := line.Token{Pin: pin}
	if _, err := rand.Read(t.Secret[:]); err != nil {
		return line.Token{}, err
	}
	return t, r.change(func(c *registryFile) error {
		c.Invitations = slices.DeleteFunc(c.Invitations, func(i invitation) bool { return now.Sub(i.Expires) > keepExpired })
		c.Invitations = append(c.Invitations, invitation{Hash: hashOf(string(t.Secret[:])), Group: group, Expires: expires, Embedded: embedded})
		return nil
	})
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// redeem uses up a token and enrols an agent: both, or neither.
func (r *registry) redeem(secret string, a enrolled, now time.Time) (enrolled, error) {
	id := make([]byte, 6)
	if _, err := rand.Read(id); err != nil {
		return enrolled{}, err
	}
	a.ID, a.Enrolled = "agent-"+hex.EncodeToString(id), now.UTC().Truncate(time.Second)
	return a, r.change(func(c *registryFile) error {
		if err := c.invited(secret, now); err != nil {
			return err
		}
		i := slices.IndexFunc(c.Invitations, func(i invitation) bool { return i.Hash == hashOf(secret) })
		a.Group, a.Embedded = c.Invitations[i].Group, c.Invitations[i].Embedded
		c.Invitations = slices.Delete(c.Invitations, i, i+1)
		c.Agents = append(c.Agents, a)
		return nil
	})
}

// invited checks a token without using it up: nil, errTokenWrong or errTokenExpired.
func (r *registry) invited(secret string, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.content.invited(secret, now)
}

func (c *registryFile) invited(secret string, now time.Time) error {
	hash := hashOf(secret)
	i := slices.IndexFunc(c.Invitations, func(i invitation) bool { return i.Hash == hash })
	if i < 0 {
		return errTokenWrong
	}
	if !now.Before(c.Invitations[i].Expires) {
		return errTokenExpired
	}
	return nil
}

// certified notes when an agent's newest certificate ends.
func (r *registry) certified(id string, until time.Time) error {
	return r.change(func(c *registryFile) error {
		i := slices.IndexFunc(c.Agents, func(a enrolled) bool { return a.ID == id })
		if i < 0 {
			return fmt.Errorf("%w: %q", errUnknownAgent, id)
		}
		c.Agents[i].Expires = until.UTC().Truncate(time.Second)
		return nil
	})
}

// remove forgets an agent: from now on its certificate opens nothing.
func (r *registry) remove(id string, now time.Time) error {
	return r.change(func(c *registryFile) error {
		n := len(c.Agents)
		c.Agents = slices.DeleteFunc(c.Agents, func(a enrolled) bool { return a.ID == id })
		if len(c.Agents) == n {
			return fmt.Errorf("%w: %q (tandem agent list shows them)", errUnknownAgent, id)
		}
		c.Removed = slices.DeleteFunc(c.Removed, func(x removal) bool { return now.Sub(x.At) > keepRemoved })
		c.Removed = append(c.Removed, removal{ID: id, At: now.UTC().Truncate(time.Second)})
		return nil
	})
}

// wasRemoved reports whether a person removed the agent. One that is merely unknown may be so by a fault on this side.
func (r *registry) wasRemoved(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.content.Removed, func(x removal) bool { return x.ID == id })
}

func (r *registry) find(id string) (enrolled, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.content.Agents, func(a enrolled) bool { return a.ID == id })
	if i < 0 {
		return enrolled{}, false
	}
	return r.content.Agents[i], true
}

func (r *registry) all() []enrolled {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.content.Agents)
}
