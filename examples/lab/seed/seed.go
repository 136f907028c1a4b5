// Package seed plans the people, groups and organizational units of a lab, and writes them into any directory.
//
// A plan depends on its arguments alone: the same number of users, seed and domain give the same world, so that a test can be
// repeated and the embedded directory and Samba hold the same. It holds what makes trouble: names with commas, "#", "+",
// quotes and other scripts, OUs of the same name in two places, nested groups with members from several OUs, accounts
// without a principal name, disabled ones, and some with an mS-DS-ConsistencyGuid already.
package seed

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/go-ldap/ldap/v3"
	"github.com/tandem-sync/tandem/examples/lab/directory"
)

// World is what a directory is filled with, in an order in which it can be written.
type World struct {
	// Domain is the DNS name, Base the DN that follows from it.
	Domain, Base string
	// OUs stand parents first.
	OUs []Object
	// Users and Groups have no links yet.
	Users, Groups []Object
	// Links are managers and members, to be written when all objects exist.
	Links []Link
}

// Object is one object to add.
type Object struct {
	DN         string
	Attributes map[string][]string
}

// Link sets a linked attribute of DN to the objects with the DNs in Values.
type Link struct {
	DN, Attribute string
	Values        []string
}

// membersAtOnce bounds a modification, which servers limit.
const membersAtOnce = 500

// Apply writes the world over an administrator's connection. An error names the object; what was written before it stays.
func (w World) Apply(ctx context.Context, conn *ldap.Conn) error {
	return w.write(ctx,
		func(o Object) error {
			r := ldap.NewAddRequest(o.DN, nil)
			for _, name := range slices.Sorted(maps.Keys(o.Attributes)) {
				r.Attribute(name, o.Attributes[name])
			}
			return conn.Add(r)
		},
		func(l Link) error {
			r := ldap.NewModifyRequest(l.DN, nil)
			r.Add(l.Attribute, l.Values)
			return conn.Modify(r)
		})
}

// Fill writes the world into an embedded directory without the wire, which takes seconds for 20,000 users.
func (w World) Fill(ctx context.Context, m *directory.Model) error {
	return w.write(ctx,
		func(o Object) error {
			_, err := m.Add(o.DN, o.Attributes)
			return err
		},
		func(l Link) error {
			return m.Modify(l.DN, directory.Change{Kind: directory.Add, Attribute: l.Attribute, Values: l.Values})
		})
}

func (w World) write(ctx context.Context, add func(Object) error, link func(Link) error) error {
	for _, o := range slices.Concat(w.OUs, w.Users, w.Groups) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("seeding %s: %w", o.DN, err)
		}
		if err := add(o); err != nil {
			return fmt.Errorf("seeding %s: %w", o.DN, err)
		}
	}
	for _, l := range w.Links {
		for part := range slices.Chunk(l.Values, membersAtOnce) {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("seeding %s of %s: %w", l.Attribute, l.DN, err)
			}
			if err := link(Link{l.DN, l.Attribute, part}); err != nil {
				return fmt.Errorf("seeding %s of %s: %w", l.Attribute, l.DN, err)
			}
		}
	}
	return nil
}
