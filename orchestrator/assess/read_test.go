package assess_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/assess"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// listed is a directory that answers every search with all it has.
type listed struct {
	entries []directory.Entry
	err     error
	asked   directory.SearchQuery
}

func (l *listed) Controller() directory.Controller {
	return directory.Controller{Root: guid(1), RootDN: rootDN}
}

func (l *listed) Search(_ context.Context, q directory.SearchQuery, each func(directory.Entry) error) error {
	l.asked = q
	for _, e := range l.entries {
		if err := each(e); err != nil {
			return err
		}
	}
	return l.err
}

func entry(n, parent int, dn, class string, attrs ...string) directory.Entry {
	e := directory.Entry{GUID: guid(n), Parent: guid(parent), DN: dn, Attrs: map[string][][]byte{"objectclass": {[]byte(class)}}}
	for i := 0; i < len(attrs); i += 2 {
		e.Attrs[attrs[i]] = [][]byte{[]byte(attrs[i+1])}
	}
	return e
}

func TestSurveyTellsWhatIsInUse(t *testing.T) {
	boss := entry(4, 2, `CN=Boss\, the,OU=A,DC=x,DC=y`, "user", "mailnickname", "boss", "mail", "boss@x", "useraccountcontrol", "66050") // never expires, disabled
	member := entry(5, 2, "CN=G,OU=A,DC=x,DC=y", "group", "extensionattribute7", "x")
	member.Links = map[string]directory.LinkChange{"member": {Whole: true, Targets: []directory.Link{{GUID: guid(4)}, {GUID: guid(6)}}}}
	person := entry(6, 2, "CN=P,OU=A,DC=x,DC=y", "user", "ms-ds-consistencyguid", "0123456789abcdef", "useraccountcontrol", "512")
	person.Links = map[string]directory.LinkChange{"manager": {Whole: true, Targets: []directory.Link{{GUID: guid(4)}}}}
	l := &listed{entries: []directory.Entry{
		entry(1, 0, rootDN, "domainDNS"), entry(2, 1, "OU=A,DC=x,DC=y", "organizationalUnit"), boss, member, person,
		entry(7, 2, "CN=svc-backup,OU=A,DC=x,DC=y", "user", "samaccountname", "svc-backup", "useraccountcontrol", "512"),
		entry(8, 2, "CN=sql,OU=A,DC=x,DC=y", "user", "serviceprincipalname", "MSSQL/x"),
		entry(9, 2, "CN=robot,OU=A,DC=x,DC=y", "user", "useraccountcontrol", "66048"),
		entry(10, 2, "CN=K,OU=A,DC=x,DC=y", "user", "iscriticalsystemobject", "TRUE"),
		entry(11, 1, "CN=Odd,DC=x,DC=y", "rpcContainer"), entry(12, 11, "CN=C,CN=Odd,DC=x,DC=y", "contact"), entry(13, 1, "CN=Nothing,DC=x,DC=y", "rpcContainer"),
	}}
	d, err := assess.Read(context.Background(), "d", l, assess.ForReferences)
	if err != nil {
		t.Fatal(err)
	}
	if d.Objects() != 8 {
		t.Errorf("%d objects", d.Objects())
	}
	g := suggested(t, &assess.Survey{Directories: []*assess.Directory{d}})
	i := slices.IndexFunc(g.Units, func(u assess.Unit) bool { return u.Under == "OU=A,DC=x,DC=y" })
	u := g.Units[i]
	if d := cmp.Diff(map[scoping.Kind]int{user: 5, group: 1}, u.Objects); d != "" || u.Critical != 1 || u.Service != 3 || u.Disabled != 1 || u.None {
		t.Errorf("%s %+v", d, u)
	}
	if d := cmp.Diff([]assess.Use{{"mail-enabled", scoping.ExchangeHybrid, 1}, {"extension attributes", scoping.Extensions, 1}, {"mS-DS-ConsistencyGuid", "", 1}}, u.InUse); d != "" {
		t.Error(d)
	}
	if g.Units[1].Under != "CN=Odd,DC=x,DC=y" && g.Units[0].Under != "CN=Odd,DC=x,DC=y" {
		t.Errorf("an unusual container with a contact in it is not seen: %+v", g.Units)
	}
	if l.asked.ShowDeleted || l.asked.Filter != "" {
		t.Errorf("%+v", l.asked)
	}
}

func TestAReadingThatEndsEarlyIsNoSurvey(t *testing.T) {
	if _, err := assess.Read(context.Background(), "d", &listed{err: context.DeadlineExceeded}, assess.ForReferences); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
