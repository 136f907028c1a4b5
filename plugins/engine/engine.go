// Package engine is the contract between Tandem and its engines, as values. Package plugin below it speaks the contract
// between processes: an engine is served by plugin.Serve, and started by plugin.Start.
//
// An engine is a process that reads directories and proposes what it wants written to the tenant. It holds no tenant
// credentials: the host's gate decides every proposal and does the writing. The host opens every stream and the engine
// only serves, so that an engine can be written in any language (see the proto beside this file).
package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// Mode is what a grant lets an engine do. A freeze is never durable, so it is no mode.
type Mode uint8

// The modes, in order of what they allow.
const (
	ModeNone   Mode = iota
	ModeShadow      // judged and recorded, never applied
	ModeOwn         // applied
)

// Grant is what one engine may do for one scope. Epoch is when this grant last changed.
type Grant struct {
	ID    uint32
	Scope scoping.Scope
	Mode  Mode
	Epoch scoping.Epoch
}

// Ack answers a grant. Gated engines need none for safety; external engines may take minutes and may fail.
type Ack struct {
	Grant         uint32
	Epoch         scoping.Epoch
	InForce, Idle bool
	Err           string
}

// Want says what an engine wants of an object.
type Want uint8

// The wants.
const (
	Present    Want = iota + 1
	Gone            // a tombstone was read
	OutOfScope      // the object lives, but outside the engine's scopes
	Excluded        // the engine's rules leave it out; Proposal.Reason says why
	Unknown         // the engine cannot say; Proposal.Reason says why. It settles nothing
)

// The reasons of Unknown that people are told in words. Others are told as they are.
const (
	NotFound        = "not-found"        // the directory shows neither the object nor a tombstone of it
	NotSynchronized = "not-synchronized" // it is of a kind that the engine does not synchronize
	PlaceUnknown    = "place-unknown"    // a container above it cannot be read
)

// Value is a tenant attribute's wanted value: no text clears it. A Secret value is never written to disk.
type Value struct {
	Text   []string
	Secret bool
}

// Refs is a wanted set of references as directory identities, whether or not the other end is in scope. It is Whole: Targets
// is the complete set, also when it is empty. Added and Removed are what engines sent before; new ones do not.
type Refs struct {
	Whole          bool
	Targets        []scoping.ObjectID
	Added, Removed []scoping.ObjectID
}

// Proposal is what an engine wants: the whole desired state of one object and feature. A base feature that is Gone,
// OutOfScope or Unknown answers for all features of its object, and an Excluded one for those that have no answer of their
// own. References are Present or Unknown. An Unknown of an object whose kind the engine cannot tell has neither Kind nor
// Feature.
type Proposal struct {
	Seq     uint64 // rises within a run; with the run it is the idempotency key
	Object  scoping.ObjectID
	Kind    scoping.Kind
	Name    string       // the DN where the engine saw it, for people; never compared
	Parent  scoping.GUID // where the engine saw it: compared, never trusted
	Version uint64       // USN of the directory controller the engine read (RunBegin.DC): information
	Feature scoping.Feature
	Grant   uint32
	Epoch   scoping.Epoch // of the grant when this run BEGAN TO READ (rule P5)
	Want    Want
	Reason  string           // for Excluded and Unknown: a code such as "no-upn", "critical-system-object", "not-found"
	Desired map[string]Value // tenant names; an empty value clears, an absent attribute is unmanaged
	Refs    map[string]Refs  // "members" of groups, "manager" of users: only in proposals of feature references
	// Password is what a present proposal of feature password-hash is about, and of no other.
	Password *Password
}

// Password says which change of an object's password the directory shows. What the tenant is to keep of it comes when the host asked for it, by the outcome
// Wanted of a proposal without it: so of passwords that the tenant has, and in shadow, nothing is decrypted.
type Password struct {
	Stamp      credential.Stamp // from the same answer of the directory as what the credential is made of
	MustChange bool             // it has to be changed at the next sign-in
	Credential *secret.Value    // nil: not read. Whoever is given the proposal wipes it
}

// Wipe ends the credential, if there is one.
func (p *Password) Wipe() {
	if p != nil {
		p.Credential.Wipe()
	}
}

// errKept is why a password is in no file.
var errKept = errors.New("a password is never written down")

// GobEncode refuses: proposals that an engine keeps for later have none.
func (*Password) GobEncode() ([]byte, error) { return nil, errKept }

// GobDecode refuses as well.
func (*Password) GobDecode([]byte) error { return errKept }

// MarshalJSON refuses as well.
func (*Password) MarshalJSON() ([]byte, error) { return nil, errKept }

// Outcome is the gate's answer to a proposal.
type Outcome string

