package plugin

import (
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin/enginepb"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

func descriptionOut(d engine.Description) *enginepb.DescribeResponse {
	to := &enginepb.DescribeResponse{Kind: d.Kind, Version: d.Version, Contract: uint32(d.Contract), Features: namesOut(d.Features),
		CanShadow: d.CanShadow, Release: d.Release, Keeps: d.Keeps, Verbs: d.Verbs, Delivers: namesOut(d.Delivers), Observes: d.Observes}
	if len(d.Writes) > 0 {
		to.Writes = make(map[string]*enginepb.Attributes, len(d.Writes))
	}
	for f, names := range d.Writes {
		to.Writes[string(f)] = &enginepb.Attributes{Names: names}
	}
	if len(d.Reads) > 0 {
		to.Reads = make(map[string]*enginepb.Reads, len(d.Reads))
	}
	for k, r := range d.Reads {
		to.Reads[string(k)] = &enginepb.Reads{Attributes: r.Attributes, More: r.More}
	}
	return to
}

func descriptionIn(d *enginepb.DescribeResponse) engine.Description {
	to := engine.Description{Kind: d.Kind, Version: d.Version, Contract: int(d.Contract), Features: featuresIn(d.Features),
		CanShadow: d.CanShadow, Release: d.Release, Keeps: d.Keeps, Verbs: d.Verbs, Delivers: featuresIn(d.Delivers), Observes: d.Observes}
	if len(d.Writes) > 0 {
		to.Writes = make(map[scoping.Feature][]string, len(d.Writes))
	}
	for f, names := range d.Writes {
		to.Writes[scoping.Feature(f)] = names.GetNames()
	}
	if len(d.Reads) > 0 {
		to.Reads = make(map[scoping.Kind]engine.Reads, len(d.Reads))
	}
	for k, r := range d.Reads {
		to.Reads[scoping.Kind(k)] = engine.Reads{Attributes: r.GetAttributes(), More: r.GetMore()}
	}
	return to
}

func configOut(c engine.Config) *enginepb.ConfigureRequest {
	to := &enginepb.ConfigureRequest{Engine: c.Engine, DataDir: c.DataDir, Settings: c.Settings, Features: namesOut(c.Features)}
	for _, d := range c.Directories {
		to.Directories = append(to.Directories, &enginepb.Directory{Name: d.Name, Urls: d.URLs, Base: d.Base, User: d.User,
			Password: d.Password, Ca: d.CA, Insecure: d.Insecure, Accounts: accountsOut(d.Accounts)})
	}
	return to
}

// accountsOut leaves out an account whose password was wiped: no sign-in is possible with it.
func accountsOut(accounts map[scoping.Purpose]engine.Account) (to []*enginepb.Account) {
	for _, p := range slices.Sorted(maps.Keys(accounts)) {
		a := accounts[p]
		out := &enginepb.Account{Purpose: string(p), User: a.User, Port: uint32(a.Port), Under: a.Under}
		if a.Password.Use(func(b []byte) error { out.Password = slices.Clone(b); return nil }) == nil {
			to = append(to, out)
		}
	}
	return to
}

// accountsIn takes the passwords over from the message.
func accountsIn(accounts []*enginepb.Account) map[scoping.Purpose]engine.Account {
	if len(accounts) == 0 {
		return nil
	}
	to := make(map[scoping.Purpose]engine.Account, len(accounts))
	for _, a := range accounts {
		to[scoping.Purpose(a.GetPurpose())] = engine.Account{User: a.GetUser(), Password: secret.Take(a.GetPassword()), Port: int(a.GetPort()), Under: a.GetUnder()}
	}
	return to
}

// wipePasswords clears the passwords of accounts in a message that was sent. What gRPC made of it is not cleared.
func wipePasswords(c *enginepb.ConfigureRequest) {
	for _, d := range c.GetDirectories() {
		for _, a := range d.GetAccounts() {
			clear(a.GetPassword())
		}
	}
}

func configIn(c *enginepb.ConfigureRequest) engine.Config {
	to := engine.Config{Engine: c.Engine, DataDir: c.DataDir, Settings: c.Settings, Features: featuresIn(c.Features)}
	for _, d := range c.Directories {
		to.Directories = append(to.Directories, engine.Directory{Name: d.Name, URLs: d.Urls, Base: d.Base, User: d.User,
			Password: d.Password, CA: d.Ca, Insecure: d.Insecure, Accounts: accountsIn(d.Accounts)})
	}
	return to
}

func healthOut(h engine.Health) *enginepb.HealthEvent {
	return &enginepb.HealthEvent{Ok: h.OK, Message: h.Message, Agents: uint32(h.Agents), Details: h.Details}
}

func healthIn(h *enginepb.HealthEvent) engine.Health {
	return engine.Health{OK: h.Ok, Message: h.Message, Agents: int(h.Agents), Details: h.Details}
}

func changeOut(c engine.TenantChange) *enginepb.TenantChange {
	return &enginepb.TenantChange{CloudId: c.CloudID, Kind: string(c.Kind), Object: objectOut(c.Object), Values: valuesOut(c.Values), Removed: c.Removed}
}

func changeIn(c *enginepb.TenantChange) (engine.TenantChange, error) {
	o, err := objectIn(c.Object)
	return engine.TenantChange{CloudID: c.CloudId, Kind: scoping.Kind(c.Kind), Object: o, Values: valuesIn(c.Values), Removed: c.Removed}, err
}
