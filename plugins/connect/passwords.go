package connect

import (
	"fmt"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/passwordhash"
	"github.com/tandem-sync/tandem/plugins/passwordhash/handover"
	"github.com/tandem-sync/tandem/scoping"
)

// passwordReaders reads the passwords of each directory in this process, with the account that tandem.yaml names for it.
func passwordReaders(c engine.Config) (out []handover.Directory, err error) {
	for _, d := range c.Directories {
		conn := directory.Connection{Name: d.Name, URLs: d.URLs, Base: d.Base, User: d.User, CA: d.CA, Insecure: d.Insecure}
		accounts := map[scoping.Purpose]directory.Account{}
		for p, a := range d.Accounts {
			accounts[p] = directory.Account(a)
		}
		reader, err := passwordhash.DirectTo(conn, accounts)
		if err != nil {
			return nil, fmt.Errorf("the account that reads password hashes: %w", err)
		}
		out = append(out, handover.Directory{Name: d.Name, Reader: reader})
	}
	return out, nil
}