// The outcomes. Unchanged, Applied, Released and Refused settle a proposal; the others leave it dirty (rules P1, P2).
const (
	Unchanged Outcome = "unchanged"
	Applied   Outcome = "applied"
	Released  Outcome = "released"
	Refused   Outcome = "refused"
	Shadowed  Outcome = "shadowed"
	Parked    Outcome = "parked" // a delete or a membership removal that waits for its run to end
	Held      Outcome = "held"
	Deferred  Outcome = "deferred" // a freeze, a stop, or a place that engine and census do not agree on
	Stale     Outcome = "stale"
	Partial   Outcome = "partial" // applied but for references that are not in the tenant yet
	InDoubt   Outcome = "in-doubt"
	Failed    Outcome = "failed"
	Wanted    Outcome = "wanted" // of a password without its credential: it is to be proposed again in this run, with it
)

// Settles says whether the outcome ends the matter (rule P1).
func (o Outcome) Settles() bool {
	return o == Unchanged || o == Applied || o == Released || o == Refused
}

// Decision is the gate's durable answer to the proposal Seq. Whatever it says, from now on the debt is the host's: what did
// not settle is asked for again.
type Decision struct {
	Seq                 uint64
	Outcome             Outcome
	Code, Reason, Owner string
}

// The run profiles.
const (
	ProfileFull    = "full"    // read everything, propose every object of the scopes
	ProfileDelta   = "delta"   // read what changed since the watermark, propose what it touches
	ProfileObjects = "objects" // read just RunRequest.Objects from the directory and answer for each: see RunRequest
)

// RunRequest asks an engine for a run over Scopes. The engine stamps each proposal with the grant that covers it as it was
// when the run began to read; with Ceiling ModeShadow the host may name scopes for which there is no grant: Grant and Epoch
// are zero then.
//
// With ProfileObjects each object gets exactly one answer for each feature that Scopes ask for it: a proposal. Of an object
// outside of Scopes, of a dead one, of one that is left out and of one that the engine cannot say anything of, the answer for
// the base feature answers for all. An object that is named twice is one question. Extensions, like
// references, are Present or Unknown.
//
// DC and AsOf are no advice: an engine reads the controller that DC names, and one that lacks what AsOf names has nothing to
// say. Such a run proposes nothing of the directory, keeps its watermark, and reports CodeBehind.
//
// A run of a stream is about the features of that stream alone, and about whatever of the directory has them: an engine need not place what it reads. Since is
// where its last complete run ended; without it, with ProfileDelta too, everything is read.
type RunRequest struct {
	Run     uint64
	Stream  Stream
	Profile string
	Scopes  []scoping.Scope
	Objects []scoping.ObjectID // for ProfileObjects
	Ceiling Mode
	DC      map[string]string // directory -> URL of the controller that the host reads (rule V1); absent: any
	AsOf    map[string]AsOf   // directory -> what the controller that is read must have; absent: whatever it has
	Since   map[string][]byte // of a stream: directory -> RunReport.Since of its last complete run; the engine's own, the host keeps it
	// Extensions are what the feature of that name manages, by the tenant's names: an engine that has it names each of them for every present user. They belong to
	// the rules of which RunBegin.Rules is the fingerprint.
	Extensions []string
}

// Stream is what has runs of its own, beside others of the same engine: a long full run does not hold them up.
type Stream string

// The streams.
const (
	Objects   Stream = ""
	Passwords Stream = "password-hash"
	// Provisioning is what goes from the tenant into directories: no run of the engine's, but mappings and deliveries.
	Provisioning Stream = "provisioning"
)

// StreamOf returns the stream that proposes a feature.
func StreamOf(f scoping.Feature) Stream {
	if f == scoping.PasswordHash {
		return Passwords
	}
	return Objects
}

// CodeBehind is the error in a report of an engine whose controller lacks what RunRequest.AsOf names: nothing was proposed of the directory.
const CodeBehind = "behind"

// AsOf is a point of a directory's history: everything that the controller with this invocationId had at this USN. See directory.Session.Reached.
type AsOf struct {
	Invocation scoping.GUID
	USN        uint64
}

// RunBegin says what a run is about to propose by. It comes once for each directory, before the directory's first proposal
// and after the engine has made sure that the controller has what RunRequest.AsOf names. A directory that cannot be read has
// none.
type RunBegin struct {
	Directory string
	DC        scoping.GUID // invocationId of the controller that is read
	USN       uint64       // its highestCommittedUSN, read before the run's first search
	Rules     Fingerprint  // of the rules by which values come of what is read
}

