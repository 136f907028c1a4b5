package cloud_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

var anchor = []byte("0123456789abcdef")

// usual is a valid write of each operation and kind that exists.
func usual(op cloud.Op, kind scoping.Kind) cloud.Write {
	w := cloud.Write{Op: op, Kind: kind, CloudID: "object"}
	switch op {
	case cloud.Create:
		w.CloudID, w.Anchor, w.Set = "", base64.StdEncoding.EncodeToString(anchor), cloud.Values{}
		for _, name := range attribute.With(kind, attribute.Required) {
			w.Set[name] = []string{"x"}
		}
		switch kind {
		case scoping.User:
			w.Set[cloud.Enabled] = []string{"true"}
		case scoping.Group:
			w.Key = cloud.UniqueNameOf(anchor)
		}
	case cloud.Update:
		w.Set = cloud.Values{cloud.DisplayName: {"x"}}
	case cloud.AddMembers, cloud.RemoveMember, cloud.SetManager:
		w.Refs = []string{"end"}
	case cloud.SetPassword:
		w.Password = &cloud.Password{Stamp: "1", By: "connect", Log: "home"}
	}
	return w
}

func TestEveryOperationHasItsUsualShape(t *testing.T) {
	for _, op := range cloud.Ops() {
		for _, kind := range []scoping.Kind{scoping.User, scoping.Group, scoping.Contact} {
			if err := usual(op, kind).Valid(); (err == nil) != op.Takes(kind) {
				t.Errorf("%s of a %s: %v", op, kind, err)
			}
		}
	}
	if n := len(cloud.Ops()); n != 9 {
		t.Errorf("%d operations", n)
	}
}

