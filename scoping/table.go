package scoping

import (
	"fmt"
	"slices"
)

// FeatureRow is one row of the feature table: what a feature is, what may be asked of it, and who can do it. Every tenant
// attribute stands in exactly one row (rule F2).
type FeatureRow struct {
	Number  int // of the row, for messages
	Feature Feature
	Title   string
	Kinds   []Kind    // whose objects it concerns; of a base feature one
	Needs   []Feature // to be switched on as well; empty for base features
	Into    bool      // goes from the tenant into a directory: it belongs to a container, with "from"
	Follows bool      // belongs to whoever has the base feature of the object, unless it is assigned apart

	Connect   Support // what Microsoft Entra Connect Sync can do
	CloudSync Support // what Microsoft Entra Cloud Sync can do
	Graph     Support // what public Microsoft Graph lets an application write
	Source    string  // who says so
}

// Support is whether something can do a feature, with what has to be said of it.
type Support struct {
	Can  bool   `json:"can"`
	Note string `json:"note,omitempty"`
}

var can = Support{Can: true}

func cannot(why string) Support { return Support{Note: why} }

// Sources of the feature table: Microsoft's comparison of the two products in its guide to choosing between them (Entra documentation, page
// date February 2025, the table unchanged in August 2026) and its FAQ; of Graph, the v1.0 reference of each resource.
const (
	guide     = "Microsoft's comparison of Connect Sync and Cloud Sync"
	reference = "the reference of Microsoft Graph v1.0"
)

// featureTable is the whole table, in the order in which features are shown.
var featureTable = []FeatureRow{
	{1, Users, "users", []Kind{User}, nil, false, false, can, can, can, guide + "; " + reference + "; rule F1"},
	{2, Groups, "groups", []Kind{Group}, nil, false, false, Support{true, "up to 250,000 members"}, Support{true, "up to 50,000 members"},
		Support{true, "security groups; no distribution groups or mail-enabled security groups"}, guide + "; " + reference + "; rules F1, J4"},
	{3, Contacts, "contacts", []Kind{Contact}, nil, false, false, can, can, cannot("public Graph only reads contacts: Entra Connect Sync, Cloud Sync or Exchange Online make and change them"),
		guide + "; " + reference + "; rules F1, J4"},
	{4, Devices, "devices", []Kind{Device}, nil, false, false, can, cannot("Cloud Sync has no device objects (a preview since July 2026)"),
		cannot("Graph creates no hybrid-joined devices"), guide + "; rule F1"},
	{5, References, "manager and members", []Kind{User, Group, Contact, Device}, nil, false, true, can,
		Support{true, "within a forest"}, can, guide + " (cross-domain and cross-forest references); rule F2"},
	{6, ExchangeHybrid, "Exchange hybrid attributes", []Kind{User, Group, Contact}, []Feature{Users}, false, true, can, can,
		cannot("proxyAddresses are read-only in Graph"), guide + " (Exchange hybrid writeback); " + reference + "; rule F2"},
	{7, Extensions, "extension attributes 1-15 and directory extensions", []Kind{User, Group, Contact}, []Feature{Users}, false, true, can, can,
		Support{true, "of users and groups"}, guide + "; " + reference + "; rule F2"},
	{8, PasswordHash, "password hash synchronization", []Kind{User}, []Feature{Users}, false, true, Support{true, "not of inetOrgPerson"},
		Support{true, "not of inetOrgPerson"}, cannot("Graph takes no password hashes"), guide + "; rule F3"},
	{9, PasswordWriteback, "password writeback", []Kind{User}, []Feature{Users}, false, true, Support{true, "of a whole domain"}, Support{true, "of a whole domain"},
		cannot("Graph tells nobody of changed passwords"), guide + "; rule F3"},
	{10, GroupProvisioning, "provisioning of groups to Active Directory", []Kind{Group}, nil, true, false,
		cannot("Connect provisions no groups to Active Directory (its group writeback ended)"), can, Support{true, "is only read"}, guide + " (group provisioning to AD)"},
	{11, UserProvisioning, "provisioning of users to Active Directory", []Kind{User}, nil, true, false,
		cannot("Connect provisions no users to Active Directory"), Support{true, "in preview (August 2026)"}, Support{true, "is only read"},
		guide + " (user provisioning to AD)"},
}

// Model gives what the product can do on which an engine kind is modelled; ok is false for kinds of others.
func (r FeatureRow) Model(kind string) (s Support, ok bool) {
	switch kind {
	case "connect", "entra-connect":
		return r.Connect, true
	case "cloudsync", "entra-cloudsync":
		return r.CloudSync, true
	}
	return Support{}, false
}

// FeatureTable gives a copy of the feature table.
func FeatureTable() []FeatureRow { return slices.Clone(featureTable) }

// Row finds a feature in the table.
func Row(f Feature) (FeatureRow, bool) {
	for _, r := range featureTable {
		if r.Feature == f {
			return r, true
		}
	}
	return FeatureRow{}, false
}

// String names the row in messages.
func (r FeatureRow) String() string {
	return fmt.Sprintf("row %d of the feature table, %s", r.Number, r.Title)
}

// EngineCaps is what an engine can do.
type EngineCaps struct {
	Kind     string // "connect", "cloudsync", or another's
	Features []Feature
	Refused  map[Feature]string // features that the tenant does not take, whoever writes them, and why; an engine with a path of its own has none
}

// Has says whether the engine can write f.
func (c EngineCaps) Has(f Feature) bool { return slices.Contains(c.Features, f) }

// lacks says why an engine cannot be given a feature, "" if it can.
func (c EngineCaps) lacks(r FeatureRow) string {
	model, known := r.Model(c.Kind)
	switch {
	case c.Has(r.Feature) && c.Refused[r.Feature] == "":
		return ""
	case c.Has(r.Feature):
		return "but the tenant does not take it: " + c.Refused[r.Feature]
	case known && !model.Can:
		return "which cannot write it: " + model.Note
	case known:
		return "which cannot write it in this version of Tandem"
	}
	return "which cannot write it: it does not name it among its features"
}