// RunReport ends a run. Complete means that EVERY object of the scopes (full), everything that changed (delta), or each
// requested object (objects) was answered, by Unknown too, or is named in Errors: one question without an answer blocks
// nothing else. A full run names the references of every present object, also where there are none.
type RunReport struct {
	Directory string
	DC        scoping.GUID // invocationId of the controller that was read, as RunBegin named it
	USN       uint64       // highestCommittedUSN read before the run's first search, as RunBegin named it
	Read      int          // directory objects read
	Complete  bool
	Errors    []ObjectError
	More      bool   // another directory's proposals and report follow; false in the last report of a run
	Since     []byte // of a stream: what RunRequest.Since is to be in the next run, if this one is complete; nil: as it was
}

// ObjectError is a failure that concerns one object (zero: the run).
type ObjectError struct {
	Object        scoping.ObjectID
	Code, Message string
}

// RunEvent is one thing a run says: exactly one field is set. Proposals come in batches of at most MaxBatch. The last event
// of a run is a Report without More (one with More per directory is allowed before it). After it the host closes the
// decisions once every proposal has one, and the run ends when Run returns.
type RunEvent struct {
	Begin     *RunBegin
	Proposals []Proposal
	Progress  *Progress
	Report    *RunReport
}

// MaxBatch is the largest number of proposals in one RunEvent.
const MaxBatch = 256

// Progress is for people.
type Progress struct {
	Phase string // "import", "sync", "export"
	Done  int
	Total int // 0: not known
}

// Description says what an engine is and can do. It is asked once, first.
type Description struct {
	Kind      string // "connect", "cloudsync", …
	Version   string
	Contract  int // ContractVersion it was built against
	Features  []scoping.Feature
	Writes    map[scoping.Feature][]string // the tenant attributes that its mapping writes, per feature (rule F2)
	Reads     map[scoping.Kind]Reads       // what its proposals depend on; nil: it does not say
	CanShadow bool
	Release   string   // how it lets go of a scope: "clean", "delete", "unknown"
	Keeps     []string // attributes it keeps writing regardless of grants
	Verbs     []string // for Call
	Delivers  []scoping.Feature
	Observes  bool
}

// Reads is what an engine's proposals of one kind of objects depend on. Place, life and kind of an object it always reads.
type Reads struct {
	Attributes []string // names in the directory; links such as member are among them
	More       bool     // they depend on more than that, such as other objects or other sources
}

// ReadsOf returns what the engine reads of a kind. One that does not say reads more than anybody knows.
func (d Description) ReadsOf(k scoping.Kind) Reads {
	r, told := d.Reads[k]
	if !told {
		r.More = true
	}
	return r
}

// ContractVersion is the version of this contract.
const ContractVersion = 1

// Config is what the host gives an engine. It may come again with other values; the engine reports every mistake at once by
// a *ConfigError.
type Config struct {
	Engine      string // the name in tandem.yaml
	DataDir     string // the engine's own folder, private to it
	Directories []Directory
	Settings    []byte            // JSON of engines[].settings
	Features    []scoping.Feature // switched on in the policy at all; ones the engine does not do are no mistake
}

// Directory is a connection to one directory. Password is a secret: it crosses the wire, and is never written down.
type Directory struct {
	Name     string
	URLs     []string
	Base     string // DN of the naming context
	User     string
	Password string
	CA       []byte // PEM; empty: the system's
	Insecure bool
	Accounts map[scoping.Purpose]Account // beside User, which reads; nil: none
}

// ConfigError reports every mistake of a configuration.
type ConfigError struct{ Problems []string }

// Error lists the problems.
func (e *ConfigError) Error() string {
	s := "the engine refuses its configuration"
	for _, p := range e.Problems {
		s += "; " + p
	}
	return s
}

// Health is an engine's state, pushed on change.
type Health struct {
	OK      bool
	Message string
	Agents  int // live agents, for engines that have them
	// Details are for people, by the engine's own names. Those that begin with HoldsKey say who holds the account of a purpose: "holds.reset.AGENT" is the host of an
	// agent, and the empty text the host of Tandem itself.
	Details map[string]string
}

// HoldsKey returns what the names of Details about the accounts of a purpose begin with.
func HoldsKey(p scoping.Purpose) string { return "holds." + string(p) + "." }

// Holds reports whether the engine says that somebody holds an account of a purpose for it.
func (h Health) Holds(p scoping.Purpose) bool {
	for key := range h.Details {
		if strings.HasPrefix(key, HoldsKey(p)) {
			return true
		}
	}
	return false
}

// Delivery is something to be written INTO a directory (capability Description.Delivers). What is to be written comes later, with the permit.
type Delivery struct {
	ID         string // of this one alone, for ever
	Feature    scoping.Feature
	Object     scoping.ObjectID
	Op         DeliveryOp
	MustChange bool     // with Reset: the password has to be changed at the next sign-in
	Unlock     bool     // with Reset: a lock-out ends as well
	Own        []string // sign-in names of accounts that work for Tandem: nothing of them is written

	// Of a provisioning feature one of them is set: what a write is about, of which the values come with the permit, or a look, which needs none and which any agent may
	// carry out. Object.Directory is the directory.
	Provision *provision.Target
	Look      *provision.Look
}

