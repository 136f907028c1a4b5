package provision

// Code says how a write or a look ended.
type Code string

// The codes. After Done the directory has it, after InDoubt it may; after every other one nothing was changed.
const (
	Done            Code = "ok"
	InDoubt         Code = "in-doubt"
	TakenName       Code = "taken-name"       // a sAMAccountName, userPrincipalName or common name is somebody else's: the next candidate is tried
	Exists          Code = "exists"           // an Add found something under its RDN: it was made before
	Precondition    Code = "precondition"     // what had to be there is not, or the link is another one: nothing of the modification was done
	Vanished        Code = "vanished"         // the object is not there, or deleted
	NoContainer     Code = "no-container"     // the container is not there, or deleted
	Outside         Code = "outside"          // it lies, or would lie, outside the container of the policy
	Protected       Code = "protected"        // an administrator, a computer, an account of Tandem's own …
	Invalid         Code = "invalid"          // the directory's schema does not take a value
	NoAttribute     Code = "no-attribute"     // the schema lacks an attribute, as that of the link
	NotEmpty        Code = "not-empty"        // a Delete of what has children
	ReadOnly        Code = "read-only"        // the controller is one that cannot be written to
	OtherController Code = "other-controller" // the controller is not the one that is named
	NoRights        Code = "no-rights"        // the account may not
	Unreachable     Code = "unreachable-before-send"
	Expired         Code = "expired"
	Refused         Code = "refused" // the permit was
	Repeated        Code = "repeated"
	NoAgent         Code = "no-agent"
	Failed          Code = "failed"
)

// Codes returns all of them.
func Codes() []Code {
	return []Code{Done, InDoubt, TakenName, Exists, Precondition, Vanished, NoContainer, Outside, Protected, Invalid, NoAttribute, NotEmpty, ReadOnly, OtherController, NoRights,
		Unreachable, Expired, Refused, Repeated, NoAgent, Failed}
}

// Refusal reports whether a directory would not do it: tried again at once it says the same.
func (c Code) Refusal() bool {
	switch c {
	case NoRights, Protected, Invalid, NoAttribute, NotEmpty, ReadOnly, Outside, NoContainer:
		return true
	}
	return false
}

// Known reports whether the code is one of them. Whoever hears another one after a permit is in doubt.
func (c Code) Known() bool {
	for _, k := range Codes() {
		if c == k {
			return true
		}
	}
	return false
}
