package agent

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// ErrEnrolled says that the folder already holds an agent.
var ErrEnrolled = errors.New("an agent is already enrolled in this folder: use another --dir, or --force to replace it")

// ErrNotEnrolled says that the folder holds no agent.
var ErrNotEnrolled = errors.New("no agent is enrolled in this folder: run tandem-agent enroll first")

// The files of a folder, all readable by their owner alone. agent.json comes last: it says that the others are whole.
const (
	agentFile    = "agent.json"
	keyFile      = "key.pem"
	certFile     = "certificate.pem"
	passwordFile = "password"
)

// passwordFileOf is the file with the password of the account of a purpose.
func passwordFileOf(p scoping.Purpose) string { return passwordFile + "-" + string(p) }

// folderVersion is the format of agent.json.
const folderVersion = 1

type folder struct {
	Version   int                               `json:"version"`
	Server    string                            `json:"server"`
	Pin       string                            `json:"pin"` // hex
	Agent     string                            `json:"agent"`
	Group     string                            `json:"group"`
	Directory directoryOfFile                   `json:"directory"`
	Accounts  map[scoping.Purpose]accountOfFile `json:"accounts,omitempty"`
}

type accountOfFile struct {
	User  string   `json:"user"`
	Port  int      `json:"port,omitempty"`
	Under []string `json:"under,omitempty"`
}

type directoryOfFile struct {
	URLs     []string `json:"urls"`
	Base     string   `json:"base"`
	User     string   `json:"user"`
	CA       string   `json:"ca,omitempty"` // PEM
	Insecure bool     `json:"insecureSkipVerify,omitempty"`
}

// Vacant checks that an agent may be enrolled in dir: ErrEnrolled unless it holds none, or force.
func Vacant(dir string, force bool) error {
	if force {
		return nil
	}
	_, err := os.Stat(filepath.Join(dir, agentFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%s: %w", dir, ErrEnrolled)
}

// Save writes an identity to dir, which is made when it is missing. What dir held is replaced.
func Save(dir string, id Identity) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(id.Certificate.PrivateKey)
	if err != nil {
		return fmt.Errorf("store the agent's key: %w", err)
	}
	c := id.Connection
	about, err := json.MarshalIndent(folder{Version: folderVersion, Server: id.Server, Pin: hex.EncodeToString(id.Pin[:]),
		Agent: id.Agent, Group: id.Group, Directory: directoryOfFile{URLs: c.URLs, Base: c.Base, User: c.User, CA: string(c.CA),
			Insecure: c.Insecure}, Accounts: accountsOut(id.Accounts)}, "", "  ")
	if err != nil {
		return err
	}
	if err := saveAccounts(dir, id.Accounts); err != nil {
		return err
	}
	files := []struct {
		name    string
		content []byte
	}{
		{keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})},
		{certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.Certificate.Certificate[0]})},
		{passwordFile, []byte(c.Password)},
		{agentFile, append(about, '\n')},
	}
	for _, f := range files {
		if err := replace(filepath.Join(dir, f.name), f.content); err != nil {
			return fmt.Errorf("store the agent in %s: %w", dir, err)
		}
	}
	return nil
}

func accountsOut(accounts map[scoping.Purpose]directory.Account) map[scoping.Purpose]accountOfFile {
	out := map[scoping.Purpose]accountOfFile{}
	for p, a := range accounts {
		out[p] = accountOfFile{a.User, a.Port, a.Under}
	}
	return out
}

// saveAccounts writes the accounts' passwords. Those of purposes without an account, which an earlier agent may have left, are removed.
func saveAccounts(dir string, accounts map[scoping.Purpose]directory.Account) error {
	for _, p := range scoping.Purposes() {
		path := filepath.Join(dir, passwordFileOf(p))
		a, held := accounts[p]
		var err error
		if held {
			err = a.Password.Use(func(b []byte) error { return replace(path, b) })
		} else if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err != nil {
			return fmt.Errorf("store the password of the account %q in %s: %w", p, dir, err)
		}
	}
	return nil
}

func loadAccounts(dir string, accounts map[scoping.Purpose]accountOfFile) (map[scoping.Purpose]directory.Account, error) {
	if len(accounts) == 0 {
		return nil, nil
	}
	out := map[scoping.Purpose]directory.Account{}
	for p, a := range accounts {
		if !slices.Contains(scoping.Purposes(), p) {
			continue // of a newer version
		}
		password, err := os.ReadFile(filepath.Join(dir, passwordFileOf(p)))
		if err != nil {
			return nil, fmt.Errorf("password of the account %q: %w", p, err)
		}
		out[p] = directory.Account{User: a.User, Password: secret.Take(password), Port: a.Port, Under: a.Under}
	}
	return out, nil
}

// replace writes a file that only its owner reads, so that a crash leaves the old or the new one.
func replace(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Load reads the identity that Save wrote; ErrNotEnrolled when there is none.
func Load(dir string) (Identity, error) {
	text, err := os.ReadFile(filepath.Join(dir, agentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, fmt.Errorf("%s: %w", dir, ErrNotEnrolled)
	}
	if err != nil {
		return Identity{}, err
	}
	var f folder
	if err := json.Unmarshal(text, &f); err != nil {
		return Identity{}, fmt.Errorf("%s: %w", filepath.Join(dir, agentFile), err)
	}
	if f.Version != folderVersion {
		return Identity{}, fmt.Errorf("%s has format %d, this program knows %d: use the version that wrote it, or a newer one",
			filepath.Join(dir, agentFile), f.Version, folderVersion)
	}
	return f.load(dir)
}

func (f folder) load(dir string) (Identity, error) {
	var pin line.Pin
	if n, err := hex.Decode(pin[:], []byte(f.Pin)); err != nil || n != len(pin) || len(f.Pin) != 2*len(pin) {
		return Identity{}, fmt.Errorf("%s: the pin is damaged: enrol again with --force", filepath.Join(dir, agentFile))
	}
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, certFile), filepath.Join(dir, keyFile))
	if err != nil {
		return Identity{}, fmt.Errorf("the agent's certificate in %s: %w", dir, err)
	}
	password, err := os.ReadFile(filepath.Join(dir, passwordFile))
	if err != nil {
		return Identity{}, err
	}
	accounts, err := loadAccounts(dir, f.Accounts)
	if err != nil {
		return Identity{}, err
	}
	d := f.Directory
	return Identity{Server: f.Server, Pin: pin, Agent: f.Agent, Group: f.Group, Certificate: certificate, Accounts: accounts,
		Connection: directory.Connection{Name: d.Base, URLs: d.URLs, Base: d.Base, User: d.User, Password: string(password),
			CA: []byte(d.CA), Insecure: d.Insecure}}, nil
}
