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
}

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
		return nil, fmt.Errorf("%s: %w", r.path, err)
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
	next := registryFile{Version: registryVersion, Invitations: slices.Clone(r.content.Invitations), Agents: slices.Clone(r.content.Agents)}
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
		i := slices.IndexFunc(c.Invitations, func(i invitation) bool { return i.Hash == hashOf(secret) })
		if i < 0 {
			return errTokenWrong
		}
		if !now.Before(c.Invitations[i].Expires) {
			return errTokenExpired
		}
		a.Group, a.Embedded = c.Invitations[i].Group, c.Invitations[i].Embedded
		c.Invitations = slices.Delete(c.Invitations, i, i+1)
		c.Agents = append(c.Agents, a)
		return nil
	})
}

// remove forgets an agent: from now on its certificate opens nothing.
func (r *registry) remove(id string) error {
	return r.change(func(c *registryFile) error {
		n := len(c.Agents)
		c.Agents = slices.DeleteFunc(c.Agents, func(a enrolled) bool { return a.ID == id })
		if len(c.Agents) == n {
			return fmt.Errorf("%w: %q (tandem agent list shows them)", errUnknownAgent, id)
		}
		return nil
	})
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
