package seed

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// place is an OU of the plan: its path, deepest first, and how many of a hundred users it gets.
type place struct {
	path  []string
	share int
}

// places are the OUs, parents first. Two are called Sales; some names hold what DNs must escape.
var places = []place{
	{[]string{"Sales"}, 20}, {[]string{"Contractors", "Sales"}, 8}, {[]string{"Engineering"}, 18}, {[]string{"Sales", "Engineering"}, 6},
	{[]string{"Marketing"}, 12}, {[]string{"Finance"}, 10}, {[]string{"Service"}, 4}, {[]string{"Groups"}, 0},
	{[]string{"R&D, Berlin"}, 5}, {[]string{"#1 Team"}, 3}, {[]string{"C+C"}, 3}, {[]string{`The "A" Team`}, 3},
	{[]string{"Zürich"}, 4}, {[]string{"東京"}, 4},
}

var (
	givenNames = []string{"Ann", "Bob", "Carla", "Dieter", "Änne", "Frank", "Grace", "Hiro", "Ines", "Jürgen", "Kim", "Léa", "Mia", "Noah",
		"Olga", "Paul", "Qiang", "Rosa", "Søren", "Tom", "Uma", "Víctor", "Wen", "Xenia", "Yara", "太郎"}
	surnames = []string{"Berg", "Müller", "O'Neill", "Smith", "Nguyen", "García", "Kowalski", "山田", "Rossi", "Dubois", "Schmidt-Rottluff",
		"Ivanova", "Çelik", "Haddad", "Silva", "Jones", "Novák"}
	titles      = []string{"Engineer", "Analyst", "Manager", "Assistant", "Director", "Clerk", "Consultant"}
	cities      = []string{"Berlin", "Zürich", "London", "Lyon", "東京", "Porto", "Kraków"}
	departments = []string{"Sales", "Engineering", "Marketing", "Finance", "R&D", "Legal"}
	// oddNames give every eleventh user a name that DNs must escape.
	oddNames = []string{"%s, %s", "#%s %s", "%s + %s", `%s "%s"`, "%s (%s)", "%s/%s", "%s = %s", `%s\%s`}
)

// planner builds one world.
type planner struct {
	World
	random  *rand.Rand
	ouDNs   []string
	members [][]string // users by place
	total   int
}

// Plan makes a world of the given number of users with OUs and groups around them: 24 groups for 200 users, and one more for
// every 25 users.
func Plan(users int, seed uint64, domain string) World {
	p := &planner{total: users, random: rand.New(rand.NewPCG(seed, 0x74616e64656d)), members: make([][]string, len(places))}
	p.Domain, p.Base = domain, "DC="+strings.ReplaceAll(domain, ".", ",DC=")
	p.planOUs()
	for i := range users {
		p.planUser(i)
	}
	p.planManagers()
	p.planGroups()
	return p.World
}

// escape writes a value for a DN; "=" too, which AD wants escaped.
func escape(value string) string { return strings.ReplaceAll(ldap.EscapeDN(value), "=", `\3D`) }

func (p *planner) planOUs() {
	for _, at := range places {
		dn := p.Base
		for _, name := range slices.Backward(at.path) {
			dn = "OU=" + escape(name) + "," + dn
		}
		p.ouDNs = append(p.ouDNs, dn)
		p.OUs = append(p.OUs, Object{dn, map[string][]string{"objectClass": {"organizationalUnit"}, "description": {"Lab: " + at.path[0]}}})
	}
}

// pick gives user i a place. Each place with a share has somebody if there are users enough.
func (p *planner) pick(i int) int {
	var staffed []int
	sum := 0
	for n, at := range places {
		if at.share > 0 {
			staffed = append(staffed, n)
			sum += at.share
		}
	}
	if i < len(staffed) {
		return staffed[i]
	}
	at := p.random.IntN(sum)
	for _, n := range staffed {
		if at -= places[n].share; at < 0 {
			return n
		}
	}
	return staffed[0]
}

