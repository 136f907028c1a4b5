// Package passwordhash reads what engines hand over of passwords: a [Reader] tells which users have one, by which change, and, asked for it, the credential that the
// tenant is to keep. [Direct] reads a controller by its replication protocol, where the process that has the account for it runs. Package handover below it serves an
// engine's runs.
//
// Whoever reads an NT hash derives the credential from it and wipes it: the hash never leaves the process (flows §1). Nothing is decrypted before the host has
// asked for it.
package passwordhash

import (
	"context"
	"errors"
	"strings"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// Query is what is read of a directory. Without Objects it is everybody, or, with Since, whoever's password may have changed after that; where that is of no use
// it is everybody all the same.
type Query struct {
	Controller  string          // URL of the controller that is read; "": any that serves
	AsOf        *directory.AsOf // what the controller must have; nil: whatever it has
	Objects     []scoping.GUID
	Since       []byte // Reading.Since of an earlier one
	Credentials bool   // with what the tenant keeps
}

// User is what was read of one.
type User struct {
	GUID       scoping.GUID
	Gone       bool   // it is a tombstone
	Reason     string // why it has no password that could be handed over: one of the reasons; "": it has
	Stamp      credential.Stamp
	MustChange bool          // at the next sign-in
	Credential *secret.Value // if it was asked for and there is one; whoever gets it wipes it
}

// The reasons why a user's password is not handed over.
const (
	NoPassword = "no-password"
	NoNTHash   = "no-nt-hash"  // the directory keeps none (Samba's nt hash store = never)
	OwnAccount = "own-account" // by it Tandem works in the directory: nobody signs in to the tenant as it
	SmartCard  = "smart-card"  // a smart card is required: the password is nobody's
)

// MaxBatch is the largest number of users that a Reader tells at once.
const MaxBatch = 256

// Reading says by which controller a query was answered.
type Reading struct {
	DC    scoping.GUID // its invocationId
	USN   uint64       // its highestCommittedUSN before the first of it was read
	Since []byte       // where to go on; of queries without Objects
}

// Reader reads the passwords of one directory.
type Reader interface {
	// Read calls each for what it reads, in batches of at most [MaxBatch]; an error of each ends it and is returned. What the controller does not have is
	// missing, which proves nothing. Begin is called before the first batch, and again where the reading begins anew with another controller: what came
	// before is said again then. Errors match [ErrNoAccount] and those of directory and drsr.
	Read(ctx context.Context, q Query, begin func(Reading) error, each func([]User) error) (Reading, error)
}

// DirectTo returns a Reader of a directory with the account for it among those that are known where this runs; without one, one that says that there is none.
func DirectTo(c directory.Connection, accounts map[scoping.Purpose]directory.Account) (*Direct, error) {
	own := []string{nameOf(c.User)}
	for _, a := range accounts {
		own = append(own, nameOf(a.User))
	}
	a, there := accounts[scoping.Replicate]
	if !there {
		c.User = ""
		return &Direct{Account: c}, nil
	}
	as, err := c.As(a)
	if err != nil {
		return nil, err
	}
	return &Direct{Account: as, Port: a.Port, Own: own}, nil
}

// nameOf returns the account name of a login: of NAME@DOMAIN, DOMAIN\NAME, or a DN whose first part is its name.
func nameOf(login string) string {
	if _, name, down := strings.Cut(login, `\`); down {
		login = name
	}
	login, _, _ = strings.Cut(login, "@")
	login, _, _ = strings.Cut(login, ",")
	if _, name, dn := strings.Cut(login, "="); dn {
		login = name
	}
	return strings.ToLower(login)
}

// ErrNoAccount means that nobody was given the account by which passwords are read.
var ErrNoAccount = errors.New("there is no account that may read password hashes: name one under replicate of the directory in tandem.yaml, or at the enrolment of its agents")
