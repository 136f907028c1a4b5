package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab"
	"github.com/tandem-sync/tandem/orchestrator/api"
)

// Whom HR hires in the story: Jonas reports to Nadia, who comes after him.
const (
	numberOfNadia = "H1000"
	numberOfJonas = "H1001"

	hiredPassword = "Hired-Passw0rd!"
)

func (s *story) staff(jonasStays bool) []lab.Employee {
	at := func(name string) string { return name + "@" + s.lab.World.Domain }
	return []lab.Employee{
		{Number: numberOfJonas, GivenName: "Jonas", Surname: "Öberg", UserName: at("jonas.oberg"), Title: "Technician", Department: "Field Service", Manager: numberOfNadia, Active: jonasStays},
		{Number: numberOfNadia, GivenName: "Nadia", Surname: "Hassan", UserName: at("nadia.hassan"), Title: "Head of Field Service", Department: "Field Service", Active: true},
	}
}

// hire lets HR hire two people, who come into the tenant, and from there into the directory.
func (s *story) hire() error {
	people := s.staff(true)
	told, err := s.lab.Employ(s.ctx, people...)
	if err != nil {
		return err
	}
	made := 0
	for _, p := range people {
		o, there := s.lab.User(p.UserName)
		if told[p.Number] == (lab.Employed{Action: "create", Status: "success"}) && there {
			made++
			if err := s.lab.Hired(o.ID); err != nil {
				return err
			}
		}
	}
	s.check("HR's people are in the tenant", made == len(people), "%d of %d", made, len(people))
	if err := s.both(); err != nil {
		return err
	}
	if err := s.accountsOf(people); err != nil {
		return err
	}
	before := s.lab.Writes()
	if err := s.both(); err != nil {
		return err
	}
	if s.ids, err = s.objects(); err != nil {
		return err
	}
	again, err := s.accounts()
	s.check("nobody becomes two", err == nil && len(again) == len(people) && s.lab.Writes() == before, "%d accounts, %d requests to write", len(again), s.lab.Writes()-before)
	return errors.Join(err, s.signsIn(people[0].UserName))
}

// accountsOf checks that each of the people has the one account in the directory that the tenant's user says.
func (s *story) accountsOf(people []lab.Employee) error {
	found, err := s.accounts()
	if err != nil {
		return err
	}
	right := 0
	for _, p := range people {
		a := found[p.Number]
		if a != nil && enabled(a) && a.GetAttributeValue("department") == p.Department && a.GetAttributeValue("title") == p.Title && strings.HasPrefix(a.DN, "CN="+p.GivenName+" "+p.Surname+",") {
			right++
		}
	}
	s.check("HR's people have accounts in the directory", right == len(people) && len(found) == len(people), "%d of %d under %s", right, len(people), s.lab.OU(lab.HiresOU))
	jonas, nadia := found[numberOfJonas], found[numberOfNadia]
	s.check("a manager comes along", jonas != nil && nadia != nil && strings.EqualFold(jonas.GetAttributeValue("manager"), nadia.DN), "%s reports to %s", people[0].GivenName, people[1].GivenName)
	return nil
}

// accounts are the users of the OU for hires by employee number. Two with one number are an error.
func (s *story) accounts() (map[string]*ldap.Entry, error) {
	res, err := s.ldap.Search(ldap.NewSearchRequest(s.lab.OU(lab.HiresOU), ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=user)",
		[]string{"employeeID", "department", "title", "manager", "userAccountControl"}, nil))
	if err != nil {
		return nil, fmt.Errorf("looking for accounts of hires: %w", err)
	}
	out := map[string]*ldap.Entry{}
	for _, e := range res.Entries {
		n := e.GetAttributeValue("employeeID")
		if out[n] != nil {
			return nil, fmt.Errorf("the directory has two accounts for %s: %s and %s", n, out[n].DN, e.DN)
		}
		out[n] = e
	}
	return out, nil
}

// enabled reads ADS_UF_ACCOUNTDISABLE.
func enabled(e *ldap.Entry) bool {
	n, err := strconv.Atoi(e.GetAttributeValue("userAccountControl"))
	return err == nil && n&2 == 0
}

// signsIn sets a password in the directory, with which the person then signs in to the tenant. A directory without replication has no hashes to read.
func (s *story) signsIn(upn string) error {
	if !s.lab.Replicates() {
		return nil
	}
	before := s.lab.SignIn(upn, hiredPassword)
	found, err := s.accounts()
	if err != nil || found[numberOfJonas] == nil {
		return errors.Join(err, fmt.Errorf("%s has no account", upn))
	}
	if err := s.set(person{found[numberOfJonas].DN, upn}, "unicodePwd", lab.EncodePassword(hiredPassword)); err != nil {
		return err
	}
	if err := s.both(); err != nil {
		return err
	}
	err = s.lab.SignIn(upn, hiredPassword)
	s.check("who was hired signs in with the directory's password", before != nil && err == nil, "%s: %s; before it was set: %v", upn, orOK(err), before)
	return nil
}

// contractEnds lets HR say that somebody's contract has ended: disabled in the tenant, and then in the directory, where a person may have to say so.
func (s *story) contractEnds() error {
	people := s.staff(false)
	told, err := s.lab.Employ(s.ctx, people...)
	if err != nil {
		return err
	}
	r, err := s.sync("cloudsync", "delta")
	if err != nil {
		return err
	}
	for _, id := range r.HeldSets {
		q := api.HeldRequest{ID: id, Verb: "approve", Reason: "his contract has ended"}
		if _, err := s.api.Call(s.ctx, "held/answer", q, nil); err != nil {
			return err
		}
	}
	o, _ := s.lab.User(people[0].UserName)
	found, err := s.accounts()
	if err != nil {
		return err
	}
	jonas, nadia := found[numberOfJonas], found[numberOfNadia]
	s.check("who left is disabled on both sides", told[numberOfJonas].Action == "disable" && o.Properties["accountEnabled"] == false && jonas != nil && !enabled(jonas), "%s", people[0].UserName)
	s.check("who stayed is not", nadia != nil && enabled(nadia), "%s", people[1].UserName)
	if s.lab.Replicates() {
		err := s.lab.SignIn(people[0].UserName, hiredPassword)
		s.check("who left signs in no more", err != nil, "%s: %s", people[0].UserName, orOK(err))
	}
	return s.unchanged("hires keep every tenant object")
}