func (p *planner) planUser(i int) {
	at := p.pick(i)
	given, surname := givenNames[p.random.IntN(len(givenNames))], surnames[p.random.IntN(len(surnames))]
	shown := given + " " + surname
	if i%11 == 5 {
		shown = fmt.Sprintf(oddNames[i/11%len(oddNames)], surname, given)
	}
	account := fmt.Sprintf("lab%05d", i)
	a := map[string][]string{
		"objectClass": {"user"}, "sAMAccountName": {account}, "userPrincipalName": {account + "@" + p.Domain},
		"givenName": {given}, "sn": {surname}, "displayName": {shown}, "mail": {account + "@" + p.Domain},
		"department": {departments[p.random.IntN(len(departments))]}, "title": {titles[p.random.IntN(len(titles))]},
		"telephoneNumber": {fmt.Sprintf("+49 30 %07d", p.random.IntN(10_000_000))}, "l": {cities[p.random.IntN(len(cities))]},
		"employeeID": {fmt.Sprintf("E%06d", i)}, "userAccountControl": {"512"},
	}
	p.vary(i, at, a)
	// The number keeps like-named people of one OU apart.
	dn := fmt.Sprintf("CN=%s,%s", escape(fmt.Sprintf("%s %d", shown, i)), p.ouDNs[at])
	p.members[at] = append(p.members[at], dn)
	p.Users = append(p.Users, Object{dn, a})
}

// vary makes some users unlike the rest: disabled, without a principal name, with an anchor of earlier days.
func (p *planner) vary(i, at int, a map[string][]string) {
	if i%20 == 7 {
		a["userAccountControl"] = []string{"514"}
	}
	if i%25 == 11 {
		delete(a, "userPrincipalName")
	}
	if places[at].path[0] == "Service" {
		delete(a, "mail")
		a["description"] = []string{"Service account"}
	}
	if i%30 == 13 {
		anchor := make([]byte, 16)
		for n := range anchor {
			anchor[n] = byte(p.random.UintN(256))
		}
		a["mS-DS-ConsistencyGuid"] = []string{string(anchor)}
	}
}

// planManagers lets the first of each OU lead it; every ninth reports to the head of another OU, and the heads to the first user.
func (p *planner) planManagers() {
	var heads []string
	for _, m := range p.members {
		if len(m) > 0 {
			heads = append(heads, m[0])
		}
	}
	n := 0
	for _, m := range p.members {
		for i, dn := range m {
			n++
			boss := m[0]
			switch {
			case i == 0:
				boss = p.Users[0].DN
			case n%9 == 0:
				boss = heads[p.random.IntN(len(heads))]
			}
			if boss != dn {
				p.Links = append(p.Links, Link{dn, "manager", []string{boss}})
			}
		}
	}
}

func (p *planner) planGroups() {
	if len(p.Users) == 0 {
		return
	}
	var perOU, heads []string
	for n, m := range p.members {
		if len(m) > 0 {
			perOU = append(perOU, p.group("All "+strings.Join(places[n].path, " of "), p.ouDNs[n], m))
			heads = append(heads, m[0])
		}
	}
	groups := p.ouDNs[slices.IndexFunc(places, func(at place) bool { return at.path[0] == "Groups" })]
	p.group("Managers", groups, heads)
	p.group("Sync Pilot", groups, p.sample(max(1, p.total/20)))
	p.group("All Staff", groups, perOU)
	for n := range p.total / 25 {
		members := p.sample(min(p.total, 5+p.random.IntN(10)))
		if n%3 == 2 {
			members = append(members, perOU[n%len(perOU)])
		}
		p.group(fmt.Sprintf("Project %d, phase #%d", n+1, n%3+1), groups, members)
	}
}

// sample picks n different users.
func (p *planner) sample(n int) []string {
	var out []string
	for _, i := range p.random.Perm(len(p.Users))[:n] {
		out = append(out, p.Users[i].DN)
	}
	return out
}

// group plans a global security group and returns its DN.
func (p *planner) group(name, under string, members []string) string {
	dn := "CN=" + escape(name) + "," + under
	account := fmt.Sprintf("lab-group-%03d", len(p.Groups))
	p.Groups = append(p.Groups, Object{dn, map[string][]string{
		"objectClass": {"group"}, "sAMAccountName": {account}, "groupType": {"-2147483646"}, "displayName": {name}, "description": {"Lab: " + name},
	}})
	p.Links = append(p.Links, Link{dn, "member", members})
	return dn
}