// DeliveryOp says what is done to a password; of provisioning it is the operation of its target, or LookUp.
type DeliveryOp string

// LookUp is the operation of a delivery that only looks.
const LookUp DeliveryOp = "look"

// The operations.
const (
	ResetPassword  DeliveryOp = "reset"  // set it, whatever it was
	ChangePassword DeliveryOp = "change" // set it, if the old one is right
	UnlockAccount  DeliveryOp = "unlock" // end a lock-out after wrong passwords
)

// Permit is the host's answer to the engine that is ready to write. There is one for a delivery, once.
type Permit struct {
	ID        string
	Refused   string            // a code: nothing may be written; empty: it may be
	Remaining time.Duration     // from when the engine said Ready: what has not begun by then is not begun, and what has is not waited for
	New, Old  *secret.Value     // UTF-8; New but for an unlock, Old for a change only. The engine wipes them
	Values    *provision.Values // of provisioning, and of it always
}

// Wipe ends the permit's secrets.
func (p *Permit) Wipe() {
	p.New.Wipe()
	p.Old.Wipe()
}

// DeliverEvent is one thing that an engine says of a delivery: exactly one field is set.
type DeliverEvent struct {
	Ready  *Ready          // at most once: a connection to the directory is open and signed in, nothing was written, and the permit is asked for
	Result *DeliveryResult // once, and last
}

// Ready asks for the permit of a delivery.
type Ready struct{ ID string }

// DeliveryResult is how a delivery ended. Reason and Diagnostic are for administrators, and hold no secret.
type DeliveryResult struct {
	ID         string
	Code       string // the codes of package password, of provisioning those of package provision, or one of those below
	Reason     string // more than the code says
	Diagnostic string // what the controller said

	Provision *provision.Result // of provisioning: with DeliveryOK; with provision.Exists the object that is there; with DeliveryInDoubt what is known; else nil
}

// The codes of results that every engine knows. After DeliveryOK the directory has it, after DeliveryInDoubt it may; after every other one, also one that is not known here,
// nothing was changed.
const (
	DeliveryOK       = "ok"
	DeliveryInDoubt  = "in-doubt"
	DeliveryExpired  = "expired"  // it did not begin in time
	DeliveryRefused  = "refused"  // the permit was
	DeliveryRepeated = "repeated" // the engine was given this id before
	DeliveryNoAgent  = "no-agent" // nobody holds the account that writes
	DeliveryFailed   = "failed"
)

// TenantChange is a change of a cloud object, for engines with a tenant connector space (capability Description.Observes).
type TenantChange struct {
	CloudID string
	Kind    scoping.Kind
	Object  scoping.ObjectID // zero when unlinked
	Values  map[string]Value
	Removed bool
}

// Engine is what a plugin serves. The host has at most one Run of each stream open at a time; the other methods may be called beside it.
// Each value on the channel of Grants is the complete set and replaces the earlier one.
//
// Every method ends when its context ends; the process ends itself when its session ends.
// Channels named out belong to the engine for the duration of the call: the caller drains them, and the engine does not
// close them. A Run reads in to learn the decisions for what it proposed; the host closes in after the last one, and also when
// the call's context ends: what was proposed and not decided is then still the engine's to propose.
type Engine interface {
	Describe(context.Context) (Description, error)
	Configure(context.Context, Config) error
	Grants(ctx context.Context, in <-chan []Grant, out chan<- Ack) error
	Run(ctx context.Context, r RunRequest, in <-chan []Decision, out chan<- RunEvent) error
	Health(ctx context.Context, out chan<- Health) error
	Call(ctx context.Context, verb string, args []byte, out chan<- []byte) error
	// Map answers each source with exactly one mapping, after one MapBegin, and returns when in is closed and everything is answered. It reads and writes nothing.
	Map(ctx context.Context, r MapRequest, in <-chan []Source, out chan<- MapEvent) error
	// Deliver carries one delivery out. The engine, or an agent behind it, opens the connection over which it will write and signs in; then it asks for the permit (Ready), gets
	// one answer on in, writes at most once, and says how that ended. A delivery is given to one agent, and to no other after that. An end without a
	// Result leaves in doubt what was permitted. The host closes in after the permit.
	Deliver(ctx context.Context, d Delivery, in <-chan Permit, out chan<- DeliverEvent) error
	Observe(ctx context.Context, in <-chan TenantChange) error
}