func TestWritesThatCanNeverBeSentAreTold(t *testing.T) {
	many := make([]string, cloud.MaxMembers+1)
	for i := range many {
		many[i] = strings.Repeat("m", i+1)
	}
	cases := map[string]struct {
		op     cloud.Op
		kind   scoping.Kind
		change func(*cloud.Write)
	}{
		"a manager cleared by name":         {cloud.ClearManager, scoping.User, func(w *cloud.Write) { w.Refs = []string{"boss"} }},
		"no manager set":                    {cloud.SetManager, scoping.User, func(w *cloud.Write) { w.Refs = nil }},
		"two managers":                      {cloud.SetManager, scoping.User, func(w *cloud.Write) { w.Refs = []string{"a", "b"} }},
		"no members":                        {cloud.AddMembers, scoping.Group, func(w *cloud.Write) { w.Refs = nil }},
		"too many members":                  {cloud.AddMembers, scoping.Group, func(w *cloud.Write) { w.Refs = many }},
		"a member twice":                    {cloud.AddMembers, scoping.Group, func(w *cloud.Write) { w.Refs = []string{"a", "a"} }},
		"a member without id":               {cloud.AddMembers, scoping.Group, func(w *cloud.Write) { w.Refs = []string{""} }},
		"a group in itself":                 {cloud.AddMembers, scoping.Group, func(w *cloud.Write) { w.Refs = []string{"object"} }},
		"two members removed at once":       {cloud.RemoveMember, scoping.Group, func(w *cloud.Write) { w.Refs = []string{"a", "b"} }},
		"members with values":               {cloud.AddMembers, scoping.Group, func(w *cloud.Write) { w.Set = cloud.Values{cloud.DisplayName: {"x"}} }},
		"a delete of nobody":                {cloud.Delete, scoping.User, func(w *cloud.Write) { w.CloudID = "" }},
		"a create of what is there":         {cloud.Create, scoping.User, func(w *cloud.Write) { w.CloudID = "object" }},
		"a create without anchor":           {cloud.Create, scoping.User, func(w *cloud.Write) { w.Anchor = "" }},
		"an anchor that is not base64":      {cloud.Create, scoping.User, func(w *cloud.Write) { w.Anchor = "?" }},
		"a group under another key":         {cloud.Create, scoping.Group, func(w *cloud.Write) { w.Key = "staff" }},
		"a mail-enabled group":              {cloud.Create, scoping.Group, func(w *cloud.Write) { w.Set["mailEnabled"] = []string{"true"} }},
		"a create that clears":              {cloud.Create, scoping.User, func(w *cloud.Write) { w.Set["city"] = nil }},
		"a create without sign-in name":     {cloud.Create, scoping.User, func(w *cloud.Write) { delete(w.Set, cloud.UPN) }},
		"an update of nothing":              {cloud.Update, scoping.User, func(w *cloud.Write) { w.Set = nil }},
		"an update of an unknown attribute": {cloud.Update, scoping.User, func(w *cloud.Write) { w.Set = cloud.Values{"shoeSize": {"42"}} }},
		"an attribute that is the tenant's": {cloud.Update, scoping.User, func(w *cloud.Write) { w.Set = cloud.Values{"proxyAddresses": {"SMTP:a@b.c"}} }},
		"a user's attribute of a group":     {cloud.Update, scoping.Group, func(w *cloud.Write) { w.Set = cloud.Values{"city": {"Brno"}} }},
		"two values of one":                 {cloud.Update, scoping.User, func(w *cloud.Write) { w.Set = cloud.Values{"city": {"Brno", "Praha"}} }},
		"a flag that is neither":            {cloud.Update, scoping.User, func(w *cloud.Write) { w.Set = cloud.Values{cloud.Enabled: {"1"}} }},
		"an empty text":                     {cloud.Update, scoping.User, func(w *cloud.Write) { w.Set = cloud.Values{"city": {""}} }},
		"a sign-in name cleared":            {cloud.Update, scoping.User, func(w *cloud.Write) { w.Set = cloud.Values{cloud.UPN: nil} }},
		"a restore with a city":             {cloud.Restore, scoping.User, func(w *cloud.Write) { w.Set = cloud.Values{"city": {"Brno"}} }},
		"a group restored under a UPN":      {cloud.Restore, scoping.Group, func(w *cloud.Write) { w.Set = cloud.Values{cloud.UPN: {"a@b.c"}} }},
		"an operation nobody knows":         {"rename", scoping.User, func(*cloud.Write) {}},
	}
	for name, c := range cases {
		w := usual(c.op, c.kind)
		c.change(&w)
		if err := w.Valid(); err == nil {
			t.Errorf("%s is taken: %+v", name, w)
		}
	}
}

func TestAUserMayBeRestoredUnderAnotherSignInName(t *testing.T) {
	w := usual(cloud.Restore, scoping.User)
	w.Set = cloud.Values{cloud.UPN: {"ann@contoso.test"}}
	if err := w.Valid(); err != nil {
		t.Error(err)
	}
}

func TestWritableAttributesTakeAValueAndItsAbsence(t *testing.T) {
	for _, kind := range []scoping.Kind{scoping.User, scoping.Group, scoping.Contact} {
		for _, name := range attribute.With(kind, attribute.Writable) {
			p, _ := attribute.Find(kind, name)
			v := []string{"x"}
			if p.Form == attribute.Boolean {
				v = []string{fmt.Sprint(name != "mailEnabled")}
			}
			w := cloud.Write{Op: cloud.Update, Kind: kind, CloudID: "object", Set: cloud.Values{name: v}}
			if err := w.Valid(); err != nil {
				t.Error(err)
			}
			w.Set[name] = nil
			if err := w.Valid(); (err == nil) == slices.Contains(append(attribute.With(kind, attribute.Required), "mailEnabled", "securityEnabled"), name) {
				t.Errorf("%s of a %s cleared: %v", name, kind, err)
			}
		}
	}
	if w := (cloud.Write{Op: cloud.Update, Kind: scoping.Device, CloudID: "object", Set: cloud.Values{cloud.DisplayName: {"x"}}}); w.Valid() == nil {
		t.Error("no tenant takes devices")
	}
}
