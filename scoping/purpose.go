package scoping

// Purpose is what an account of a directory is for, beside reading. Each is a login of its own, so that none holds more rights than its
// purpose needs.
type Purpose string

// The purposes.
const (
	Replicate Purpose = "replicate" // reads password hashes, for PasswordHash
	Reset     Purpose = "reset"     // sets passwords, for PasswordWriteback
	Provision Purpose = "provision" // writes into containers, for UserProvisioning and GroupProvisioning
)

// Purposes returns all of them, in the order in which they are shown.
func Purposes() []Purpose { return []Purpose{Replicate, Reset, Provision} }

// PurposeOf returns the purpose of the account that a feature needs; ok is false for features that the reading account is enough for.
func PurposeOf(f Feature) (p Purpose, ok bool) {
	switch f {
	case PasswordHash:
		return Replicate, true
	case PasswordWriteback:
		return Reset, true
	case UserProvisioning, GroupProvisioning:
		return Provision, true
	}
	return "", false
}
