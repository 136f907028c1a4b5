package cloud

import (
	"fmt"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/scoping"
)

// The hashes of an index are short: an object of which two names have one is still found once by each, and not by the other's.
func TestAnObjectOfWhichTwoNamesShareAHashIsFoundOnce(t *testing.T) {
	c := NewCache(time.Minute)
	mail, nickname := collision(&c.index)
	c.Apply(Page{Upserts: []Upsert{{ID: "a", Kind: scoping.User, Values: Values{Mail: {mail}, Nickname: {nickname}}}}}, time.Unix(1, 0))
	check := func(when string, mails, nicknames int) {
		t.Helper()
		if m, n := len(c.ByMail(mail)), len(c.ByNickname(nickname)); m != mails || n != nicknames {
			t.Errorf("%s: found %d times by mail and %d times by nickname, want %d and %d", when, m, n, mails, nicknames)
		}
		if found := c.ByMail(nickname); len(found) > 0 {
			t.Errorf("%s: %v is found by a mail that is its nickname", when, found)
		}
	}
	check("both", 1, 1)
	c.Apply(Page{Upserts: []Upsert{{ID: "a", Kind: scoping.User, Values: Values{Mail: nil}}}}, time.Unix(2, 0))
	check("without mail", 0, 1)
	c.Apply(Page{Upserts: []Upsert{{ID: "b", Kind: scoping.User, Values: Values{Mail: {mail}}}}}, time.Unix(3, 0))
	check("another's mail", 1, 1)
	c.Apply(Page{Removed: []Removal{{ID: "a", Kind: scoping.User, Hard: true}}}, time.Unix(4, 0))
	check("gone", 1, 0)
}

// collision returns a mail address and a nickname that have one hash.
func collision(x *index) (mail, nickname string) {
	of := map[uint32]string{}
	for i := 0; ; i++ {
		mail, nickname = fmt.Sprint("m", i), fmt.Sprint("n", i)
		of[x.hash(Mail, mail)] = mail
		if m, met := of[x.hash(Nickname, nickname)]; met && m[0] == 'm' {
			return m, nickname
		}
	}
}
