package directory

import (
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

var errMalformed = refuse(ldap.LDAPResultProtocolError, "the request is malformed")

// readValues reads the SET OF values of an attribute.
func readValues(p *ber.Packet) []string {
	out := make([]string, len(p.Children))
	for i, v := range p.Children {
		out[i] = v.Data.String()
	}
	return out
}

func (c *session) add(r request) error {
	if len(r.op.Children) != 2 {
		return errMalformed
	}
	dn, attrs := r.op.Children[0].Data.String(), Attributes{}
	for _, a := range r.op.Children[1].Children {
		if len(a.Children) != 2 {
			return errMalformed
		}
		name := a.Children[0].Data.String()
		if strings.EqualFold(name, "unicodePwd") && !c.secure {
			return errInsecurePassword
		}
		attrs[name] = append(attrs[name], readValues(a.Children[1])...)
	}
	m := c.server.model
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.add(c.id, dn, attrs)
	return err
}

var errInsecurePassword = refuse(ldap.LDAPResultUnwillingToPerform, "00002035: Password modification over LDAP must be over an encrypted connection")

func (c *session) modify(r request) error {
	if len(r.op.Children) != 2 {
		return errMalformed
	}
	var changes []Change
	for _, p := range r.op.Children[1].Children {
		if len(p.Children) != 2 || len(p.Children[1].Children) != 2 {
			return errMalformed
		}
		kind, ok := p.Children[0].Value.(int64)
		if !ok || kind < 0 || kind > 255 {
			return errMalformed
		}
		change := Change{ChangeKind(kind), p.Children[1].Children[0].Data.String(), readValues(p.Children[1].Children[1])}
		if strings.EqualFold(change.Attribute, "unicodePwd") && !c.secure {
			return errInsecurePassword
		}
		changes = append(changes, change)
	}
	m := c.server.model
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.modify(c.id, r.op.Children[0].Data.String(), changes, modifyOptions{r.controls.showDeleted, r.controls.permissive, r.controls.history})
}

func (c *session) remove(r request) error {
	m := c.server.model
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.remove(c.id, r.op.Data.String(), r.controls.treeDelete)
}

func (c *session) rename(r request) error {
	if len(r.op.Children) < 3 {
		return errMalformed
	}
	dn, newParent := r.op.Children[0].Data.String(), ""
	if len(r.op.Children) > 3 {
		newParent = r.op.Children[3].Data.String()
	}
	deleteOld, ok := r.op.Children[2].Value.(bool)
	if !ok {
		return errMalformed
	}
	m := c.server.model
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rename(c.id, dn, r.op.Children[1].Data.String(), newParent, deleteOld)
}

func (c *session) compare(r request) error {
	if len(r.op.Children) != 2 || len(r.op.Children[1].Children) != 2 {
		return errMalformed
	}
	assertion := r.op.Children[1].Children
	same, err := c.server.model.compare(r.op.Children[0].Data.String(), assertion[0].Data.String(), assertion[1].Data.String())
	switch {
	case err != nil:
		return err
	case same:
		return &ResultError{Code: ldap.LDAPResultCompareTrue}
	}
	return &ResultError{Code: ldap.LDAPResultCompareFalse}
}
