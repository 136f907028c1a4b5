package lab

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	"github.com/tandem-sync/tandem/scoping"
)

const (
	// HiredGroup is the group of the tenant in which are whom HR hired, as a dynamic group of Entra has them.
	HiredGroup = "Hired by HR"
	// HiresOU is where in the directory they come.
	HiresOU = "New Hires"

	provisioner = "svc-provision"
)

// linkOf is the attribute that shows of whom an account was made: Samba's schema is older than Windows Server 2016's, which has one for that.
func linkOf(directory string) string {
	if directory == Samba {
		return "adminDescription"
	}
	return "msDS-ExternalDirectoryObjectId"
}

const hiresPolicy = `  - name: new hires
    under: %q
    from: {groups: [%q]}
    link: %s
    engine: cloudsync
    features: [user-provisioning]
`

// hiresSettings are cloudsync's: names for people whom HR hires, and everything that HR says of them.
const hiresSettings = `      provisioning: {users: {base: hr}}
`

func (l *Lab) hiresSettings() string {
	if l.hired == "" {
		return ""
	}
	return hiresSettings
}

// hires makes what bringing people into the directory needs: the group in the tenant, the OU, and an account with the rights for that alone.
func (l *Lab) hires(o Options) error {
	g, err := l.Model.CreateGroup(map[string]any{"displayName": HiredGroup, "mailNickname": "hired", "mailEnabled": false, "securityEnabled": true})
	if err != nil {
		return fmt.Errorf("the group of whom HR hired: %w", err)
	}
	l.hired = g.ID
	if o.Directory == NoDirectory {
		return nil
	}
	c, err := l.Dial()
	if err != nil {
		return err
	}
	return errors.Join(l.provisioner(c, linkOf(o.Directory)), c.Close())
}

func (l *Lab) provisioner(c *ldap.Conn, link string) error {
	under := l.OU(HiresOU)
	r := ldap.NewAddRequest(under, nil)
	r.Attribute("objectClass", []string{"organizationalUnit"})
	if err := c.Add(r); err != nil {
		return fmt.Errorf("making %s: %w", under, err)
	}
	password := "aA1!" + rand.Text()
	_, sid, err := delegation.Account(c, l.OU("Service"), provisioner, password)
	if err == nil {
		rights := slices.Concat(slices.Collect(maps.Values(delegation.Provision)), slices.Collect(maps.Values(delegation.Link(link))))
		err = delegation.Grant(c, under, sid, rights...)
	}
	if err != nil {
		return fmt.Errorf("the lab's account for %s: %w", scoping.Provision, err)
	}
	l.site.services = append(l.site.services, service{scoping.Provision, provisioner + "@" + l.domain, password, []string{under}})
	return nil
}

// hiresPolicy is the assignment that brings whom HR hired into the directory; "" without hires.
func (l *Lab) hiresPolicy(o Options) string {
	if l.hired == "" {
		return ""
	}
	return fmt.Sprintf(hiresPolicy, l.OU(HiresOU), HiredGroup, linkOf(o.Directory))
}

// Hired puts a user of the tenant into the group of whom HR hired.
func (l *Lab) Hired(id string) error {
	return l.Model.AddMember(l.hired, l.Tenant.GraphEndpoint()+"/v1.0/directoryObjects/"+id)
}
