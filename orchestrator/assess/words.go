package assess

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tandem-sync/tandem/scoping"
)

// kinds are in the order in which they are shown.
var kinds = []scoping.Kind{scoping.User, scoping.Group, scoping.Contact, scoping.Device}

// Count formats numbers of objects, such as "120 users, 1 group".
func Count(objects map[scoping.Kind]int) string {
	var out []string
	for _, k := range kinds {
		if n := objects[k]; n > 0 {
			out = append(out, plural(n, string(k)))
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func objects(n int) string { return plural(n, "object") }

// some formats names with their number, and shows the first of them.
func some(what string, names []string) string {
	const most = 5
	shown := strings.Join(names[:min(most, len(names))], "; ")
	if len(names) > most {
		shown += "; …"
	}
	return fmt.Sprintf("%s (%s)", plural(len(names), what), shown)
}

func sentence(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// plainName returns an object's name in its container, without type and escapes.
func plainName(dn string) string {
	d, err := scoping.ParseDN(dn)
	if err != nil || d.IsZero() {
		return dn
	}
	return d.RDN()[0].Value
}

// Uses formats uses, such as "mail-enabled 12, contacts 3".
func Uses(us []Use) string {
	var out []string
	for _, u := range us {
		out = append(out, fmt.Sprintf("%s %d", u.Name, u.Objects))
	}
	return strings.Join(out, ", ")
}

// aboutAll returns the comment of a directory's assignment: what it contains.
func (g *suggester) aboutAll(p place) string {
	all := Unit{Objects: map[scoping.Kind]int{}}
	uses := map[string]int{}
	for _, u := range p.units {
		if u.None {
			continue
		}
		for k, n := range u.Objects {
			all.Objects[k] += n
		}
		all.Critical += u.Critical
		for _, x := range u.InUse {
			uses[x.Name] += x.Objects
		}
	}
	all.uses = uses
	out := fmt.Sprintf("Everything stays with %s at first: %s.", g.out.From, Count(all.Objects))
	if in := all.sortedUses(); len(in) > 0 {
		out += "\nIn use: " + Uses(in) + "."
	}
	if all.Critical > 0 {
		out += fmt.Sprintf("\n%s: every engine leaves them out.", sentence(plural(all.Critical, "critical system object")))
	}
	return out
}

// aboutNone returns the comment of an unmanaged unit's assignment: why it is unmanaged.
func aboutNone(u *Unit) string {
	if u.size() == 0 {
		return fmt.Sprintf("Nothing but %s, which every engine leaves out; it is named to say so.", plural(u.Critical, "critical system object"))
	}
	out := fmt.Sprintf("Service accounts and their groups only (%s), none with an address: nobody signs in to the cloud with them.", Count(u.Objects))
	if u.Critical > 0 {
		out += fmt.Sprintf("\nBeside them %s.", plural(u.Critical, "critical system object"))
	}
	return out + "\nTake this out if one of them is needed there."
}
