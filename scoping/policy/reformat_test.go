package policy_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/policy"
)

// reformatted also wants that formatting twice changes nothing, and that the policy is the same.
func reformatted(t interface {
	Helper()
	Fatalf(string, ...any)
}, text string) string {
	t.Helper()
	before, err := policy.Parse("f", []byte(text))
	if err != nil {
		t.Fatalf("%v of\n%s", err, text)
	}
	out, err := policy.Reformat("f", []byte(text), nil)
	if err != nil {
		t.Fatalf("%v of\n%s", err, text)
	}
	again, err := policy.Reformat("f", out, nil)
	if err != nil || string(again) != string(out) {
		t.Fatalf("%v: formatted twice:\n%s\nonce:\n%s", err, again, out)
	}
	after, err := policy.Parse("f", out)
	if err != nil {
		t.Fatalf("%v of\n%s", err, out)
	}
	if d := cmp.Diff(before, after, noPositions); d != "" {
		t.Fatalf("another policy: %s\n%s", d, out)
	}
	return string(out)
}

func TestCommentsStayWithWhatTheyAreAbout(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"everywhere": {`# Contoso's policy.
# It has an owner.

# the format
version: 1 # the only one
assignments: # who owns what
# the beginning
- {name: all, under: "DC=x,DC=y", engine: 'a', features: [users]} # short

# Sales goes first
-   name: sales   # after Easter
    engine: b
    # they said so
    under: "OU=Sales,DC=x,DC=y" # see the ticket
    except:
      # not these
      - "OU=A,DC=x,DC=y" # nor this
      - 'OU=B\, C,DC=x,DC=y'
    features: [users]
    # until summer

- name: rest
  under: OU=Rest,DC=x,DC=y
  features:
  - users   # only those
  engine: none
# switched on
features: [users]
# the end
`, `# Contoso's policy.
# It has an owner.

# the format
version: 1 # the only one
# switched on
features: [users]
# the end

assignments: # who owns what
  # the beginning
  # short
  - name: all
    under: DC=x,DC=y
    engine: a
    features: [users]

  # Sales goes first
  - name: sales # after Easter
    # they said so
    under: OU=Sales,DC=x,DC=y # see the ticket
    except:
      # not these
      - OU=A,DC=x,DC=y # nor this
      - OU=B\, C,DC=x,DC=y
    engine: b
    features: [users]
    # until summer

  - name: rest
    under: OU=Rest,DC=x,DC=y
    engine: none
    features:
      - users # only those
`},
		"nothing is added": {"version: 1\nfeatures: [users]\nassignments: [{name: a, under: DC=x, engine: none, features: [users], directory: d}]\n",
			"version: 1\nfeatures: [users]\nassignments:\n  - name: a\n    directory: d\n    under: DC=x\n    engine: none\n    features: [users]\n"},
		"defaults": {"version: 1\nfeatures: [users]\ndefaults:\n  # careful\n  deleteThreshold:\n    percent: 3 # of them\n  upn: {changes: hold}\nassignments: []\n",
			"version: 1\nfeatures: [users]\ndefaults:\n  # careful\n  deleteThreshold:\n    percent: 3 # of them\n  upn: {changes: hold}\nassignments: []\n"},
		"aliases": {"version: 1\nfeatures: &f [users] # all\nassignments:\n- {name: a, under: DC=x, engine: none, features: *f}\n",
			"version: 1\nfeatures: [users] # all\nassignments:\n  - name: a\n    under: DC=x\n    engine: none\n    features: [users]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, reformatted(t, c.text)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestWhatCannotBeReadOrKeptIsRefused(t *testing.T) {
	var mistakes scoping.Mistakes
	if _, err := policy.Reformat("f", []byte("version: 2\n"), nil); !errors.As(err, &mistakes) {
		t.Errorf("%v", err)
	}
	// A comment inside an empty list belongs to nothing.
	text := "version: 1\nfeatures: [\n  # none yet\n  ]\nassignments: []\n"
	if out, err := policy.Reformat("f", []byte(text), nil); err == nil && !strings.Contains(string(out), "# none yet") {
		t.Errorf("a comment was lost:\n%s", out)
	}
}

func TestNamesFollowWithTheirComments(t *testing.T) {
	text := `version: 1
features: [users]
assignments:
  - name: a # b
    under: ou=old, dc=X # here
    except:
      # and
      - OU=C,OU=Old,DC=x
      - OU=Stays,DC=x
    memberOf: CN=G,OU=Groups,DC=x # they
    engine: none
    features: [users]
`
	want := strings.NewReplacer("ou=old, dc=X", `OU=New\, bigger,DC=x`, "OU=C,OU=Old,DC=x", `OU=C,OU=New\, bigger,DC=x`, "CN=G,OU=Groups,DC=x", "CN=H,OU=Groups,DC=x").Replace(text)
	out, changes, err := policy.Follow("f", []byte(text), []scoping.Drift{
		{What: scoping.Renamed, Was: "OU=Old,DC=x", Now: `OU=New\, bigger,DC=x`},
		{What: scoping.Shifted, Was: "OU=C,OU=Old,DC=x", Now: `OU=C,OU=New\, bigger,DC=x`},
		{What: scoping.Renamed, Was: "CN=G,OU=Groups,DC=x", Now: "CN=H,OU=Groups,DC=x"},
		{What: scoping.Vanished, Was: "OU=Stays,DC=x"},
	})
	if err != nil || len(changes) != 3 || changes[0] != `ou=old, dc=X → OU=New\, bigger,DC=x` {
		t.Errorf("%v %q", err, changes)
	}
	if d := cmp.Diff(want, string(out)); d != "" {
		t.Error(d)
	}
}

// block is one key with its value's lines, and the comments above it.
type block []string

// drawn is a formatted file of random assignments with comments in it. When shuffled, keys stand in another order.
func drawn(t *rapid.T) (formatted, shuffled string) {
	n := 0
	comment := func(indent string) (above block) {
		for range rapid.IntRange(0, 2).Draw(t, "comments") {
			n++
			above = append(above, fmt.Sprintf("%s# %d: %s", indent, n, rapid.SampledFrom([]string{"why", `a "quote`, "it's", "k: v", "# # -", "[x"}).Draw(t, "text")))
		}
		return above
	}
	beside := func(line string) string {
		if rapid.Bool().Draw(t, "beside") {
			n++
			line += fmt.Sprintf(" # beside %d", n)
		}
		return line
	}
	f := []string{"version: 1", "features: [users, groups]", "assignments:"}
	s := []string{f[1], f[0], f[2]}
	dns := []string{"DC=x,DC=y", "OU=Sales,DC=x", `'OU=R\, D \#1: x,OU=Ü,DC=x'`, "'OU= a: b,DC=x'", `CN=\#1 Team\+,DC=x`}
	for i := range rapid.IntRange(1, 4).Draw(t, "assignments") {
		above := comment("  ")
		if i > 0 && rapid.Bool().Draw(t, "space") {
			above = append(block{""}, above...)
		}
		first := append(above, beside(fmt.Sprintf("  - name: n%d", i)))
		keys := []block{append(comment("    "), beside("    under: "+rapid.SampledFrom(dns).Draw(t, "dn")))}
		if rapid.Bool().Draw(t, "except") {
			e := append(comment("    "), beside("    except:"))
			for range rapid.IntRange(1, 3).Draw(t, "exceptions") {
				e = append(append(e, comment("      ")...), beside("      - "+rapid.SampledFrom(dns).Draw(t, "dn")))
			}
			keys = append(keys, e)
		}
		if rapid.Bool().Draw(t, "sample") {
			keys = append(keys, append(comment("    "), beside("    sample: 5%")))
		}
		keys = append(keys, append(comment("    "), beside("    engine: none")), append(comment("    "), beside("    features: [users, groups]")))
		other := append([]block{}, keys...)
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 1)).Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
		f, s = append(f, first...), append(s, first...)
		for i := range keys {
			f, s = append(f, keys[i]...), append(s, other[i]...)
		}
	}
	return strings.Join(f, "\n") + "\n", strings.Join(s, "\n") + "\n"
}

func TestFormattedFilesWithCommentsStayAsTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, s := drawn(t)
		if got := reformatted(t, f); got != f {
			t.Fatalf("%s", cmp.Diff(f, got))
		}
		if got := reformatted(t, s); got != f {
			t.Fatalf("in another order:\n%s\n%s", s, cmp.Diff(f, got))
		}
	})
}

func FuzzReformat(f *testing.F) {
	for _, s := range []string{example, "# a\nversion: 1\n# b\n\n# c\nfeatures: [ # d\n a] # e\nassignments:\n# f\n- name: x # g\n  # h\n\n  # i\n  under: 'OU=a\\,b' # j\n  engine: e\n  features: [a]\n  # k\n# l\n",
		"version: 1\nfeatures: &a [a] # x\nassignments:\n  - {name: x, under: DC=x, engine: e, features: *a} # y\n", "--- # x\nversion: 1\nfeatures: []\nassignments: []\n...\n# y\n",
		"version: 1\nmatches: |\n  a # b\n  c\nfeatures: []\nassignments: []\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before, err := policy.Parse("f", data)
		if err != nil {
			return
		}
		out, err := policy.Reformat("f", data, nil)
		if err != nil {
			return // a comment in an odd place
		}
		after, err := policy.Parse("f", out)
		if err != nil {
			t.Fatalf("%v of\n%s", err, out)
		}
		if d := cmp.Diff(before, after, noPositions); d != "" {
			t.Fatalf("%s\n%s", d, out)
		}
		if again, err := policy.Reformat("f", out, nil); err != nil || string(again) != string(out) {
			t.Fatalf("%v\n%s\nbecomes\n%s", err, out, again)
		}
	})
}
