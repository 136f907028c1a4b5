package scoping

// Match says by hand which object of the tenant belongs to an object of the directory (rule J5): a line of a file of matches, with its
// names resolved.
type Match struct {
	Object ObjectID `json:"object"`
	Tenant string   `json:"tenant"` // the tenant's id of the object, lower case
}
